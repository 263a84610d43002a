// A registry that misbehaves, or is better than Verdaccio: it serves parts, redirects, cuts bodies, is busy.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import { Readable } from 'node:stream';

const PART = 64 * 1024;

/**
 * `packages`: name → version → bytes of the tarball. `serve(request, response, context)` may answer in its own way and
 * return true. What was asked is in `requests`.
 */
export async function startStorage(t, { packages, serve = () => false }) {
  const requests = [];
  const server = http.createServer((request, response) => {
    requests.push({ method: request.method, url: request.url, headers: request.headers, response });
    if (!serve(request, response, { packages, requests })) answer(request, response, packages, server);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => (server.closeAllConnections(), server.close()));
  const { port } = server.address();
  return { requests, port, host: `127.0.0.1:${port}`, url: `http://127.0.0.1:${port}/` };
}

function answer(request, response, packages, server) {
  const [, name, , file] = decodeURIComponent(request.url).match(/^\/((?:@[^/]+\/)?[^/]+)(\/-\/(.+))?$/) ?? [];
  if (!packages[name]) return response.writeHead(404).end('{"error":"nothing here"}');
  if (!file) return response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(packument(name, packages[name], server.address().port)));
  sendTarball(request, response, packages[name][file.replace(/\.tgz$/, '')]);
}

export function packument(name, versions, port) {
  const entries = Object.entries(versions).map(([version, bytes]) => [version, {
    name,
    version,
    dist: { tarball: `http://127.0.0.1:${port}/${name}/-/${version}.tgz`, integrity: integrity(bytes), shasum: hash('sha1', bytes).toString('hex') },
  }]);
  return { name, 'dist-tags': { latest: Object.keys(versions).at(-1) }, versions: Object.fromEntries(entries) };
}

function sendTarball(request, response, bytes) {
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
  const headers = { 'accept-ranges': 'bytes', 'content-type': 'application/octet-stream' };
  if (first === undefined) return send(request, response.writeHead(200, { ...headers, 'content-length': bytes.length }), bytes);
  if (Number(first) >= bytes.length) return response.writeHead(416, { ...headers, 'content-range': `bytes */${bytes.length}` }).end();
  const end = last === '' ? bytes.length : Math.min(Number(last) + 1, bytes.length);
  const range = `bytes ${first}-${end - 1}/${bytes.length}`;
  send(request, response.writeHead(206, { ...headers, 'content-range': range, 'content-length': end - first }), bytes.subarray(Number(first), end));
}

// Part by part, at the pace at which they are taken: `response.taken` says how far it came.
function send(request, response, bytes) {
  response.taken = 0;
  if (request.method === 'HEAD') return response.end();
  Readable.from(parts(response, bytes)).pipe(response);
}

function* parts(response, bytes) {
  for (let first = 0; first < bytes.length; first += PART) {
    yield bytes.subarray(first, first + PART);
    response.taken = Math.min(first + PART, bytes.length);
  }
}

function integrity(bytes) {
  return `sha512-${hash('sha512', bytes).toString('base64')}`;
}

function hash(algorithm, bytes) {
  return createHash(algorithm).update(bytes).digest();
}
