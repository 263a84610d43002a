// Registries that speak TLS, and proxies.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import https from 'node:https';
import os from 'node:os';
import path from 'node:path';
import { identity } from './with/identity.mjs';
import { startPlugin } from './with/plugin.mjs';
import { startStorage } from './with/storage.mjs';
import { test } from './with/test.mjs';

const INVALID_ARGUMENT = 3;

/** A registry for localhost with a certificate of its own making, and that in a file. */
async function setting(t, { redirect } = {}) {
  const { key, pem } = await identity();
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'npm-plugin-'));
  const cafile = path.join(directory, 'ca.pem');
  fs.writeFileSync(cafile, pem);
  const requests = [];
  const server = https.createServer({ key, cert: pem }, (request, response) => {
    requests.push(request);
    if (redirect) return response.writeHead(302, { location: `${redirect}${request.url}` }).end();
    if (request.url.includes('/-/')) return response.end(request.method === 'HEAD' ? '' : 'body');
    const tarball = `https://localhost:${server.address().port}/thing/-/1.tgz`;
    response.end(JSON.stringify({ name: 'thing', 'dist-tags': { latest: '1.0.0' }, versions: { '1.0.0': { version: '1.0.0', dist: { tarball } } } }));
  });
  server.listen(0, 'localhost');
  await once(server, 'listening');
  t.after(() => (server.closeAllConnections(), server.close(), fs.rmSync(directory, { recursive: true })));
  const url = `https://localhost:${server.address().port}/`;
  return { url, cafile, requests, resource: { url: 'npm://default/thing' } };
}

test('an authority that is not known is refused, and the message says what to do', async (t) => {
  const { url, resource, requests } = await setting(t);
  const plugin = await startPlugin(t, { init: { registry: url } });
  await assert.rejects(plugin.call('GetMetadata', { resource }), { code: INVALID_ARGUMENT, details: /certificate is not accepted.*--opt cafile=FILE/ });
  assert.equal(requests.length, 0);
});

test('an authority is named by the option, by SSL_CERT_FILE, or not at all with strict-ssl=false', async (t) => {
  const { url, cafile, resource } = await setting(t);
  for (const [init, env] of [[{ cafile }, {}], [{}, { SSL_CERT_FILE: cafile }], [{ 'strict-ssl': 'false' }, {}]]) {
    const plugin = await startPlugin(t, { init: { registry: url, ...init }, env });
    assert.ok((await plugin.call('GetMetadata', { resource })).metadata);
  }
});

test('a token does not go out in the clear where a registry with TLS redirects to one without', async (t) => {
  const plain = await startStorage(t, { packages: { thing: { '1.0.0': Buffer.from('x') } } });
  const { url, cafile, resource } = await setting(t, { redirect: `http://localhost:${plain.port}` });
  // The token is filed under both.
  const plugin = await startPlugin(t, { npmrc: `//localhost:${plain.port}/:_authToken=secret\n`, init: { registry: url, cafile, token: 'secret' } });
  await plugin.call('GetMetadata', { resource });
  assert.equal(plain.requests[0].headers.authorization, undefined);
});

test('the proxy of the environment is asked', async (t) => {
  const proxy = await startStorage(t, { packages: {}, serve: (_request, response) => response.writeHead(418).end() });
  const plugin = await startPlugin(t, { init: { registry: 'http://registry.invalid/' }, env: { http_proxy: proxy.url } });
  await assert.rejects(plugin.call('GetMetadata', { resource: { url: 'npm://default/thing' } }), { code: INVALID_ARGUMENT, details: /answered 418/ });
  assert.equal(proxy.requests[0].url, 'http://registry.invalid/thing');
});
