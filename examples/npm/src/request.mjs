// HTTP towards a registry, with npm's own rules for credentials and npm's own agent (proxies, authorities, reuse).
//
// Not npm-registry-fetch itself: the body of its answers takes whatever the network delivers into memory, however slowly
// it is read, and a header of the user would follow a redirect to another host.
import http from 'node:http';
import https from 'node:https';
import { pipeline } from 'node:stream';
import zlib from 'node:zlib';
import { getAgent } from '@npmcli/agent';
import getAuth from 'npm-registry-fetch/lib/auth.js';
import { log } from './log.mjs';
import { Failure, code } from './status.mjs';
import { failureOf, refusalOf } from './refusal.mjs';

const SECOND = 1000;
const MIB = 1024 * 1024;
const DOCUMENT = 256 * MIB; // of a package with very many versions, unpacked, and then some
const HEADERS_WITHIN = 25 * SECOND; // dfget gives a call 30 s
const CONNECT_WITHIN = 10 * SECOND;
const REDIRECTS = 5;
const USER_AGENT = 'd7y-resource-plugin-npm';
// They decide how the bytes come, which is this plugin's affair.
const RESERVED = new Set(['accept-encoding', 'connection', 'content-length', 'expect', 'host', 'if-range', 'range', 'te', 'transfer-encoding', 'upgrade']);

/**
 * The answer of the registry, or of whoever it redirects to, as Node's IncomingMessage; its status is less than 400 or
 * among `accepted`. The caller reads the body or destroys it.
 */
export async function request(url, asked) {
  let target = url;
  for (let hop = 0; hop <= REDIRECTS; hop += 1) {
    const response = await send(target, asked);
    log.debug('asked', { method: asked.method ?? 'GET', url: shown(target), status: response.statusCode });
    const { location } = response.headers;
    if (!(response.statusCode >= 300 && response.statusCode < 400 && location)) return checked(response, target, asked);
    response.destroy();
    target = follow(location, target);
  }
  throw new Failure(code.UNAVAILABLE, `${shown(url)} redirects more than ${REDIRECTS} times`);
}

/** The document at a URL. */
export async function requestJson(url, asked) {
  const response = await request(url, { ...asked, extra: { accept: asked.accept, 'accept-encoding': 'gzip' } });
  const text = await readText(response, shown(url));
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Failure(code.INVALID_ARGUMENT, `${shown(url)} answered no JSON: is this a registry?`, { cause });
  }
}

async function readText(response, url) {
  const parts = [];
  let length = 0;
  try {
    for await (const part of unpacked(response)) {
      length += part.length;
      if (length > DOCUMENT) throw new Failure(code.INVALID_ARGUMENT, `${url} answered more than ${DOCUMENT / MIB} MiB: is this a registry?`);
      parts.push(part);
    }
  } catch (error) {
    response.destroy();
    throw failureOf(error, url);
  }
  return Buffer.concat(parts).toString();
}

function unpacked(response) {
  if (response.headers['content-encoding'] !== 'gzip') return response;
  return pipeline(response, zlib.createGunzip(), () => {}); // an error arrives at the reader, too
}

async function checked(response, url, { accepted = [] }) {
  if (response.statusCode < 400 || accepted.includes(response.statusCode)) return response;
  throw await refusalOf(response, shown(url));
}

function follow(location, from) {
  const target = URL.canParse(location, from) && new URL(location, from);
  if (target && ['http:', 'https:'].includes(target.protocol)) return target;
  throw new Failure(code.UNAVAILABLE, `${shown(from)} redirects to what is no http or https URL`);
}

async function send(url, asked) {
  try {
    return await sendOnce(url, asked);
  } catch (error) {
    // The server closed a kept connection just when it was taken up again: nothing was asked yet.
    if (!error.stale) throw failureOf(error, shown(url));
    return sendOnce(url, asked).catch((again) => { throw failureOf(again, shown(url)); });
  }
}

function sendOnce(url, asked) {
  const credentials = credentialsFor(url, asked);
  const options = { method: asked.method ?? 'GET', agent: agentFor(url, asked, credentials), signal: asked.signal };
  const headers = { 'user-agent': USER_AGENT, ...credentials.headers, ...asked.extra };
  return new Promise((resolve, reject) => {
    const outgoing = (url.protocol === 'https:' ? https : http).request(url, { ...options, headers });
    const late = () => outgoing.destroy(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' }));
    const timer = setTimeout(late, HEADERS_WITHIN);
    outgoing.once('close', () => clearTimeout(timer));
    outgoing.once('error', (error) => reject(Object.assign(error, { stale: error.code === 'ECONNRESET' && outgoing.reusedSocket })));
    outgoing.once('response', (response) => (clearTimeout(timer), resolve(response)));
    outgoing.end();
  });
}

// npm's rules: credentials go to the registry that they are filed under, and to nobody else. What the user set with -H
// goes to the registry's own origin. Neither goes out in the clear where the registry itself speaks TLS.
function credentialsFor(url, { registry, settings, header }) {
  if (registry.protocol === 'https:' && url.protocol === 'http:') return { headers: {} };
  const { token, auth, cert, key } = getAuth(url.href, { ...settings.npm, registry: registry.href });
  refuseUnresolved(token ?? auth, registry);
  const authorization = token ? `Bearer ${token}` : auth && `Basic ${auth}`;
  const own = url.origin === registry.origin ? userHeaders(header) : {};
  return { headers: { ...(authorization && { authorization }), ...own }, cert, key };
}

// npm leaves ${NAME} as it is where there is no such variable, and the host withholds most variables.
function refuseUnresolved(secret, registry) {
  const name = /\$\{([^}]+)\}/.exec(secret ?? '')?.[1];
  if (name) throw new Failure(code.UNAUTHENTICATED, `the token for ${registry.host} is in the variable ${name}, which this plugin does not have: dfget --plugin-env ${name}`);
}

function userHeaders(header) {
  const headers = {};
  for (const { name = '', value = '' } of header) {
    const key = name.toLowerCase();
    if (RESERVED.has(key)) throw new Failure(code.INVALID_ARGUMENT, `the header ${name} cannot be set: the plugin decides how it asks`);
    checkHeader(name, value);
    headers[key] = key in headers ? `${headers[key]}, ${value}` : value;
  }
  return headers;
}

function checkHeader(name, value) {
  try {
    http.validateHeaderName(name);
    http.validateHeaderValue(name, value);
  } catch (cause) {
    throw new Failure(code.INVALID_ARGUMENT, `the header ${JSON.stringify(name)} makes no sense to HTTP`, { cause });
  }
}

function agentFor(url, { settings: { npm } }, { cert, key }) {
  return getAgent(url.href, {
    ca: npm.ca,
    cert: cert ?? npm.cert,
    key: key ?? npm.key,
    rejectUnauthorized: npm.strictSSL !== false,
    localAddress: npm.localAddress,
    proxy: npm.httpsProxy ?? npm.proxy,
    noProxy: npm.noProxy,
    maxSockets: Infinity, // how many at once is the host's to say; a download that is held back must not keep others waiting
    timeouts: { connection: CONNECT_WITHIN }, // no idle one: a download that the host holds back is idle, and well
  });
}

/** A URL as it may be shown: without a user, and without a query, which may be a signature. */
export function shown(url) {
  return `${url.origin}${url.pathname}`;
}
