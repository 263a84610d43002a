// The contract's services as grpc-js wants them, made from the .proto files, which the build turns into contract.json.
import protobuf from 'protobufjs/light.js';
import contract from '../build/contract.json' with { type: 'json' };

const root = protobuf.Root.fromJSON(contract);
// Numbers instead of Long objects: offsets up to 2^53 are exact, which is 8 PiB.
const PLAIN = { longs: Number, enums: Number, arrays: true, objects: true };

const [VARINT, LENGTH_DELIMITED] = [0, 2]; // wire types
const TAGS = {
  chunk: field('DownloadResponse', 'chunk', LENGTH_DELIMITED),
  offset: field('Chunk', 'offset', VARINT),
  data: field('Chunk', 'data', LENGTH_DELIMITED),
};

export const ResourceClient = definition('dragonfly.plugin.resource.v1.ResourceClient');
export const GRPCController = definition('plugin.GRPCController');
export const Health = definition('grpc.health.v1.Health');

function definition(name) {
  const service = root.lookupService(name);
  return Object.fromEntries(service.methodsArray.map((method) => [method.name, methodDefinition(name, method.resolve())]));
}

function methodDefinition(service, method) {
  const request = codec(method.resolvedRequestType);
  const response = codec(method.resolvedResponseType);
  return {
    path: `/${service}/${method.name}`,
    requestStream: Boolean(method.requestStream),
    responseStream: Boolean(method.responseStream),
    requestSerialize: request.serialize,
    requestDeserialize: request.deserialize,
    responseSerialize: response.serialize,
    responseDeserialize: response.deserialize,
  };
}

/**
 * A DownloadResponse with a chunk, ready for the wire. The parts of its data are put behind the field numbers here,
 * instead of joined first and copied again by the encoder: buffers of this size are what the garbage collector works for.
 */
export function encodeChunk(offset, parts) {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const chunk = protobuf.Writer.create().uint32(TAGS.offset).uint64(offset).uint32(TAGS.data).uint32(length).finish();
  const response = protobuf.Writer.create().uint32(TAGS.chunk).uint32(chunk.length + length).finish();
  return Buffer.concat([response, chunk, ...parts]);
}

function field(message, name, wireType) {
  return (root.lookupType(`dragonfly.plugin.resource.v1.${message}`).fields[name].id << 3) | wireType;
}

function codec(type) {
  return {
    serialize: (message) => (Buffer.isBuffer(message) ? message : type.encode(message).finish()),
    deserialize: (bytes) => type.toObject(type.decode(bytes), PLAIN),
  };
}
