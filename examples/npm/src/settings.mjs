// The options of Init, checked, and on top of what npm's own configuration files say.
import fs from 'node:fs';
import { loadNpmConfig } from './npmrc.mjs';
import { Failure, code } from './status.mjs';

// Each option of the same name as a setting of npm means the same. `token` and `metadata` are ours.
const OPTIONS = {
  registry: checkUrl,
  token: checkToken,
  userconfig: checkFile,
  globalconfig: checkFile,
  cafile: checkFile,
  'strict-ssl': oneOf('true', 'false'),
  tag: checkTag,
  before: checkDate,
  metadata: oneOf('abbreviated', 'full'),
};
const OURS = new Set(['token', 'metadata']);

/**
 * `npm`: settings in the form in which npm's libraries take them. `fullMetadata`: ask the registry for the long
 * document, which has the times of publication.
 */
export async function readSettings(options, env) {
  for (const [name, value] of Object.entries(options)) check(name, value);
  const forNpm = Object.entries(options).filter(([name]) => !OURS.has(name));
  const npm = await loadNpmConfig(Object.fromEntries(forNpm), env);
  if (options.token !== undefined) npm[`${nerfDart(npm.registry)}:_authToken`] = options.token;
  if (!npm.ca && env.SSL_CERT_FILE) npm.ca = readAuthorities(env.SSL_CERT_FILE);
  return { npm, fullMetadata: options.metadata === 'full' || Boolean(npm.before) };
}

/** The prefix under which npm keeps what belongs to a registry: `//host/path/`. */
export function nerfDart(registry) {
  const { host, pathname } = new URL(registry);
  return `//${host}${pathname.replace(/\/?$/, '/')}`;
}

function check(name, value) {
  if (!Object.hasOwn(OPTIONS, name)) {
    throw refuse(`there is no option ${name}; there are ${Object.keys(OPTIONS).join(', ')}`);
  }
  OPTIONS[name](name, value);
}

function checkUrl(name, value) {
  const protocol = URL.canParse(value) && new URL(value).protocol;
  if (protocol !== 'https:' && protocol !== 'http:') throw refuse(`option ${name}: an http or https URL is wanted`);
  if (new URL(value).username) throw refuse(`option ${name}: the URL has a user; give a token with option token`);
}

// Not shown: it is a secret.
function checkToken(name, value) {
  if (!/^[\x21-\x7e]+$/.test(value)) throw refuse(`option ${name}: it is empty, or has a space or a character that HTTP does not take`);
}

function checkFile(name, value) {
  if (!value.startsWith('/')) throw refuse(`option ${name}: an absolute path is wanted, not ${value}`);
  try {
    fs.accessSync(value, fs.constants.R_OK);
  } catch (cause) {
    throw refuse(`option ${name}: ${value} cannot be read (${cause.code})`, cause);
  }
}

function checkTag(name, value) {
  if (value === '' || encodeURIComponent(value) !== value) throw refuse(`option ${name}: ${value} is no name of a tag`);
}

function checkDate(name, value) {
  if (Number.isNaN(Date.parse(value))) throw refuse(`option ${name}: a date is wanted, such as 2026-01-31, not ${value}`);
}

function oneOf(...words) {
  return (name, value) => {
    if (!words.includes(value)) throw refuse(`option ${name}: ${words.join(' or ')} is wanted, not ${value}`);
  };
}

// Node does not look at this variable by itself; the host passes it on for all plugins alike.
function readAuthorities(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (cause) {
    throw refuse(`SSL_CERT_FILE: ${file} cannot be read (${cause.code})`, cause);
  }
}

function refuse(message, cause) {
  return new Failure(code.INVALID_ARGUMENT, message, { cause });
}
