// The plugin's process as a host sees it: environment, handshake line, calls.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import grpc from '@grpc/grpc-js';
import { GRPCController, Health, ResourceClient } from '../../src/contract.mjs';

export const PLUGIN = path.join(import.meta.dirname, '../../dist/d7y-resource-plugin-npm');
/** In front of each ~/.npmrc: this machine's own settings of npm are no affair of the tests. */
export const ALONE = 'globalconfig=/dev/null\n';
export const COOKIE = { DRAGONFLY_PLUGIN_MAGIC_COOKIE: 'd5d7b8f2c1e94a0f8e53a3b6f4907c2e9a61d08b7c35f24e1b90ad6c8f723e45' };

export async function startPlugin(t, { env = {}, stdin = 'pipe', credentials, init, npmrc = '' } = {}) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'npm-plugin-'));
  fs.writeFileSync(path.join(directory, '.npmrc'), `${ALONE}${npmrc}`);
  const host = { ...COOKIE, PLUGIN_PROTOCOL_VERSIONS: '1', PLUGIN_UNIX_SOCKET_DIR: directory, TMPDIR: directory, HOME: directory };
  const child = spawn(PLUGIN, [], { stdio: [stdin, 'pipe', 'pipe'], env: { PATH: process.env.PATH, ...host, ...env } });
  const plugin = new Plugin(child);
  t.after(() => plugin.discard(directory));
  await plugin.handshake();
  if (plugin.line) plugin.connect(credentials);
  if (init) await plugin.call('Init', { scheme: 'npm', options: init });
  return plugin;
}

class Plugin {
  stdout = '';
  stderr = '';

  constructor(child) {
    this.child = child;
    child.stdout.on('data', (data) => (this.stdout += data));
    child.stderr.on('data', (data) => (this.stderr += data));
    this.ended = once(child, 'close').then(([code, signal]) => ({ code, signal, at: Date.now() }));
  }

  /** Waits for the first line, or the end of the process. */
  async handshake() {
    let over = false;
    this.ended.then(() => (over = true));
    while (!over && !this.stdout.includes('\n')) await Promise.race([this.ended, once(this.child.stdout, 'data')]);
    this.line = this.stdout.split('\n')[0];
    this.fields = this.line.split('|');
  }

  connect(credentials = grpc.credentials.createInsecure()) {
    const target = `unix:${this.fields[3]}`;
    const options = { 'grpc.default_authority': 'localhost' };
    const make = (definition) => new (grpc.makeGenericClientConstructor(definition, 'service'))(target, credentials, options);
    this.clients = [make(ResourceClient), make(GRPCController), make(Health)];
    [this.source, this.controller, this.health] = this.clients;
  }

  /** A unary call; rejects with the status. */
  call(name, request, client = this.source) {
    return new Promise((resolve, reject) => client[name](request, (error, answer) => (error ? reject(error) : resolve(answer))));
  }

  /** A streaming call to its end: the messages, and the status if it is not OK. */
  async stream(name, request) {
    const messages = [];
    try {
      for await (const message of this.source[name](request)) messages.push(message);
      return { messages };
    } catch (error) {
      return { messages, error };
    }
  }

  async discard(directory) {
    for (const client of this.clients ?? []) client.close();
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGKILL');
    await this.ended;
    fs.rmSync(directory, { recursive: true, force: true });
  }
}

/** The bytes of the chunks, each at its place behind the one before. */
export function bodyOf(messages) {
  let next = messages[0].opened.range.start;
  const chunks = messages.filter(({ chunk }) => chunk).map(({ chunk }) => chunk);
  for (const { offset = 0, data } of chunks) {
    if (offset !== next) throw new Error(`a chunk at ${offset} instead of ${next}`);
    next += data.length;
  }
  return Buffer.concat(chunks.map(({ data }) => data));
}
