// Failures as the host sees them: a gRPC code, a sentence, and when to come back.
import { Metadata, status as code } from '@grpc/grpc-js';
import protobuf from 'protobufjs/light.js';
import { log } from './log.mjs';

export { code };

/** A failure whose code was chosen; any other exception is INTERNAL. */
export class Failure extends Error {
  /** `retryAfter`: seconds after which the storage wants to be asked again. */
  constructor(statusCode, message, { retryAfter, cause } = {}) {
    super(message, { cause });
    this.code = statusCode;
    this.retryAfter = retryAfter;
  }
}

/** What grpc-js takes for an error. */
export function toStatus(error) {
  const known = error instanceof Failure;
  if (!known) log.error('a call failed with an exception that nobody foresaw', { stack: String(error?.stack ?? error) });
  const failure = known ? error : new Failure(code.INTERNAL, `a bug in the npm plugin: ${error?.message ?? error}`);
  return { code: failure.code, details: failure.message, metadata: trailers(failure) };
}

function trailers(failure) {
  const metadata = new Metadata();
  if (failure.retryAfter !== undefined) metadata.set('grpc-status-details-bin', retryDetails(failure));
  return metadata;
}

// google.rpc.Status and google.rpc.RetryInfo, as far as they are needed here.
const { Type, Field } = protobuf;
const Duration = new Type('Duration').add(new Field('seconds', 1, 'int64')).add(new Field('nanos', 2, 'int32'));
const RetryInfo = new Type('RetryInfo').add(Duration).add(new Field('retryDelay', 1, 'Duration'));
const Any = new Type('Any').add(new Field('typeUrl', 1, 'string')).add(new Field('value', 2, 'bytes'));
const Status = new Type('Status')
  .add(Any)
  .add(new Field('code', 1, 'int32'))
  .add(new Field('message', 2, 'string'))
  .add(new Field('details', 3, 'Any', 'repeated'));

function retryDetails({ code: statusCode, message, retryAfter }) {
  const value = RetryInfo.encode({ retryDelay: { seconds: retryAfter } }).finish();
  const details = [{ typeUrl: 'type.googleapis.com/google.rpc.RetryInfo', value }];
  return Buffer.from(Status.encode({ code: statusCode, message, details }).finish());
}
