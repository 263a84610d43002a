// The real dfget, with a home of its own and the plugin in a directory that nobody else can write to.
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

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
export function startDfget(room, args, { env = {}, npmrc } = {}) {
  if (npmrc !== undefined) fs.writeFileSync(path.join(room, 'home/.npmrc'), npmrc);
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

export function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}

export function sha256Of(room, file) {
  return sha256(fs.readFileSync(path.join(room, file)));
}

/** The plugin processes that were started out of this room. */
export function plugins(room) {
  const listed = execFileSync('ps', ['-eo', 'pid=,args=']).toString().split('\n');
  return listed.filter((line) => line.includes(path.join(room, 'plugins')) && !line.includes('--plugin-dir')).map((line) => Number.parseInt(line, 10));
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
