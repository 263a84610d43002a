// Which registry a URL means, and the documents ("packuments") in which it describes its packages.
import pickManifest from 'npm-pick-manifest';
import { requestJson } from './request.mjs';
import { Failure, code } from './status.mjs';

const MINUTE = 60 * 1000;
const KEPT = 32; // documents; the largest have some MiB
const FULL = 'application/json';
const ABBREVIATED = 'application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8';

/** The registry's base URL, with a slash at its end. */
export function registryUrl({ registry, spec }, { npm }) {
  if (registry === '') return base((spec.scope && npm[`${spec.scope}:registry`]) || npm.registry);
  const url = hostUrl(registry);
  // One that is configured under this host is taken as it is configured: with its protocol and path.
  const scopes = Object.entries(npm).filter(([key]) => /^@.*:registry$/.test(key)).map(([, value]) => value);
  const known = [npm.registry, ...scopes].find((candidate) => URL.canParse(candidate) && new URL(candidate).host === url.host);
  return known ? base(known) : url;
}

function hostUrl(registry) {
  try {
    return new URL(`${isLoopback(registry) ? 'http' : 'https'}://${registry}/`);
  } catch (cause) {
    throw new Failure(code.INVALID_ARGUMENT, `${registry} is no host of a registry`, { cause });
  }
}

function base(url) {
  return new URL(url.replace(/\/*$/, '/'));
}

function isLoopback(authority) {
  return /^(localhost|127(\.\d+){3}|\[::1\])(:\d+)?$/i.test(authority);
}

const documents = new Map();

/**
 * What the registry says of a package. One answer serves all calls for a minute, so that the pieces of a download see
 * one version, and a listing with a thousand entries one document; `fresh` asks again.
 */
export async function fetchPackument(asked) {
  const registry = registryUrl(asked.locator, asked.settings);
  const url = new URL(`./${asked.locator.spec.escapedName}`, registry);
  const accept = asked.settings.fullMetadata ? FULL : ABBREVIATED;
  const fetch = () => requestJson(url, { ...asked, registry, accept });
  const key = JSON.stringify([url.href, accept, asked.header]);
  return { registry, packument: await remember({ key, fetch, settings: asked.settings, fresh: asked.fresh }) };
}

async function remember({ key, fetch, settings, fresh }) {
  const known = documents.get(key);
  const usable = known && known.settings === settings && Date.now() - known.since < MINUTE;
  if (usable && !fresh) return known.packument;
  const packument = checked(await fetch());
  documents.delete(key);
  documents.set(key, { packument, settings, since: Date.now() });
  if (documents.size > KEPT) documents.delete(documents.keys().next().value);
  return packument;
}

// Whatever is JSON may come, from a server that is no registry. A package that was unpublished has no versions.
function checked(document) {
  if (typeof document?.name === 'string') return document;
  throw new Failure(code.INVALID_ARGUMENT, 'the registry answered a document that does not describe a package: is this a registry?');
}

/** The manifest of the version that npm would install, whatever Node runs this plugin. */
export function chooseVersion(packument, spec, { npm }) {
  const options = { defaultTag: npm.defaultTag, before: npm.before, nodeVersion: null };
  const manifest = pick(packument, spec, options);
  if (manifest?.dist?.tarball) return manifest;
  throw new Failure(code.NOT_FOUND, `the registry has ${packument.name}, but no version ${wanted(spec, npm)}`);
}

function pick(packument, spec, options) {
  try {
    return pickManifest(packument, spec.fetchSpec, options);
  } catch (error) {
    if (error.code === 'ETARGET' || error.code === 'ENOVERSIONS') return undefined;
    if (error.code === 'E403') throw new Failure(code.PERMISSION_DENIED, error.message, { cause: error });
    throw error;
  }
}

function wanted(spec, npm) {
  const before = npm.before ? ` from before ${new Date(npm.before).toISOString()}` : '';
  return `${spec.fetchSpec === '*' ? `tagged ${npm.defaultTag}` : spec.fetchSpec}${before}`;
}
