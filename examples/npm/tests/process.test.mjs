// The plugin as a process: how it starts, what it prints, how it ends.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { randomBytes } from 'node:crypto';
import { PLUGIN, startPlugin } from './with/plugin.mjs';
import { startStorage } from './with/storage.mjs';
import { test } from './with/test.mjs';

const SECOND = 1000;
const LIFE_LINE = { DRAGONFLY_PLUGIN_LIFE_LINE: 'stdin' };

test('run by hand it says what it is, on stderr, and exits with 1', () => {
  for (const env of [{}, { DRAGONFLY_PLUGIN_MAGIC_COOKIE: 'another' }]) {
    const { status, stdout, stderr } = spawnSync(PLUGIN, [], { env: { PATH: process.env.PATH, ...env } });
    assert.equal(status, 1);
    assert.equal(stdout.toString(), '');
    assert.match(stderr.toString(), /^This is a plugin of dfget/);
  }
});

test('run by hand with its output in a file it leaves in place what the file has', (t) => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'npm-plugin-'));
  t.after(() => fs.rmSync(directory, { recursive: true }));
  const file = path.join(directory, 'log');
  spawnSync('sh', ['-c', `(echo before; ${PLUGIN}; echo after) > ${file} 2>&1`]);
  assert.match(fs.readFileSync(file, 'utf8'), /^before\nThis is a plugin[^]*\nafter\n$/);
});

test('it works beneath a package.json that says module, and beneath one that does not', (t) => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'npm-plugin-'));
  t.after(() => fs.rmSync(directory, { recursive: true }));
  const copy = path.join(directory, 'plugin');
  fs.copyFileSync(PLUGIN, copy);
  for (const type of ['module', 'commonjs']) {
    fs.writeFileSync(path.join(directory, 'package.json'), JSON.stringify({ type }));
    assert.match(spawnSync(copy, []).stderr.toString(), /^This is a plugin of dfget/);
  }
});

test('the handshake line has six fields, and the socket is where the host wants it', async (t) => {
  const plugin = await startPlugin(t);
  assert.match(plugin.line, /^1\|1\|unix\|[^|]+\/plugin\d+\|grpc\|$/);
  assert.ok(fs.lstatSync(plugin.fields[3]).isSocket());
});

test('it answers multiplexing with false where it is asked, and the version that both speak', async (t) => {
  const plugin = await startPlugin(t, { env: { PLUGIN_MULTIPLEX_GRPC: 'true', PLUGIN_PROTOCOL_VERSIONS: '3,1,2' } });
  assert.match(plugin.line, /^1\|1\|unix\|[^|]+\|grpc\|\|false$/);
  const other = await startPlugin(t, { env: { PLUGIN_PROTOCOL_VERSIONS: '7' } });
  assert.equal(other.fields[1], '1');
});

test('without a place for its socket it exits with a reason and no handshake line', async (t) => {
  const plugin = await startPlugin(t, { env: { PLUGIN_UNIX_SOCKET_DIR: '/nowhere/at/all' } });
  assert.equal((await plugin.ended).code, 1);
  assert.equal(plugin.stdout, '');
  assert.match(JSON.parse(plugin.stderr.trim().split('\n').at(-1))['@message'], /cannot start/);
});

test('what a library or a child prints does not get to stdout', (t) => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'npm-plugin-'));
  t.after(() => fs.rmSync(directory, { recursive: true }));
  const script = path.join(directory, 'script.mjs');
  fs.writeFileSync(script, `
    import { writeHandshake } from ${JSON.stringify(path.join(import.meta.dirname, '../src/stdout.mjs'))};
    import { spawnSync } from 'node:child_process';
    import fs from 'node:fs';
    console.log('by console');
    process.stdout.write('by stream\\n');
    fs.writeSync(1, 'by descriptor\\n');
    spawnSync('echo', ['by child'], { stdio: 'inherit' });
    writeHandshake('the line\\n');
    console.log('later');`);
  // By a shell: what Node gives a child for stdout is a socket, and what dfget gives it is a pipe.
  const { stdout } = spawnSync('sh', ['-c', '{ "$0" "$1" 2>&3 | cat; } 3>"$2"', process.execPath, script, path.join(directory, 'err')]);
  assert.equal(stdout.toString(), 'the line\n');
  const stderr = fs.readFileSync(path.join(directory, 'err'), 'utf8');
  for (const text of ['by console', 'by stream', 'by descriptor', 'by child', 'later']) assert.ok(stderr.includes(text), text);
});

