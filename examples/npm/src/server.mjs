// The gRPC server on the Unix socket: the source, and the side services that hosts ask for.
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { GRPCController, Health, ResourceClient } from './contract.mjs';
import { Failure, code, toStatus } from './status.mjs';

const SERVING = 1;
const MIB = 1024 * 1024;

/** `shutdown` is called when the host asks for the end. */
export function makeServer(source, { interceptors = [], shutdown }) {
  const server = new Server({ interceptors, 'grpc.max_receive_message_length': 4 * MIB });
  server.addService(ResourceClient, source);
  server.addService(GRPCController, { Shutdown: (_call, callback) => (callback(null, {}), shutdown()) });
  server.addService(Health, { Check: checkHealth, Watch: unimplemented });
  return server;
}

/** Listens before it returns. */
export function listen(server, socket, credentials = ServerCredentials.createInsecure()) {
  return new Promise((resolve, reject) => {
    server.bindAsync(`unix:${socket}`, credentials, (error) => (error ? reject(error) : resolve()));
  });
}

function checkHealth(call, callback) {
  const { service = '' } = call.request;
  if (service === '' || service === 'plugin') return callback(null, { status: SERVING });
  callback(toStatus(new Failure(code.NOT_FOUND, `there is no service ${service} here`)));
}

function unimplemented(call) {
  call.emit('error', toStatus(new Failure(code.UNIMPLEMENTED, 'ask Check instead')));
}
