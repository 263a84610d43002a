// A source plugin of dfget for npm registries. PROTOCOL.md, "Other languages", gives the order of what happens here.
import { writeHandshake } from './stdout.mjs';
import { handshakeLine, requireCookie, shareSocket, socketPath } from './environment.mjs';
import { log } from './log.mjs';

async function serve(env) {
  const { Life, listen, makeServer, makeSource } = await import('./serving.mjs');
  const socket = socketPath(env);
  const tls = env.PLUGIN_CLIENT_CERT ? await (await import('./certificate.mjs')).mutualTls(env.PLUGIN_CLIENT_CERT) : {};
  const server = makeServer(makeSource(), { interceptors: tls.interceptors, shutdown: () => life.end() });
  const life = new Life(server, socket);
  life.watch(env);
  await listen(server, socket, tls.credentials);
  shareSocket(socket, env.PLUGIN_UNIX_SOCKET_GROUP);
  writeHandshake(handshakeLine(env, { socket, certificate: tls.field }));
}

requireCookie(process.env);
serve(process.env).catch((error) => {
  log.error(`the plugin cannot start: ${error.message}`, { stack: String(error.stack) });
  process.exit(1);
});
