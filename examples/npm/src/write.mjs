// Writes to a stream of the host at the host's pace.
import { once } from 'node:events';
import { Failure, code } from './status.mjs';

/** Returns when there is room for more. The stream's own buffer has 16 messages, and "drain" comes when it is empty. */
export async function write(call, message) {
  if (call.cancelled) throw gone();
  if (call.write(message)) return;
  const controller = new AbortController();
  const cancelled = () => controller.abort(); // such a stream never drains
  call.once('cancelled', cancelled);
  try {
    await once(call, 'drain', { signal: controller.signal });
  } catch {
    throw gone();
  } finally {
    call.off('cancelled', cancelled);
  }
}

function gone() {
  return new Failure(code.CANCELLED, 'the host has cancelled the call');
}
