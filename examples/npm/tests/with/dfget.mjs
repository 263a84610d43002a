// The real dfget, with a home of its own and the plugin in a directory that nobody else can write to.
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ALONE } from './plugin.mjs';

const PLUGIN = path.join(import.meta.dirname, '../../dist/d7y-resource-plugin-npm');

/** A directory that goes with the test, with `plugins` and `home` in it. */
export function makeRoom(t) {
  const room = fs.mkdtempSync(path.join(os.tmpdir(), 'npm-plugin-test-'));
  fs.mkdirSync(path.join(room, 'home'));
  fs.mkdirSync(path.join(room, 'plugins'), { mode: 0o755 });
  fs.copyFileSync(PLUGIN, path.join(room, 'plugins', path.basename(PLUGIN)));
  t.after(() => fs.rmSync(room, { recursive: true, force: true }));
  return room;
}

/** Starts dfget; `done` resolves to its exit code and what it printed. */
export function startDfget(room, args, { env = {}, npmrc = '' } = {}) {
  fs.writeFileSync(path.join(room, 'home/.npmrc'), `${ALONE}${npmrc}`);
  const clean = { PATH: process.env.PATH, HOME: path.join(room, 'home'), TMPDIR: room, ...env };
  const child = spawn(process.env.DFGET, ['--plugin-dir', path.join(room, 'plugins'), '--no-progress', ...args], { cwd: room, env: clean });
  const said = { stdout: [], stderr: [] };
  child.stdout.on('data', (data) => said.stdout.push(data));
  child.stderr.on('data', (data) => said.stderr.push(data));
  const done = once(child, 'close').then(([code]) => ({ code, stdout: Buffer.concat(said.stdout), stderr: Buffer.concat(said.stderr).toString() }));
  return { child, done, stderr: () => Buffer.concat(said.stderr).toString() };
}

export function dfget(room, args, more) {
  return startDfget(room, args, more).done;
}

/** Holds the plugin to the rules of PROTOCOL.md, with what else is to be tried in `resources`. */
export function validate(room, url, resources) {
  const words = Object.entries(resources).flatMap(([name, resource]) => [`--${name}`, resource]);
  return dfget(room, ['plugin', 'validate', path.join(room, 'plugins', path.basename(PLUGIN)), url, ...words, '--strict', '--patience', '5']);
}

export function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}

export function sha256Of(room, file) {
  return sha256(fs.readFileSync(path.join(room, file)));
}

/** The plugin processes that were started out of this room. */
export function plugins(room) {
  const started = ([, ...words]) => words.some((word) => word.startsWith(path.join(room, 'plugins/')));
  return processes().filter(started).map(([pid]) => Number(pid));
}

/** Each as its number and its words. */
function processes() {
  if (!fs.existsSync('/proc/self/cmdline')) {
    return execFileSync('ps', ['-axo', 'pid=,args=']).toString().split('\n').map((line) => line.trim().split(' '));
  }
  return fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map((pid) => [pid, ...wordsOf(pid)]);
}

function wordsOf(pid) {
  try {
    return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return []; // gone meanwhile
  }
}

/** Resolves once a download has brought its first bytes; the file has its full length from the beginning. */
export async function firstBytes(file) {
  while (!hasData(file)) await new Promise((resolve) => setTimeout(resolve, 2));
}

function hasData(file) {
  const head = Buffer.alloc(64);
  try {
    const descriptor = fs.openSync(file);
    fs.readSync(descriptor, head);
    fs.closeSync(descriptor);
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
  return head.some((byte) => byte !== 0);
}
