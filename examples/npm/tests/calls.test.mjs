// The calls, one by one, as a host makes them; the registry is one that serves parts, or fails as it is told.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { bodyOf, startPlugin } from './with/plugin.mjs';
import { packument, startStorage } from './with/storage.mjs';
import { test } from './with/test.mjs';

const MIB = 1024 * 1024;
const CODE = { CANCELLED: 1, INVALID_ARGUMENT: 3, DEADLINE_EXCEEDED: 4, NOT_FOUND: 5, PERMISSION_DENIED: 7, FAILED_PRECONDITION: 9, OUT_OF_RANGE: 11, INTERNAL: 13, UNAVAILABLE: 14, DATA_LOSS: 15, UNAUTHENTICATED: 16 };
const bytes = randomBytes(3 * MIB + 17);
const hex = (algorithm, data) => createHash(algorithm).update(data).digest('hex');

/** A storage with the package `thing`, a plugin, and the resource. */
async function setting(t, { versions = { '1.0.0': bytes }, serve, init = {} } = {}) {
  const storage = await startStorage(t, { packages: { thing: versions }, serve });
  const plugin = await startPlugin(t, { init });
  return { storage, plugin, resource: { url: `npm://${storage.host}/thing` } };
}

const isTarball = (request) => request.url.includes('/-/');

test('Init tells what the plugin is, and describing needs no option', async (t) => {
  const plugin = await startPlugin(t);
  const { attributes } = await plugin.call('Init', { scheme: 'npm', describe: true });
  assert.deepEqual([attributes.type, attributes.name, attributes.scheme], ['resource', 'npm', 'npm']);
  await assert.rejects(plugin.call('Init', { scheme: 'other' }), { code: CODE.INVALID_ARGUMENT, details: /serves npm, not other/ });
});

test('before Init, and without a resource, every call is refused', async (t) => {
  const plugin = await startPlugin(t);
  const resource = { url: 'npm://default/thing' };
  const refused = async (request, told) => {
    for (const name of ['GetMetadata', 'GetContentLength', 'IsSupportRange', 'IsExpired', 'GetLastModified']) {
      await assert.rejects(plugin.call(name, request), { code: CODE.INVALID_ARGUMENT, details: told });
    }
    for (const name of ['Download', 'List']) {
      const { messages, error } = await plugin.stream(name, request);
      assert.deepEqual([messages.length, error.code], [0, CODE.INVALID_ARGUMENT]);
      assert.match(error.details, told);
    }
  };
  await refused({ resource }, /Init has not succeeded/);
  await plugin.call('Init', { scheme: 'npm', describe: true });
  await refused({ resource }, /Init has not succeeded/);
  await plugin.call('Init', { scheme: 'npm' });
  await refused({}, /names no resource/);
});

test('an Init that fails leaves the configuration as it was', async (t) => {
  const { plugin, resource } = await setting(t);
  await assert.rejects(plugin.call('Init', { scheme: 'npm', options: { nonsense: '1' } }), { code: CODE.INVALID_ARGUMENT });
  assert.equal((await plugin.call('GetContentLength', { resource })).contentLength, bytes.length);
});

