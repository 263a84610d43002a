// Takes an npm URL apart: npm://registry/package@version, or with a slash behind the package, its versions.
import npa from 'npm-package-arg';
import { Failure, code } from './status.mjs';

const FORM = 'npm://REGISTRY/PACKAGE[@VERSION], where REGISTRY is a host or the word default';

/**
 * `registry`: as in the URL, empty for the configured one. `spec`: npm's own reading of package and version.
 * `directory`: the URL ends with a slash and so names the versions, not one of them.
 */
export function parseLocator(url) {
  const parsed = parse(url);
  if (parsed.username || parsed.password) throw refuse('the URL has a user: credentials belong into ~/.npmrc or --opt token=…');
  if (parsed.search || parsed.hash) throw refuse(`an npm URL has neither a query nor a fragment: ${FORM}`);
  const directory = parsed.pathname.endsWith('/');
  const spec = parseSpec(decode(parsed.pathname.replace(/^\//, '').replace(/\/$/, '')));
  return { authority: parsed.host, registry: parsed.host.toLowerCase() === 'default' ? '' : parsed.host, spec, directory };
}

/** The URL of one version, with the registry as the user wrote it. */
export function versionUrl(authority, name, version) {
  const path = `${name}@${version}`.split('/').map((part) => encodeURIComponent(part).replaceAll('%40', '@')).join('/');
  return `npm://${authority}/${path}`;
}

function parse(url) {
  try {
    return new URL(url);
  } catch (cause) {
    throw refuse(`the URL makes no sense: ${FORM}`, cause);
  }
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw refuse('the URL has a % that is not followed by the two digits of a UTF-8 byte; a % itself is %25', cause);
  }
}

function parseSpec(text) {
  if (text === '') throw refuse(`no package is named, and a registry has no complete list of its packages: ${FORM}`);
  if (/^@[^/]*$/.test(text)) throw refuse(`${text} is a scope, and a registry has no complete list of its packages: name one, ${text}/PACKAGE`);
  if (/^(@[^/@]+\/)?[^/@]+\//.test(text)) throw refuse(`${text} has a path behind the package: a version is written PACKAGE@VERSION`);
  const spec = readSpec(text);
  const plain = spec.registry && ['version', 'range', 'tag'].includes(spec.type) && spec.name;
  if (!plain) throw refuse(`${text} is no package of a registry with a version, a tag or a semver range`);
  return spec;
}

function readSpec(text) {
  try {
    return npa(text, '/');
  } catch (cause) {
    throw refuse(`${text}: ${cause.message}`, cause);
  }
}

function refuse(message, cause) {
  return new Failure(code.INVALID_ARGUMENT, message, { cause });
}
