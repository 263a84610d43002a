// The calls of the service ResourceClient: checks what every call has in common, and hands over to the registry's side.
import { describeSelf } from './attributes.mjs';
import { log } from './log.mjs';
import { Failure, code, toStatus } from './status.mjs';

const SCHEME = 'npm';
const UNKNOWN_LENGTH = -2;
const UNKNOWN_TIME = -1;

/** The handlers, by the names of the contract. */
export function makeSource() {
  let calls; // calls.mjs
  let settings; // of the last Init; a call goes on with the one that it began with

  const about = (call) => {
    if (!settings) throw new Failure(code.INVALID_ARGUMENT, 'Init has not succeeded yet');
    const { resource } = call.request;
    if (!resource) throw new Failure(code.INVALID_ARGUMENT, 'the request names no resource');
    return { settings, locator: calls.parseLocator(resource.url ?? ''), header: resource.header ?? [], signal: cancelSignal(call) };
  };
  const metadata = async (call, more) => {
    const asked = about(call);
    return calls.metadataOf(await calls.findTarball({ ...asked, ...more }));
  };

  return {
    Init: unary(async ({ request }) => {
      checkScheme(request.scheme ?? '');
      if (!request.describe) {
        calls ??= await import('./calls.mjs');
        settings = await calls.readSettings(request.options ?? {}, process.env);
        log.info('configured', { host: request.host ?? '', options: Object.keys(request.options ?? {}) }); // no values: secrets
      }
      return { attributes: describeSelf(SCHEME) };
    }),
    GetMetadata: unary(async (call) => ({ metadata: await metadata(call) })),
    GetContentLength: unary(async (call) => ({ contentLength: (await metadata(call)).contentLength ?? UNKNOWN_LENGTH })),
    IsSupportRange: unary(async (call) => ({ supportRange: (await metadata(call)).supportRange })),
    GetLastModified: unary(async (call) => ({ lastModified: (await metadata(call)).validator.lastModified ?? UNKNOWN_TIME })),
    IsExpired: unary(async (call) => {
      const { validator } = await metadata(call, { fresh: true });
      return { expired: !calls.sameVersion(call.request.validator, validator) };
    }),
    Download: streaming((call) => {
      const asked = about(call); // first: before Init there are no calls
      return calls.sendBody(call, asked);
    }),
    List: streaming((call) => {
      const asked = about(call);
      return calls.sendListing(call, asked);
    }),
  };
}

function checkScheme(scheme) {
  if (scheme !== SCHEME) throw new Failure(code.INVALID_ARGUMENT, `this plugin serves ${SCHEME}, not ${scheme || 'an empty scheme'}`);
}

function unary(answer) {
  return async (call, callback) => {
    try {
      callback(null, await answer(call));
    } catch (error) {
      if (!call.cancelled) callback(toStatus(error));
    }
  };
}

// The stream ends with OK only behind a body or listing that is complete: everything else goes the way of an error.
function streaming(send) {
  return async (call) => {
    try {
      await send(call);
      call.end();
    } catch (error) {
      if (!call.cancelled) call.emit('error', toStatus(error));
    }
  };
}

function cancelSignal(call) {
  const controller = new AbortController();
  if (call.cancelled) controller.abort();
  call.once('cancelled', () => controller.abort());
  return controller.signal;
}
