// AutoMTLS: the host's certificate and no other.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import grpc from '@grpc/grpc-js';
import { identity } from './with/identity.mjs';
import { startPlugin } from './with/plugin.mjs';
import { test } from './with/test.mjs';

/** Credentials with which `who` connects to the plugin that showed `field` in its handshake line. */
function credentials(field, who) {
  const server = new X509Certificate(Buffer.from(field, 'base64'));
  return grpc.credentials.createSsl(Buffer.from(server.toString()), who.key, Buffer.from(who.pem));
}

async function health(t, host, who) {
  const plugin = await startPlugin(t, { env: { PLUGIN_CLIENT_CERT: host.pem } });
  plugin.connect(credentials(plugin.fields[5], who));
  return plugin.call('Check', { service: 'plugin' }, plugin.health);
}

for (const options of [{}, { namedCurve: 'P-521', authority: true }]) {
  test(`a host with ${JSON.stringify(options)} is accepted`, async (t) => {
    const host = await identity(options);
    assert.equal((await health(t, host, host)).status, 1);
  });
}

test('another certificate is refused', async (t) => {
  await assert.rejects(health(t, await identity(), await identity()), { code: 14 });
});

test('a certificate that the host’s own vouches for is refused', async (t) => {
  const host = await identity({ authority: true });
  const guest = await identity({ issuer: host });
  await assert.rejects(health(t, host, guest), { code: 16, details: /not the one of PLUGIN_CLIENT_CERT/ });
});

test('the plugin’s certificate is good for localhost, as server and client, and has base64 without padding', async (t) => {
  const plugin = await startPlugin(t, { env: { PLUGIN_CLIENT_CERT: (await identity()).pem } });
  const certificate = new X509Certificate(Buffer.from(plugin.fields[5], 'base64'));
  assert.equal(certificate.checkHost('localhost'), 'localhost');
  assert.deepEqual(certificate.keyUsage, ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
  assert.equal(certificate.ca, false);
  assert.doesNotMatch(plugin.fields[5], /=/);
});

test('where the variable holds no certificate the plugin exits with a reason', async (t) => {
  const plugin = await startPlugin(t, { env: { PLUGIN_CLIENT_CERT: 'none' } });
  assert.equal((await plugin.ended).code, 1);
  assert.equal(plugin.stdout, '');
  assert.match(plugin.stderr, /PLUGIN_CLIENT_CERT holds no certificate/);
});
