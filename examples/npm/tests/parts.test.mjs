// Downloads with dfget from a registry that serves parts, and from one that fails: what Verdaccio does not do.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { dfget, firstBytes, makeRoom, plugins, sha256, sha256Of, startDfget } from './with/dfget.mjs';
import { startStorage } from './with/storage.mjs';
import { test } from './with/test.mjs';

const MIB = 1024 * 1024;
const isTarball = (request) => request.url.includes('/-/') && request.method === 'GET';

async function setting(t, { size = 32 * MIB, serve } = {}) {
  const bytes = randomBytes(size);
  const packages = { thing: { '1.0.0': bytes } };
  const storage = await startStorage(t, { packages, serve });
  return { room: makeRoom(t), bytes, packages, storage, url: `npm://${storage.host}/thing` };
}

test('a tarball is fetched in pieces at the same time', async (t) => {
  const { room, bytes, storage, url } = await setting(t, { size: 20 * MIB + 5 });
  const { code, stderr } = await dfget(room, ['-u', url, '-O', 'out', '-n', '4', '--piece-length', '2M']);
  assert.equal(code, 0, stderr);
  assert.equal(sha256Of(room, 'out'), sha256(bytes));
  assert.ok(storage.requests.filter(({ headers }) => headers.range).length >= 8);
});

test('a part is what it is of the whole', async (t) => {
  const { room, bytes, url } = await setting(t, { size: 2 * MIB });
  for (const [range, start, end] of [['1000-4999', 1000, 5000], ['2097000-', 2097000, bytes.length], ['-10', bytes.length - 10, bytes.length]]) {
    const { code, stdout, stderr } = await dfget(room, ['-u', url, '-O', '-', '-q', `--range=${range}`]);
    assert.equal(code, 0, stderr);
    assert.ok(stdout.equals(bytes.subarray(start, end)));
  }
});

test('after a kill of the plugin the download goes on at the byte where it stopped', async (t) => {
  const { room, bytes, storage, url } = await setting(t);
  const { done } = startDfget(room, ['-u', url, '-O', 'out', '-n', '1', '--limit-rate', '16M']);
  await firstBytes(path.join(room, 'out.part'));
  process.kill(plugins(room)[0], 'SIGKILL');
  const { code, stderr } = await done;
  assert.equal(code, 0, stderr);
  assert.equal(sha256Of(room, 'out'), sha256(bytes));
  const starts = storage.requests.filter(isTarball).map(({ headers }) => Number(/\d+/.exec(headers.range ?? 'bytes=0')[0]));
  assert.ok(starts.some((start) => start > 0), `${starts}`);
  assert.deepEqual(plugins(room), []);
});

test('an interrupted download of a version that was published anew begins anew', async (t) => {
  const { room, packages, url } = await setting(t);
  const first = startDfget(room, ['-u', url, '-O', 'out', '-n', '1', '--limit-rate', '4M']);
  await firstBytes(path.join(room, 'out.part'));
  first.child.kill('SIGTERM');
  assert.notEqual((await first.done).code, 0);
  assert.ok(fs.existsSync(path.join(room, 'out.part')));
  packages.thing = { '1.0.0': randomBytes(3 * MIB) };
  const { code, stderr } = await dfget(room, ['-u', url, '-O', 'out']);
  assert.equal(code, 0, stderr);
  assert.equal(sha256Of(room, 'out'), sha256(packages.thing['1.0.0']));
});

test('a tarball that is not the announced one does not get its name', async (t) => {
  const serve = (request, response, { packages }) => isTarball(request) && response.end(Buffer.from(packages.thing['1.0.0']).fill(0, 0, 1));
  const { room, url } = await setting(t, { size: MIB, serve });
  const { code, stderr } = await dfget(room, ['-u', url, '-O', 'out']);
  assert.equal(code, 30, stderr);
  assert.match(stderr, /sha512/);
  assert.equal(fs.existsSync(path.join(room, 'out')), false);
});

test('a tarball that always ends early does not get its name', async (t) => {
  const serve = (request, response) => isTarball(request) && (response.writeHead(200, { 'content-length': MIB }), response.write('short', () => response.destroy()));
  const { room, url } = await setting(t, { size: MIB, serve });
  const { code, stderr } = await dfget(room, ['-u', url, '-O', 'out']);
  assert.equal(code, 30, stderr);
  assert.equal(fs.existsSync(path.join(room, 'out')), false);
});

test('a registry that is busy for a moment is asked again when it said', async (t) => {
  const asked = [];
  const serve = (request, response) => isTarball(request) && asked.push(Date.now()) === 1 && response.writeHead(503, { 'retry-after': '2' }).end();
  const { room, bytes, url } = await setting(t, { size: MIB, serve });
  const { code, stderr } = await dfget(room, ['-u', url, '-O', 'out']);
  assert.equal(code, 0, stderr);
  assert.equal(sha256Of(room, 'out'), sha256(bytes));
  assert.ok(asked[1] - asked[0] >= 2000, `${asked[1] - asked[0]} ms`);
});

test('an empty tarball is an empty file', async (t) => {
  const { room, url } = await setting(t, { size: 0 });
  const { code, stderr } = await dfget(room, ['-u', url, '-O', 'out']);
  assert.equal(code, 0, stderr);
  assert.equal(fs.statSync(path.join(room, 'out')).size, 0);
});

test('a header of the user reaches the registry', async (t) => {
  const { room, storage, url } = await setting(t, { size: 10 });
  const { code, stderr } = await dfget(room, ['-u', url, '-O', 'out', '-H', 'X-Team: blue']);
  assert.equal(code, 0, stderr);
  assert.ok(storage.requests.every(({ headers }) => headers['x-team'] === 'blue'));
});

test('a plugin whose host is killed does not stay', async (t) => {
  const { room, url } = await setting(t);
  const { child, done } = startDfget(room, ['-u', url, '-O', 'out', '--limit-rate', '1M']);
  await firstBytes(path.join(room, 'out.part'));
  child.kill('SIGKILL');
  await done;
  while (plugins(room).length > 0) await new Promise((resolve) => setTimeout(resolve, 5));
});
