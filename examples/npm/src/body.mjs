// Sends a tarball as Opened, Chunk…, End, at the pace of the host.
import { describe, sameVersion } from './metadata.mjs';
import { Failure, code } from './status.mjs';
import { failureOf } from './refusal.mjs';
import { findTarball, open } from './tarball.mjs';
import { write } from './write.mjs';

const KIB = 1024;
export const CHUNK = 256 * KIB;

export async function sendBody(call, asked) {
  const tarball = await findTarball(asked);
  checkVersion(call.request.validator, tarball);
  const range = readRange(call.request.range);
  const opened = await open(tarball, range.wanted === 0 ? { start: range.start } : range);
  try {
    await send(call, tarball, range.wanted === 0 ? emptyAt(range.start, opened) : opened);
  } finally {
    opened.response.destroy(); // also of a body that is longer than what was asked for
  }
}

function readRange({ start = 0, length } = {}) {
  return { start, wanted: length };
}

function checkVersion(validator, { manifest, published }) {
  if (!validator || (!validator.etag && validator.lastModified === undefined)) return;
  if (sameVersion(validator, describe(manifest.dist, published).validator)) return;
  throw new Failure(code.FAILED_PRECONDITION, `${manifest.name} is now at version ${manifest.version}, or that version was published anew`);
}

// HTTP has no range of no bytes.
function emptyAt(start, opened) {
  return { ...opened, start: opened.start === start ? start : 0, count: 0 };
}

async function send(call, tarball, opened) {
  await write(call, { opened: openedMessage(tarball, opened) });
  let sent = 0;
  for await (const data of chunks(opened)) {
    await write(call, { chunk: { offset: opened.start + sent, data } });
    sent += data.length;
  }
  if (opened.count !== undefined && sent !== opened.count) {
    throw new Failure(code.DATA_LOSS, `the registry announced ${opened.count} bytes and sent ${sent}`);
  }
  await write(call, { end: { total: sent } });
}

function openedMessage({ manifest, published }, { response, start, count, ...facts }) {
  return {
    status: response.statusCode,
    header: Object.entries(response.headers).map(([name, value]) => ({ name, value: String(value) })),
    range: { start, ...(count !== undefined && { length: count }) },
    metadata: describe(manifest.dist, published, facts),
  };
}

/** The body in pieces of CHUNK bytes, `count` bytes at most. What the storage sends little by little is put together. */
async function* chunks({ response, count = Infinity }) {
  let parts = [];
  let held = 0;
  let left = count;
  for await (const part of bytesOf(response)) {
    const data = part.subarray(0, left);
    left -= data.length;
    parts.push(data);
    held += data.length;
    if (held >= CHUNK || left === 0) {
      yield Buffer.concat(parts, held);
      [parts, held] = [[], 0];
    }
    if (left === 0) return;
  }
  if (held > 0) yield Buffer.concat(parts, held);
}

// A body that is cut off ends with an error in Node. It is told by the length afterwards, as DATA_LOSS.
async function* bytesOf(response) {
  try {
    yield* response;
  } catch (error) {
    if (error.code !== 'ECONNRESET' || response.headers['content-length'] === undefined) throw failureOf(error, 'the registry');
  }
}
