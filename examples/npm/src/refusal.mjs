// What a registry's refusal, or a network without an answer, is as a status.
import { Failure, code } from './status.mjs';

const TEXT = 300; // characters of the registry's own words that are passed on
const READ = 4096; // bytes of a body that are read for them

const BY_STATUS = new Map([
  [401, code.UNAUTHENTICATED],
  [403, code.PERMISSION_DENIED],
  [404, code.NOT_FOUND],
  [407, code.PERMISSION_DENIED],
  [408, code.UNAVAILABLE],
  [410, code.NOT_FOUND],
  [429, code.UNAVAILABLE],
  [451, code.PERMISSION_DENIED],
]);

const HINTS = new Map([
  [code.UNAUTHENTICATED, 'give a token for this registry in ~/.npmrc or with --opt token=…'],
  [code.PERMISSION_DENIED, 'the token that was sent, if any, does not suffice'],
  [code.NOT_FOUND, 'some registries say so, too, of a private package without the right token'],
]);

/** Of an answer whose status is 400 or more. */
export async function refusalOf(response, url) {
  const statusCode = BY_STATUS.get(response.statusCode) ?? (response.statusCode >= 500 ? code.UNAVAILABLE : code.INVALID_ARGUMENT);
  const words = [`${url} answered ${response.statusCode}`, await reason(response), HINTS.get(statusCode)];
  return new Failure(statusCode, words.filter(Boolean).join('; '), { retryAfter: retryAfter(response.headers['retry-after']) });
}

async function reason(response) {
  let body = '';
  try {
    for await (const part of response) {
      body += part;
      if (body.length > READ) break;
    }
    const { error, message } = JSON.parse(body);
    return String(error ?? message ?? '').slice(0, TEXT);
  } catch {
    return ''; // no JSON: a page for people
  }
}

function retryAfter(value) {
  if (!value) return undefined;
  const seconds = /^\d+$/.test(value) ? Number(value) : Math.ceil((Date.parse(value) - Date.now()) / 1000);
  return Number.isFinite(seconds) ? Math.max(0, seconds) : undefined;
}

// What OpenSSL says of a certificate; no later try makes it better.
const CERTIFICATE = /^(CERT_|DEPTH_ZERO|ERR_TLS_CERT|HOSTNAME_MISMATCH|SELF_SIGNED|UNABLE_TO_)/;

/** Of an error of the network or of Node's HTTP. */
export function failureOf(error, url) {
  if (error instanceof Failure) return error;
  const cause = error.code ?? error.message;
  if (CERTIFICATE.test(error.code ?? '')) {
    return new Failure(code.INVALID_ARGUMENT, `${url}: its certificate is not accepted (${cause}); name the authority with --opt cafile=FILE`, { cause: error });
  }
  if (error.name === 'AbortError') return new Failure(code.CANCELLED, 'cancelled', { cause: error });
  if (error.code === 'ETIMEDOUT') return new Failure(code.DEADLINE_EXCEEDED, `${url} did not answer in time`, { cause: error });
  return new Failure(code.UNAVAILABLE, `${url} cannot be reached (${cause})`, { cause: error });
}
