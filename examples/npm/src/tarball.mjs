// One version's tarball: where it is, and how the registry serves it.
import { chooseVersion, fetchPackument } from './registry.mjs';
import { request } from './request.mjs';
import { Failure, code } from './status.mjs';

const NPM = 'registry.npmjs.org';
const NO_HEAD = [405, 501];
const UNSATISFIABLE = 416;

/** The version that the URL means, with what is needed to ask for its tarball. */
export async function findTarball(asked) {
  const { spec, directory } = asked.locator;
  if (directory) throw new Failure(code.INVALID_ARGUMENT, `${spec.name}/ is the list of versions: leave the slash away, or list it with -l or -r`);
  const { registry, packument } = await fetchPackument(asked);
  const manifest = chooseVersion(packument, spec, asked.settings);
  return { ...asked, registry, manifest, url: tarballUrl(manifest, registry), published: publishedAt(packument, manifest.version) };
}

// Mirrors hand out documents that name npm's own registry. npm asks the mirror all the same, and so do we.
function tarballUrl({ dist, version }, registry) {
  if (!URL.canParse(dist.tarball)) throw new Failure(code.INVALID_ARGUMENT, `the registry gives no usable URL for version ${version}`);
  const url = new URL(dist.tarball);
  return url.hostname === NPM && registry.hostname !== NPM ? new URL(`.${url.pathname}`, registry) : url;
}

/** Milliseconds since the epoch; only documents with times tell it. */
export function publishedAt({ time }, version) {
  const moment = Date.parse(time?.[version] ?? '');
  return Number.isNaN(moment) ? undefined : moment;
}

/** What the registry says of the tarball without sending it. */
export async function probe(tarball) {
  const head = await request(tarball.url, { ...tarball, method: 'HEAD', extra: PLAIN, accepted: NO_HEAD });
  head.resume();
  if (!NO_HEAD.includes(head.statusCode)) return serving(head);
  const get = await request(tarball.url, { ...tarball, extra: PLAIN });
  get.destroy();
  return serving(get);
}

// A length is that of the bytes on the wire, so they must be the tarball's own.
const PLAIN = { 'accept-encoding': 'identity' };

/** `length` undefined: unknown. */
function serving({ headers }) {
  return { length: lengthOf(headers), ranges: headers['accept-ranges'] === 'bytes', contentType: headers['content-type'] ?? '' };
}

function lengthOf(headers) {
  return isPlain(headers) && headers['content-length'] !== undefined ? Number(headers['content-length']) : undefined;
}

function isPlain(headers) {
  return (headers['content-encoding'] ?? 'identity') === 'identity';
}

/**
 * Asks for the bytes from `start` on, `wanted` of them at most. The answer says where they really begin: at `start`, or
 * at 0 where the registry does not serve parts.
 */
export async function open(tarball, { start, wanted }) {
  const whole = start === 0 && wanted === undefined;
  const extra = whole ? PLAIN : { ...PLAIN, range: `bytes=${start}-${wanted === undefined ? '' : start + wanted - 1}` };
  const response = await request(tarball.url, { ...tarball, extra, accepted: [UNSATISFIABLE] });
  try {
    return { response, ...served(response, { start, wanted }) };
  } catch (error) {
    response.destroy();
    throw error;
  }
}

function served(response, range) {
  if (response.statusCode === UNSATISFIABLE) return beyond(response, range);
  const facts = serving(response);
  if (response.statusCode === 206) return part(response, range, facts);
  if (response.statusCode !== 200) throw new Failure(code.INTERNAL, `the registry answered ${response.statusCode} to a request for bytes`);
  if (!isPlain(response.headers)) {
    throw new Failure(code.INVALID_ARGUMENT, `the registry sends the tarball only as ${response.headers['content-encoding']}, which was not asked for`);
  }
  if (facts.length !== undefined) checkStart(range, facts.length);
  return { ...facts, start: 0, count: range.start === 0 ? least(facts.length, range.wanted) : facts.length };
}

function part(response, { start, wanted }, facts) {
  const [, first, last, total] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(response.headers['content-range'] ?? '') ?? [];
  const count = Number(last) - Number(first) + 1;
  if (Number(first) !== start || !(count <= (wanted ?? Infinity))) {
    throw new Failure(code.INTERNAL, `the registry was asked for bytes from ${start} on and answered ${response.headers['content-range'] ?? 'without a range'}`);
  }
  return { ...facts, ranges: true, length: total === '*' ? undefined : Number(total), start, count };
}

function beyond(response, { start }) {
  response.resume();
  const total = Number(/^bytes \*\/(\d+)$/.exec(response.headers['content-range'] ?? '')?.[1] ?? NaN);
  if (total === 0 && start === 0) return { ranges: true, length: 0, contentType: '', start: 0, count: 0 };
  throw new Failure(code.OUT_OF_RANGE, `byte ${start} is behind the end of the tarball${Number.isNaN(total) ? '' : `, which has ${total}`}`);
}

function checkStart({ start }, length) {
  if (start >= length && start !== 0) throw new Failure(code.OUT_OF_RANGE, `byte ${start} is behind the end of the tarball, which has ${length}`);
}

function least(...numbers) {
  const known = numbers.filter((number) => number !== undefined);
  return known.length > 0 ? Math.min(...known) : undefined;
}
