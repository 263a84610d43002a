// Sends a tarball as Opened, Chunk…, End, at the pace of the host.
import { encodeChunk } from './contract.mjs';
import { describe, sameVersion } from './metadata.mjs';
import { Failure, code } from './status.mjs';
import { failureOf } from './refusal.mjs';
import { findTarball, open } from './tarball.mjs';
import { write } from './write.mjs';

// CPU of dfget and plugin together for 512 MiB, the best of four runs, loopback HTTP to /dev/null: 64 KiB 2.9 s, 128 KiB
// 2.4 s, 256 KiB 2.1 s, 512 KiB 1.7 s, 1 MiB 1.9 s. What is sent is cut into frames of 16 KiB by Node whatever the host
// allows, and the windows are the host's: grpc-node.flow_control_window is about what is received.
const CHUNK = 512 * 1024;

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
  for await (const { parts, length } of chunks(opened)) {
    await write(call, encodeChunk(opened.start + sent, parts));
    sent += length;
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

/** The body in chunks, `count` bytes at most. What the storage sends little by little is put together. */
async function* chunks({ response, count = Infinity }) {
  let chunk = { parts: [], length: 0 };
  let left = count;
  for await (const part of bytesOf(response)) {
    const data = part.subarray(0, left);
    left -= data.length;
    chunk.parts.push(data);
    chunk.length += data.length;
    if (chunk.length >= CHUNK || left === 0) {
      yield chunk;
      chunk = { parts: [], length: 0 };
    }
    if (left === 0) return;
  }
  if (chunk.length > 0) yield chunk;
}

// A body that is cut off ends with an error in Node. It is told by the length afterwards, as DATA_LOSS.
async function* bytesOf(response) {
  try {
    yield* response;
  } catch (error) {
    if (error.code !== 'ECONNRESET' || response.headers['content-length'] === undefined) throw failureOf(error, 'the registry');
  }
}
