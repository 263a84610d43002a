// Downloads with dfget from Verdaccio.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before } from 'node:test';
import { dfget, firstBytes, makeRoom, plugins, sha256, sha256Of, startDfget, validate } from './with/dfget.mjs';
import { startRegistry } from './with/registry.mjs';
import { startStorage } from './with/storage.mjs';
import { test } from './with/test.mjs';

const MIB = 1024 * 1024;
let home;
let registry;
const published = {};

before(async () => {
  home = fs.mkdtempSync(path.join(os.tmpdir(), 'npm-registry-'));
  registry = await startRegistry(home);
  for (const [name, version, more] of [
    ['large', '1.0.0', { bytes: 6 * MIB }],
    ['huge', '1.0.0', { bytes: 32 * MIB }], // more than fits into the windows between host and plugin
    ['many', '1.0.0'],
    ['many', '1.2.0'],
    ['many', '2.0.0'],
    ['many', '3.0.0-rc.1', { tag: 'next' }],
    ['@scope/inner', '1.0.0'],
    ['private-thing', '1.0.0'],
  ]) {
    published[`${name}@${version}`] = sha256(await registry.publish(name, version, more));
  }
});

after(async () => {
  await registry?.stop();
  fs.rmSync(home, { recursive: true, force: true });
});

const url = (rest) => `npm://${registry.host}/${rest}`;

test('a tarball arrives as it was published, and its integrity is checked', async (t) => {
  const room = makeRoom(t);
  const { code, stderr } = await dfget(room, ['-u', url('large@1.0.0'), '-O', 'out']);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /sha512 checked/);
  assert.equal(sha256Of(room, 'out'), published['large@1.0.0']);
  assert.deepEqual(plugins(room), []);
});

for (const [rest, version] of [
  ['many@1.0.0', 'many@1.0.0'],
  ['many@latest', 'many@2.0.0'],
  ['many@next', 'many@3.0.0-rc.1'],
  ['many', 'many@2.0.0'],
  ['many@^1', 'many@1.2.0'],
  ['many@%3E%3D1%20%3C2', 'many@1.2.0'],
  ['many@>=1 <1.2', 'many@1.0.0'],
  ['@scope/inner@1', '@scope/inner@1.0.0'],
  ['%40scope%2Finner', '@scope/inner@1.0.0'],
]) {
  test(`${rest} is ${version}`, async (t) => {
    const room = makeRoom(t);
    const { code, stderr } = await dfget(room, ['-u', url(rest), '-O', 'out']);
    assert.equal(code, 0, stderr);
    assert.equal(sha256Of(room, 'out'), published[version]);
  });
}

test('the registry named default is the one of the options, or of ~/.npmrc, or the one of the scope', async (t) => {
  const room = makeRoom(t);
  const byOption = await dfget(room, ['-u', 'npm://default/many@1.0.0', '-O', '1', '--opt', `registry=${registry.url}`]);
  assert.equal(byOption.code, 0, byOption.stderr);
  const byFile = await dfget(room, ['-u', 'npm://default/many@1.0.0', '-O', '2'], { npmrc: `registry=${registry.url}\n` });
  assert.equal(byFile.code, 0, byFile.stderr);
  const npmrc = `registry=http://127.0.0.1:1/\n@scope:registry=${registry.url}\n`;
  const byScope = await dfget(room, ['-u', 'npm://default/@scope/inner', '-O', '3'], { npmrc });
  assert.equal(byScope.code, 0, byScope.stderr);
});

// With their versions: a package without one is a tarball and a list alike, and the rules want a file that is no directory.
test('the plugin keeps the rules of the protocol with Verdaccio', async (t) => {
  const { code, stdout, stderr } = await validate(makeRoom(t), url('large@1.0.0'), { missing: url('many@9.9.9'), directory: url('many/') });
  assert.equal(code, 0, `${stdout}${stderr}`);
});

test('the plugin keeps the rules of the protocol with a registry that serves parts', async (t) => {
  const packages = { thing: { '1.0.0': randomBytes(6 * MIB), '2.0.0': randomBytes(1000) }, empty: { '1.0.0': Buffer.alloc(0) } };
  const { host } = await startStorage(t, { packages });
  const resources = { missing: `npm://${host}/thing@3`, empty: `npm://${host}/empty`, directory: `npm://${host}/thing/` };
  const { code, stdout, stderr } = await validate(makeRoom(t), `npm://${host}/thing@1.0.0`, resources);
  assert.equal(code, 0, `${stdout}${stderr}`);
});

test('a part is refused where the registry serves none, as Verdaccio does not', async (t) => {
  const room = makeRoom(t);
  const { code, stderr } = await dfget(room, ['-u', url('large'), '-O', '-', '-q', '--range', '1000-4999']);
  assert.equal(code, 24);
  assert.match(stderr, /does not serve parts/);
});

