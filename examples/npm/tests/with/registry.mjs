// A real registry: Verdaccio on a free port, with its own storage and users, filled by the real `npm publish`.
import { execFile, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const USER = 'ann';
const PASSWORD = 'correct horse';

export async function startRegistry(directory) {
  fs.mkdirSync(directory, { recursive: true });
  const config = path.join(directory, 'config.yaml');
  fs.writeFileSync(config, CONFIG);
  // NODE_OPTIONS and the like of the test runner are no affair of the registry's.
  const server = fork(path.join(import.meta.dirname, 'verdaccio.mjs'), [config], { cwd: directory, execArgv: [], silent: true });
  let said = '';
  server.stdout.on('data', (text) => (said += text));
  server.stderr.on('data', (text) => (said += text));
  const [message] = await Promise.race([once(server, 'message'), once(server, 'exit').then(() => { throw new Error(`no registry: ${said}`); })]);
  return new Registry(directory, server, message.port).addUser();
}

const CONFIG = `storage: ./storage
auth: { htpasswd: { file: ./htpasswd } }
uplinks: {}
packages:
  'private-*': { access: $authenticated, publish: $authenticated }
  '**': { access: $all, publish: $authenticated, unpublish: $authenticated }
max_body_size: 100mb
log: { type: stdout, format: json, level: warn }
`;

class Registry {
  user = USER;
  password = PASSWORD;

  constructor(directory, server, port) {
    Object.assign(this, { directory, server, host: `127.0.0.1:${port}`, url: `http://127.0.0.1:${port}/` });
  }

  async addUser() {
    const answer = await fetch(`${this.url}-/user/org.couchdb.user:${USER}`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: USER, password: PASSWORD }),
    });
    this.token = (await answer.json()).token;
    return this;
  }

  /** Publishes a package with a file of `bytes` random bytes; resolves to the tarball as npm packed it. */
  async publish(name, version, { bytes = 1000, tag = 'latest' } = {}) {
    const folder = fs.mkdtempSync(path.join(this.directory, 'package-'));
    fs.writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ name, version }));
    fs.writeFileSync(path.join(folder, 'random.bin'), randomBytes(bytes));
    const [{ filename }] = JSON.parse(await this.#npm(folder, 'pack', '--json'));
    const file = path.join(folder, path.basename(filename));
    await this.#npm(folder, 'publish', file, '--tag', tag);
    return fs.readFileSync(file);
  }

  unpublish(name, version) {
    return this.#npm(this.directory, 'unpublish', `${name}@${version}`, '--force');
  }

  async #npm(cwd, ...words) {
    const userconfig = path.join(this.directory, 'npmrc');
    fs.writeFileSync(userconfig, `//${this.host}/:_authToken=${this.token}\nregistry=${this.url}\n`);
    const env = { PATH: process.env.PATH, HOME: this.directory };
    const cache = path.join(this.directory, 'cache');
    return (await run('npm', [...words, '--userconfig', userconfig, '--cache', cache], { cwd, env })).stdout;
  }

  async stop() {
    this.server.disconnect();
    await once(this.server, 'exit');
  }
}