test('each line on stderr is an object whose own fields are strings', async (t) => {
  const plugin = await startPlugin(t, { env: { PLUGIN_CLIENT_CERT: 'no certificate' } });
  await plugin.ended;
  for (const line of plugin.stderr.trim().split('\n')) {
    const event = JSON.parse(line);
    for (const key of ['@level', '@message', '@timestamp']) assert.equal(typeof event[key], 'string');
    assert.match(event['@timestamp'], /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
  }
});

test('Health answers for the plugin, and for nothing else', async (t) => {
  const plugin = await startPlugin(t);
  assert.equal((await plugin.call('Check', { service: 'plugin' }, plugin.health)).status, 1);
  await assert.rejects(plugin.call('Check', { service: 'other' }, plugin.health), { code: 5 });
});

for (const [what, end] of [
  ['Shutdown', (plugin) => plugin.call('Shutdown', {}, plugin.controller).catch(() => {})],
  ['SIGTERM', (plugin) => plugin.child.kill('SIGTERM')],
  ['the end of its life line', (plugin) => plugin.child.stdin.end()],
]) {
  test(`it ends within a second after ${what}, with a download that is held back`, async (t) => {
    const storage = await startStorage(t, { packages: { big: { '1.0.0': randomBytes(32 * 1024 * 1024) } } });
    const plugin = await startPlugin(t, { env: LIFE_LINE, init: {} });
    const download = plugin.source.Download({ resource: { url: `npm://${storage.host}/big` } });
    download.on('error', () => {});
    await new Promise((resolve) => download.once('data', () => (download.pause(), resolve())));
    const began = Date.now();
    end(plugin);
    const { code, at } = await plugin.ended;
    assert.equal(code, 0);
    assert.ok(at - began < SECOND, `${at - began} ms`);
    assert.equal(fs.existsSync(plugin.fields[3]), false);
    assert.equal(plugin.stdout, `${plugin.line}\n`);
  });
}

test('SIGINT is ignored', async (t) => {
  const plugin = await startPlugin(t);
  plugin.child.kill('SIGINT');
  assert.equal((await plugin.call('Check', { service: 'plugin' }, plugin.health)).status, 1);
});

test('without the variable the end of stdin means nothing', async (t) => {
  const plugin = await startPlugin(t, { stdin: 'ignore' });
  const piped = await startPlugin(t);
  piped.child.stdin.end();
  for (const each of [plugin, piped]) assert.equal((await each.call('Check', { service: 'plugin' }, each.health)).status, 1);
});

test('with the variable, a stdin that is no pipe means nothing', async (t) => {
  const plugin = await startPlugin(t, { stdin: 'ignore', env: LIFE_LINE });
  assert.equal((await plugin.call('Check', { service: 'plugin' }, plugin.health)).status, 1);
});

test('the socket is given to the group that the host names', { skip: process.getuid() !== 0 && 'only root may give a file to any group' }, async (t) => {
  const plugin = await startPlugin(t, { env: { PLUGIN_UNIX_SOCKET_GROUP: 'daemon' } });
  const { gid, mode } = fs.statSync(plugin.fields[3]);
  assert.equal(gid, 1);
  assert.equal(mode & 0o777, 0o660);
  const unknown = await startPlugin(t, { env: { PLUGIN_UNIX_SOCKET_GROUP: 'no-such-group' } });
  assert.equal((await unknown.ended).code, 1);
  assert.match(unknown.stderr, /no group no-such-group/);
});

for (const [what, fault] of [['an exception', "setTimeout(() => { throw new Error('boom'); })"], ['a rejection', "Promise.reject(new Error('boom'))"]]) {
  test(`${what} that nobody caught ends the process with a line in the log`, (t) => {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'npm-plugin-'));
    t.after(() => fs.rmSync(directory, { recursive: true }));
    const life = JSON.stringify(path.join(import.meta.dirname, '../src/life.mjs'));
    const script = `import { Life } from ${life}; new Life({}, ${JSON.stringify(path.join(directory, 'socket'))}).watch({}); ${fault};`;
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script]);
    assert.equal(status, 70);
    assert.equal(stdout.toString(), '');
    const event = JSON.parse(stderr);
    assert.equal(event['@level'], 'error');
    assert.match(event.stack, /boom/);
  });
}