test('the metadata are those of the tarball, and the short calls agree', async (t) => {
  const { plugin, resource } = await setting(t);
  const { metadata } = await plugin.call('GetMetadata', { resource });
  assert.equal(metadata.contentLength, bytes.length);
  assert.equal(metadata.supportRange, true);
  assert.equal(metadata.contentType, 'application/octet-stream');
  assert.match(metadata.validator.etag, /^"sha512-/);
  assert.deepEqual(metadata.digests, [{ algorithm: 'sha512', hex: hex('sha512', bytes) }, { algorithm: 'sha1', hex: hex('sha1', bytes) }]);
  assert.equal((await plugin.call('GetContentLength', { resource })).contentLength, bytes.length);
  assert.equal((await plugin.call('IsSupportRange', { resource })).supportRange, true);
  assert.equal((await plugin.call('GetLastModified', { resource })).lastModified, -1);
  assert.equal((await plugin.call('IsExpired', { resource, validator: metadata.validator })).expired, false);
  assert.equal((await plugin.call('IsExpired', { resource, validator: { etag: '"other"' } })).expired, true);
  assert.equal((await plugin.call('IsExpired', { resource })).expired, true);
});

test('the times of publication are the last change, where the document has them', async (t) => {
  const time = { '1.0.0': '2021-12-13T08:53:04.567Z' };
  const serve = (request, response, { packages }) => {
    if (isTarball(request)) return false;
    return response.end(JSON.stringify({ ...packument('thing', packages.thing, request.socket.localPort), time }));
  };
  const { plugin, resource } = await setting(t, { serve });
  const expected = Date.parse(time['1.0.0']);
  assert.equal((await plugin.call('GetLastModified', { resource })).lastModified, expected);
  assert.equal((await plugin.call('IsExpired', { resource, validator: { lastModified: expected } })).expired, false);
  const { messages } = await plugin.stream('Download', { resource });
  const listed = await plugin.stream('List', { resource });
  assert.deepEqual(messages[0].opened.metadata.validator, listed.messages[0].entries[0].metadata.validator);
});

test('versions from after the date of option before are neither chosen nor listed', async (t) => {
  const time = { '1.0.0': '2020-01-01T00:00:00Z', '2.0.0': '2025-01-01T00:00:00Z' };
  const versions = { '1.0.0': Buffer.from('old'), '2.0.0': Buffer.from('newer') };
  const serve = (request, response, { packages }) => !isTarball(request)
    && response.end(JSON.stringify({ ...packument('thing', packages.thing, request.socket.localPort), time }));
  const { plugin, resource, storage } = await setting(t, { versions, serve, init: { before: '2021-06-01' } });
  assert.equal((await plugin.call('GetContentLength', { resource })).contentLength, 'old'.length);
  const { messages } = await plugin.stream('List', { resource });
  assert.deepEqual(messages[0].entries.map(({ name }) => name), ['thing-1.0.0.tgz']);
  assert.equal(storage.requests[0].headers.accept, 'application/json');
});

test('a mirror whose document names npm’s own registry is asked itself', async (t) => {
  const serve = (request, response, { packages }) => !isTarball(request)
    && response.end(JSON.stringify(packument('thing', packages.thing, 1)).replaceAll('http://127.0.0.1:1/', 'https://registry.npmjs.org/'));
  const { plugin, resource } = await setting(t, { serve });
  assert.equal((await plugin.call('GetContentLength', { resource })).contentLength, bytes.length);
});

test('a body is Opened, chunks of at most 1 MiB at their places, and End', async (t) => {
  const { plugin, resource } = await setting(t);
  const { messages, error } = await plugin.stream('Download', { resource });
  assert.equal(error, undefined);
  assert.deepEqual(messages[0].opened.range, { start: 0, length: bytes.length });
  assert.ok(messages.slice(1, -1).every(({ chunk }) => chunk.data.length <= MIB));
  assert.deepEqual(messages.at(-1), { end: { total: bytes.length } });
  assert.ok(bodyOf(messages).equals(bytes));
});

for (const [range, start, end] of [
  [{ start: 1000, length: 5 }, 1000, 1005],
  [{ start: MIB }, MIB, bytes.length],
  [{ start: 0, length: 1 }, 0, 1],
  [{ start: bytes.length - 1, length: 100 }, bytes.length - 1, bytes.length],
  [{ start: 7, length: 0 }, 7, 7],
]) {
  test(`the range ${JSON.stringify(range)} is served as it is asked for`, async (t) => {
    const { plugin, resource } = await setting(t);
    const { messages, error } = await plugin.stream('Download', { resource, range });
    assert.equal(error, undefined);
    assert.deepEqual(messages[0].opened.range, { start, length: end - start });
    assert.equal(messages[0].opened.metadata.contentLength, bytes.length);
    assert.ok(bodyOf(messages).equals(bytes.subarray(start, end)));
    assert.deepEqual(messages.at(-1), { end: { total: end - start } });
  });
}

test('a range behind the end is out of range', async (t) => {
  const { plugin, resource } = await setting(t);
  for (const start of [bytes.length, bytes.length + 1]) {
    const { messages, error } = await plugin.stream('Download', { resource, range: { start } });
    assert.deepEqual([messages.length, error.code], [0, CODE.OUT_OF_RANGE]);
  }
});

test('a registry without parts sends from 0, and of a beginning no more than was asked for', async (t) => {
  const serve = (request, response) => isTarball(request) && response.writeHead(200, { 'content-length': bytes.length }).end(request.method === 'HEAD' ? '' : bytes);
  const { plugin, resource } = await setting(t, { serve });
  assert.equal((await plugin.call('IsSupportRange', { resource })).supportRange, false);
  const later = await plugin.stream('Download', { resource, range: { start: 1000, length: 5 } });
  assert.deepEqual(later.messages[0].opened.range, { start: 0, length: bytes.length });
  assert.ok(bodyOf(later.messages).equals(bytes));
  const beginning = await plugin.stream('Download', { resource, range: { start: 0, length: 10 } });
  assert.ok(bodyOf(beginning.messages).equals(bytes.subarray(0, 10)));
  const behind = await plugin.stream('Download', { resource, range: { start: bytes.length } });
  assert.equal(behind.error.code, CODE.OUT_OF_RANGE);
});

test('an empty tarball is Opened and End', async (t) => {
  const { plugin, resource } = await setting(t, { versions: { '1.0.0': Buffer.alloc(0) } });
  for (const range of [undefined, { start: 0 }, { start: 0, length: 10 }]) {
    const { messages, error } = await plugin.stream('Download', { resource, range });
    assert.equal(error, undefined);
    assert.deepEqual(messages.map((message) => Object.keys(message)[0]), ['opened', 'end']);
    assert.deepEqual(messages[0].opened.range, { start: 0, length: 0 });
    assert.deepEqual(messages[1], { end: { total: 0 } });
  }
});

test('another version than the validator names is not served', async (t) => {
  const { plugin, resource } = await setting(t);
  const { metadata } = await plugin.call('GetMetadata', { resource });
  const same = await plugin.stream('Download', { resource, validator: metadata.validator });
  assert.equal(same.error, undefined);
  for (const validator of [{ etag: '"sha512-other"' }, { lastModified: 5 }]) {
    const { messages, error } = await plugin.stream('Download', { resource, validator });
    assert.deepEqual([messages.length, error.code], [0, CODE.FAILED_PRECONDITION]);
  }
});

test('a body that ends early is DATA_LOSS, with and without parts', async (t) => {
  const serve = (request, response) => {
    if (!isTarball(request) || request.method === 'HEAD') return false;
    response.writeHead(200, { 'content-length': bytes.length });
    response.write(bytes.subarray(0, MIB), () => response.destroy());
    return true;
  };
  const { plugin, resource } = await setting(t, { serve });
  const { messages, error } = await plugin.stream('Download', { resource });
  assert.equal(error.code, CODE.DATA_LOSS);
  assert.equal(messages.filter(({ end }) => end).length, 0);
});

test('a body of unknown length that breaks off is an error, and one that ends is complete', async (t) => {
  let whole = true;
  const serve = (request, response) => {
    if (!isTarball(request) || request.method === 'HEAD') return false;
    response.write(bytes, () => (whole ? response.end() : response.destroy()));
    return true;
  };
  const { plugin, resource } = await setting(t, { serve });
  const good = await plugin.stream('Download', { resource });
  assert.equal(good.error, undefined);
  assert.equal(good.messages[0].opened.range.length, undefined);
  assert.ok(bodyOf(good.messages).equals(bytes));
  whole = false;
  const bad = await plugin.stream('Download', { resource });
  assert.equal(bad.error.code, CODE.UNAVAILABLE);
});

for (const [status, code] of [[400, 'INVALID_ARGUMENT'], [401, 'UNAUTHENTICATED'], [403, 'PERMISSION_DENIED'], [404, 'NOT_FOUND'], [410, 'NOT_FOUND'], [429, 'UNAVAILABLE'], [500, 'UNAVAILABLE'], [503, 'UNAVAILABLE']]) {
  test(`${status} of the registry is ${code}, for the document and for the tarball`, async (t) => {
    let document = true;
    const serve = (request, response) => (document || isTarball(request)) && response.writeHead(status).end('{"error":"its own words"}');
    const { plugin, resource } = await setting(t, { serve });
    await assert.rejects(plugin.call('GetMetadata', { resource }), { code: CODE[code], details: new RegExp(`answered ${status}; its own words`) });
    document = false;
    const { messages, error } = await plugin.stream('Download', { resource });
    assert.deepEqual([messages.length, error.code], [0, CODE[code]]);
  });
}

test('a registry that asks for patience says for how long', async (t) => {
  const serve = (_request, response) => response.writeHead(503, { 'retry-after': '7' }).end();
  const { plugin, resource } = await setting(t, { serve });
  const error = await plugin.call('GetMetadata', { resource }).catch((failure) => failure);
  const [details] = error.metadata.get('grpc-status-details-bin');
  assert.ok(details.includes(Buffer.from('type.googleapis.com/google.rpc.RetryInfo')));
  assert.ok(details.includes(Buffer.from([0x0a, 0x02, 0x08, 7]))); // RetryInfo{ retry_delay { seconds: 7 } }
});

test('a page instead of a document is told as such', async (t) => {
  const serve = (_request, response) => response.end('<html>');
  const { plugin, resource } = await setting(t, { serve });
  await assert.rejects(plugin.call('GetMetadata', { resource }), { code: CODE.INVALID_ARGUMENT, details: /is this a registry\?/ });
});

test('documents without what they should have are no crash', async (t) => {
  const documents = ['null', '[]', '1', '{}', '{"versions":{"1.0.0":{}}}', '{"name":"thing","versions":{"1.0.0":{"version":"1.0.0","dist":{"tarball":"nonsense","integrity":7}}}}'];
  const serve = (_request, response) => response.end(documents.shift());
  const { plugin, resource } = await setting(t, { serve });
  for (let left = documents.length; left > 0; left -= 1) {
    const request = { resource, validator: undefined };
    await assert.rejects(plugin.call('IsExpired', request), ({ code }) => [CODE.NOT_FOUND, CODE.INVALID_ARGUMENT].includes(code));
  }
});

test('a token goes to its registry and to no host that it redirects to', async (t) => {
  const elsewhere = await startStorage(t, { packages: { thing: { '1.0.0': bytes } } });
  const serve = (request, response) => isTarball(request) && response.writeHead(302, { location: `http://localhost:${elsewhere.port}${request.url}` }).end();
  const storage = await startStorage(t, { packages: { thing: { '1.0.0': bytes } }, serve });
  const plugin = await startPlugin(t, { init: { registry: storage.url, token: 'secret' } });
  const resource = { url: 'npm://default/thing', header: [{ name: 'X-Also-Secret', value: 'yes' }, { name: 'x-also-secret', value: 'no' }] };
  const { messages, error } = await plugin.stream('Download', { resource });
  assert.equal(error, undefined);
  assert.ok(bodyOf(messages).equals(bytes));
  for (const { headers } of storage.requests) assert.deepEqual([headers.authorization, headers['x-also-secret']], ['Bearer secret', 'yes, no']);
  assert.equal(elsewhere.requests.length, 1);
  for (const { headers } of elsewhere.requests) assert.deepEqual([headers.authorization, headers['x-also-secret']], [undefined, undefined]);
});

test('a redirect without end, or to nowhere, is an error', async (t) => {
  for (const location of ['/again', 'file:///etc/passwd', 'http://']) {
    const serve = (_request, response) => response.writeHead(302, { location }).end();
    const { plugin, resource } = await setting(t, { serve });
    await assert.rejects(plugin.call('GetMetadata', { resource }), { code: CODE.UNAVAILABLE, details: /redirects/ });
  }
});

test('headers that decide how the bytes come are refused', async (t) => {
  const { plugin, resource } = await setting(t);
  for (const header of [{ name: 'Range', value: 'bytes=0-1' }, { name: 'a b', value: '1' }, { name: 'a', value: 'x\ny' }]) {
    await assert.rejects(plugin.call('GetMetadata', { resource: { ...resource, header: [header] } }), { code: CODE.INVALID_ARGUMENT });
  }
});

test('a cancelled download lets go of the registry within a second', async (t) => {
  const { plugin, resource, storage } = await setting(t, { versions: { '1.0.0': randomBytes(64 * MIB) } });
  const download = plugin.source.Download({ resource });
  download.on('error', () => {});
  await once(download, 'data');
  const { response } = storage.requests.find(isTarball);
  const began = Date.now();
  download.cancel();
  await once(response, 'close');
  assert.ok(Date.now() - began < 1000);
  assert.ok(response.taken < 64 * MIB, `${response.taken} bytes were taken`);
});

test('a call that is cancelled while the registry is silent ends, and others go on', async (t) => {
  let silent;
  const serve = (request, response) => isTarball(request) && Boolean((silent = response));
  const { plugin, resource } = await setting(t, { serve });
  const download = plugin.source.Download({ resource });
  download.on('error', () => {});
  download.resume();
  while (!silent) await new Promise((resolve) => setTimeout(resolve, 2));
  download.cancel();
  await once(silent, 'close');
  assert.equal((await plugin.call('Check', { service: 'plugin' }, plugin.health)).status, 1);
});

test('a body that nobody reads is not taken into memory', async (t) => {
  const { plugin, resource, storage } = await setting(t, { versions: { '1.0.0': randomBytes(96 * MIB) } });
  const download = plugin.source.Download({ resource });
  download.on('error', () => {});
  await once(download, 'data');
  download.pause();
  const { response } = storage.requests.find(isTarball);
  const sent = await settled(() => response.taken);
  assert.ok(sent < 24 * MIB, `${sent} bytes were taken`);
  download.cancel();
});

/** The value, once it has stayed the same for half a second. */
async function settled(read) {
  for (let value = read(), since = Date.now(); ; ) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    const now = read();
    if (now !== value) [value, since] = [now, Date.now()];
    else if (Date.now() - since > 500) return value;
  }
}

