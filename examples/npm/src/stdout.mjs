// Owns descriptor 1. The host reads one line there, so nothing else of this process may reach it: this module is the
// first one that the bundle evaluates, and it puts stderr in stdout's place before any library can print.
import fs from 'node:fs';

// Where stdout or stderr is a file, as it is by hand, opening it again must neither empty it nor write over what is there.
const WRITE = fs.constants.O_WRONLY | fs.constants.O_APPEND;
const handshake = moveAway();

/** Writes the handshake line to the stdout that the host gave us. Synchronous: the line must not wait in a buffer. */
export function writeHandshake(line) {
  let rest = Buffer.from(line);
  while (rest.length > 0) rest = rest.subarray(fs.writeSync(handshake, rest));
}

// Node has no dup2. A pipe can be opened a second time by its name beneath /dev/fd, and what is opened next gets the
// lowest free number, which is the 1 that was closed before. Nothing else runs yet that could take it.
function moveAway() {
  let kept;
  try {
    kept = fs.openSync('/dev/fd/1', WRITE);
  } catch {
    return printToStderr(1); // a socket or a strange mount: descriptor 1 stays, and only what goes through Node is kept off
  }
  fs.closeSync(1);
  replaceDescriptor('/dev/fd/2') || replaceDescriptor('/dev/null');
  return kept;
}

function replaceDescriptor(path) {
  try {
    return fs.openSync(path, WRITE) === 1;
  } catch {
    return false;
  }
}

function printToStderr(descriptor) {
  process.stdout.write = process.stderr.write.bind(process.stderr);
  return descriptor;
}
