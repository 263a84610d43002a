// What is known of a tarball, in the words of the contract.
import ssri from 'ssri';
import { probe } from './tarball.mjs';

// Those of the contract that npm's documents have. ("integrity" knows sha384, too, which a host does not.)
const ALGORITHMS = ['sha512', 'sha256', 'sha1', 'md5'];

/** Of one version, with a request to the registry for length and ranges. */
export async function metadataOf(tarball) {
  return describe(tarball.manifest.dist, tarball.published, await probe(tarball));
}

/** `facts`: what the registry's HTTP said; a listing has none. */
export function describe({ integrity, shasum }, published, facts = {}) {
  const dist = { integrity: text(integrity), shasum: text(shasum) };
  return {
    ...(facts.length !== undefined && { contentLength: facts.length }),
    supportRange: facts.ranges ?? false,
    validator: validatorOf(dist, published),
    contentType: facts.contentType ?? '',
    digests: digestsOf(dist),
  };
}

function text(value) {
  return typeof value === 'string' ? value : ''; // documents are what somebody's server makes of them
}

// The digest is the version: a package that was unpublished and published anew has another one.
function validatorOf({ integrity, shasum }, published) {
  const etag = integrity || shasum;
  return { ...(etag && { etag: `"${etag}"` }), ...(published !== undefined && { lastModified: published }) };
}

/** As `integrity` and `shasum` announce them; where an algorithm comes with alternatives, none of it. */
function digestsOf({ integrity, shasum }) {
  const hashes = ssri.parse(integrity) ?? {};
  const announced = new Map(ALGORITHMS.filter((name) => hashes[name]?.length === 1).map((name) => [name, hashes[name][0].hexDigest()]));
  if (!announced.has('sha1') && /^[0-9a-f]{40}$/i.test(shasum)) announced.set('sha1', shasum.toLowerCase());
  return [...announced].map(([algorithm, hex]) => ({ algorithm, hex }));
}

/** PROTOCOL.md, "Validators". */
export function sameVersion(theirs, ours) {
  if (theirs?.etag && ours.etag) return theirs.etag === ours.etag;
  return theirs?.lastModified !== undefined && theirs.lastModified === ours.lastModified;
}
