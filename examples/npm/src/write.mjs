// Writes to a stream of the host at the host's pace.
import { Failure, code } from './status.mjs';

// grpc-js would take 16 messages before write() returns false: 8 MiB of a body, of each download that is held back.
const AHEAD = 4;

/** Returns when there is room for more. */
export async function write(call, message) {
  if (call.cancelled) throw gone();
  const written = new Promise((resolve) => call.write(message, resolve));
  if (call.writableLength > AHEAD) await unlessCancelled(call, written);
}

// What is written to a stream that the host has left may never be done.
function unlessCancelled(call, written) {
  return new Promise((resolve, reject) => {
    const cancelled = () => reject(gone());
    call.once('cancelled', cancelled);
    written.then(() => (call.off('cancelled', cancelled), resolve()));
  });
}

function gone() {
  return new Failure(code.CANCELLED, 'the host has cancelled the call');
}
