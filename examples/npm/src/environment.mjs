// What the host says through the environment, and the handshake line that answers it (PROTOCOL.md, "Environment").
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const COOKIE_NAME = 'DRAGONFLY_PLUGIN_MAGIC_COOKIE';
const COOKIE = 'd5d7b8f2c1e94a0f8e53a3b6f4907c2e9a61d08b7c35f24e1b90ad6c8f723e45';
const VERSIONS = [1];
const BY_HAND = `This is a plugin of dfget, which starts it by itself.
Put it into ~/.dragonfly/plugins under the name d7y-resource-plugin-npm, then: dfget npm://default/lodash@4 -O lodash.tgz
`;

/** Ends the process, with advice, if a person runs the plugin by hand. */
export function requireCookie(env) {
  if (env[COOKIE_NAME] === COOKIE) return;
  fs.writeSync(2, BY_HAND);
  process.exit(1);
}

/** The highest version that both speak; without one our lowest, and the host explains. */
export function chooseVersion(offered = '') {
  const theirs = offered.split(',').map((word) => Number(word.trim()));
  const both = VERSIONS.filter((version) => theirs.includes(version));
  return both.length > 0 ? Math.max(...both) : Math.min(...VERSIONS);
}

/** Where the socket goes. The digits keep plugins in a shared directory apart. */
export function socketPath(env) {
  const directory = env.PLUGIN_UNIX_SOCKET_DIR || os.tmpdir();
  // Not path.join: the host compares text, and links in its directory must stay as they are.
  return `${directory}/plugin${process.pid}${process.hrtime.bigint()}`;
}

/** Gives the socket to PLUGIN_UNIX_SOCKET_GROUP, which is a name or a number. */
export function shareSocket(socket, group) {
  if (!group) return;
  fs.chownSync(socket, -1, /^\d+$/.test(group) ? Number(group) : groupNumber(group));
  fs.chmodSync(socket, 0o660);
}

function groupNumber(name) {
  const lines = fs.readFileSync(path.join('/etc', 'group'), 'utf8').split('\n');
  const found = lines.map((line) => line.split(':')).find((fields) => fields[0] === name);
  if (!found) throw new Error(`PLUGIN_UNIX_SOCKET_GROUP: there is no group ${name} in /etc/group`);
  return Number(found[2]);
}

/** Field 6 is empty unless the host asked for TLS: a go-plugin host crashes at a certificate that it does not expect. */
export function handshakeLine(env, { socket, certificate = '' }) {
  const version = chooseVersion(env.PLUGIN_PROTOCOL_VERSIONS);
  const multiplexing = env.PLUGIN_MULTIPLEX_GRPC ? '|false' : '';
  return `1|${version}|unix|${socket}|grpc|${certificate}${multiplexing}\n`;
}
