// The contract's services as grpc-js wants them, made from the .proto files, which the build turns into contract.json.
import protobuf from 'protobufjs/light.js';
import contract from '../build/contract.json' with { type: 'json' };

const root = protobuf.Root.fromJSON(contract);
// Numbers instead of Long objects: offsets up to 2^53 are exact, which is 8 PiB.
const PLAIN = { longs: Number, enums: Number, arrays: true, objects: true };

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

function codec(type) {
  return {
    serialize: (message) => type.encode(message).finish(),
    deserialize: (bytes) => type.toObject(type.decode(bytes), PLAIN),
  };
}