test('what does not exist ends with 20', async (t) => {
  const room = makeRoom(t);
  for (const rest of ['absent', 'many@9.9.9', 'many@^7', 'many@no-such-tag', '@scope/absent']) {
    const { code, stderr } = await dfget(room, ['-u', url(rest), '-O', 'out']);
    assert.equal(code, 20, `${rest}: ${stderr}`);
  }
  assert.equal(fs.existsSync(path.join(room, 'out')), false);
});

test('a registry that is not there ends with 22', async (t) => {
  const room = makeRoom(t);
  const { code, stderr } = await dfget(room, ['-u', 'npm://127.0.0.1:1/many', '-O', 'out', '--tries', '1']);
  assert.equal(code, 22, stderr);
  assert.match(stderr, /http:\/\/127\.0\.0\.1:1\/many cannot be reached \(ECONNREFUSED\)/);
});

test('a private package needs the right token, and no message shows one', async (t) => {
  const room = makeRoom(t);
  const options = (token) => ['--opt', `registry=${registry.url}`, '--opt', `token=${token}`];
  const download = (more, given) => dfget(room, ['-u', url('private-thing'), '-O', 'out', '--overwrite', '-vv', ...more], given);

  const without = await download([]);
  assert.equal(without.code, 21, without.stderr);
  const wrong = await download(options('certainly-wrong'));
  assert.equal(wrong.code, 21, wrong.stderr);
  assert.doesNotMatch(wrong.stderr, /certainly-wrong/);
  const right = await download(options(registry.token));
  assert.equal(right.code, 0, right.stderr);
  assert.ok(!right.stderr.includes(registry.token));
});

test('at the level debug the plugin tells what it asked', async (t) => {
  const room = makeRoom(t);
  const { stderr } = await dfget(room, ['-u', url('many'), '-O', 'out', '--log-level', 'debug']);
  assert.match(stderr, /npm: asked method="GET" status=200 url="\S+many"/);
});

test('credentials come from ~/.npmrc in each of npm’s forms', async (t) => {
  const room = makeRoom(t);
  const { host, user, password, token } = registry;
  const base64 = (text) => Buffer.from(text).toString('base64');
  for (const npmrc of [
    `//${host}/:_authToken=${token}\n`,
    `//${host}/:_auth=${base64(`${user}:${password}`)}\n`,
    `//${host}/:username=${user}\n//${host}/:_password=${base64(password)}\n`,
  ]) {
    const { code, stderr } = await dfget(room, ['-u', url('private-thing'), '-O', 'out', '--overwrite'], { npmrc });
    assert.equal(code, 0, stderr);
  }
  const elsewhere = await dfget(room, ['-u', url('private-thing'), '-O', 'out', '--overwrite'], { npmrc: `//other.example/:_authToken=${token}\n` });
  assert.equal(elsewhere.code, 21, elsewhere.stderr);
});

test('a token in a variable that the plugin does not get is told by the name of the variable', async (t) => {
  const room = makeRoom(t);
  const npmrc = `//${registry.host}/:_authToken=\${MY_TOKEN}\n`;
  const args = ['-u', url('private-thing'), '-O', 'out'];
  const env = { MY_TOKEN: registry.token };
  const withheld = await dfget(room, args, { npmrc, env });
  assert.equal(withheld.code, 21, withheld.stderr);
  assert.match(withheld.stderr, /variable MY_TOKEN.*--plugin-env MY_TOKEN/s);
  const handed = await dfget(room, [...args, '--plugin-env', 'MY_TOKEN'], { npmrc, env });
  assert.equal(handed.code, 0, handed.stderr);
});

test('an option that is misspelt or makes no sense ends with 24 and its name', async (t) => {
  const room = makeRoom(t);
  for (const [option, told] of [
    ['regsitry=https://x.example', /no option regsitry; there are registry, token/],
    ['registry=ftp://x.example', /option registry: an http or https URL/],
    ['cafile=/nowhere.pem', /option cafile: \/nowhere\.pem cannot be read \(ENOENT\)/],
    ['strict-ssl=maybe', /option strict-ssl: true or false/],
    ['before=yesteryear', /option before: a date/],
    ['token=', /option token/],
  ]) {
    const { code, stderr } = await dfget(room, ['-u', url('many'), '-O', 'out', '--opt', option]);
    assert.equal(code, 24, stderr);
    assert.match(stderr, told);
  }
});

test('a listing has the tarball of each version, with its time', async (t) => {
  const room = makeRoom(t);
  for (const rest of ['many', 'many/']) {
    const { code, stdout, stderr } = await dfget(room, ['-l', url(rest)]);
    assert.equal(code, 0, stderr);
    const names = stdout.toString().trim().split('\n').map((line) => line.trim().split(/\s+/).at(-1)).sort();
    assert.deepEqual(names, ['many-1.0.0.tgz', 'many-1.2.0.tgz', 'many-2.0.0.tgz', 'many-3.0.0-rc.1.tgz']);
    assert.match(stdout.toString(), new RegExp(`${new Date().getUTCFullYear()}-`));
  }
});