test('eight downloads at the same time are all right, with one request for the document', async (t) => {
  const { plugin, resource, storage } = await setting(t);
  await plugin.call('GetMetadata', { resource });
  const all = await Promise.all(Array.from({ length: 8 }, () => plugin.stream('Download', { resource })));
  for (const { messages, error } of all) assert.ok(!error && bodyOf(messages).equals(bytes));
  assert.equal(storage.requests.filter((request) => !isTarball(request)).length, 1);
});

test('a long listing comes in batches, each name once', async (t) => {
  const versions = Object.fromEntries(Array.from({ length: 1234 }, (_, index) => [`1.0.${index}`, Buffer.from('x')]));
  const { plugin, resource } = await setting(t, { versions });
  const { messages, error } = await plugin.stream('List', { resource });
  assert.equal(error, undefined);
  assert.ok(messages.length > 1);
  const names = messages.flatMap(({ entries }) => entries.map(({ name }) => name));
  assert.equal(new Set(names).size, 1234);
  assert.match(messages[0].entries[0].url, /^npm:\/\/127\.0\.0\.1:\d+\/thing@1\.0\.0$/);
});

test('the registry answers slowly, and the plugin still says that it is well', async (t) => {
  let held;
  const serve = (request, response) => Boolean((held = response));
  const { plugin, resource } = await setting(t, { serve });
  const waiting = plugin.call('GetMetadata', { resource }).catch((error) => error);
  while (!held) await new Promise((resolve) => setTimeout(resolve, 2));
  assert.equal((await plugin.call('Check', { service: 'plugin' }, plugin.health)).status, 1);
  held.destroy();
  assert.equal((await waiting).code, CODE.UNAVAILABLE);
});