test('a package is downloaded as a tree, whole or for a range of versions', async (t) => {
  const room = makeRoom(t);
  const whole = await dfget(room, ['-r', url('many/'), '-O', 'tree']);
  assert.equal(whole.code, 0, whole.stderr);
  const found = fs.readdirSync(path.join(room, 'tree'), { recursive: true }).filter((name) => name.endsWith('.tgz')).sort();
  assert.deepEqual(found.map((name) => path.basename(name)), ['many-1.0.0.tgz', 'many-1.2.0.tgz', 'many-2.0.0.tgz', 'many-3.0.0-rc.1.tgz']);
  for (const name of found) {
    const version = path.basename(name).slice('many-'.length, -'.tgz'.length);
    assert.equal(sha256Of(room, path.join('tree', name)), published[`many@${version}`]);
  }
  const part = await dfget(room, ['-r', url('many@^1/'), '-O', 'part']);
  assert.equal(part.code, 0, part.stderr);
  const names = fs.readdirSync(path.join(room, 'part'), { recursive: true }).filter((name) => name.endsWith('.tgz'));
  assert.deepEqual(names.map((name) => path.basename(name)).sort(), ['many-1.0.0.tgz', 'many-1.2.0.tgz']);
});

test('a scoped package is listed under the names of its tarballs', async (t) => {
  const room = makeRoom(t);
  const { code, stderr } = await dfget(room, ['-r', url('@scope/inner/'), '-O', 'tree']);
  assert.equal(code, 0, stderr);
  const [name] = fs.readdirSync(path.join(room, 'tree'), { recursive: true }).filter((file) => file.endsWith('.tgz'));
  assert.equal(path.basename(name), 'inner-1.0.0.tgz');
  assert.equal(sha256Of(room, path.join('tree', name)), published['@scope/inner@1.0.0']);
});

test('what is no package, or no list, is refused with the form that a URL has', async (t) => {
  const room = makeRoom(t);
  for (const [args, told] of [
    [['-u', url('many/')], /is the list of versions/],
    [['-u', url('many/1.0.0')], /a version is written PACKAGE@VERSION/],
    [['-u', url('a%20b')], /a b/],
    [['-u', url('50%')], /a % itself is %25/],
    [['-u', url('m%C3%BCller')], /müller/],
    [['-u', url('many@git+ssh://host/x')], /is no package of a registry|path behind the package/],
    [['-u', url('many?x=1')], /neither a query nor a fragment/],
    [['-u', `npm://someone:pass@${registry.host}/many`], /the URL has a user/],
    [['-l', url('')], /no complete list/],
    [['-l', url('@scope')], /is a scope/],
    [['-l', url('many@1.0.0')], /is one version/],
  ]) {
    const { code, stderr } = await dfget(room, [...args, '-O', 'out']);
    assert.equal(code, 24, `${args}: ${stderr}`);
    assert.match(stderr, told);
  }
});

test('the same version is not downloaded twice with -N', async (t) => {
  const room = makeRoom(t);
  const args = ['-N', '-u', url('large'), '-O', 'out'];
  assert.equal((await dfget(room, args)).code, 0);
  const { ino } = fs.statSync(path.join(room, 'out'));
  const again = await dfget(room, args);
  assert.equal(again.code, 0, again.stderr);
  assert.equal(fs.statSync(path.join(room, 'out')).ino, ino);
});

test('a plugin that is killed in the middle of a body is started again, and the bytes are right', async (t) => {
  const room = makeRoom(t);
  const { done } = startDfget(room, ['-u', url('huge'), '-O', 'out', '--limit-rate', '16M', '-v']);
  await firstBytes(path.join(room, 'out.part'));
  const [pid] = plugins(room);
  process.kill(pid, 'SIGKILL');
  const { code, stderr } = await done;
  assert.equal(code, 0, stderr);
  assert.match(stderr, /killed by signal 9|SIGKILL/);
  assert.equal(sha256Of(room, 'out'), published['huge@1.0.0']);
  assert.deepEqual(plugins(room), []);
});

test('over TLS the same bytes arrive', async (t) => {
  const room = makeRoom(t);
  const { code, stderr } = await dfget(room, ['-u', url('large'), '-O', 'out', '--plugin-mtls']);
  assert.equal(code, 0, stderr);
  assert.equal(sha256Of(room, 'out'), published['large@1.0.0']);
});

test('the plugin says what it is', async (t) => {
  const room = makeRoom(t);
  const { code, stdout, stderr } = await dfget(room, ['plugin']);
  assert.equal(code, 0, stderr);
  assert.match(stdout.toString(), /resource plugin npm, location: \S+, attribute: \{"buildCommit":"\w+","buildTime":"[^"]+","name":"npm","scheme":"npm","type":"resource","vendor":"d7y"\}/);
});
