// The calls of the service ResourceClient: checks what every call has in common, and hands over to the registry's side.
import { describeSelf } from './attributes.mjs';
import { sendBody } from './body.mjs';
import { sendListing } from './listing.mjs';
import { parseLocator } from './locator.mjs';
import { metadataOf, sameVersion } from './metadata.mjs';
import { readSettings } from './settings.mjs';
import { Failure, code, toStatus } from './status.mjs';
import { findTarball } from './tarball.mjs';

const SCHEME = 'npm';
const UNKNOWN_LENGTH = -2;
const UNKNOWN_TIME = -1;

/** The handlers, by the names of the contract. */
export function makeSource() {
  let settings; // of the last Init; a call goes on with the one that it began with

  const about = (call) => {
    if (!settings) throw new Failure(code.INVALID_ARGUMENT, 'Init has not succeeded yet');
    const { resource } = call.request;
    if (!resource) throw new Failure(code.INVALID_ARGUMENT, 'the request names no resource');
    return { settings, locator: parseLocator(resource.url ?? ''), header: resource.header ?? [], signal: cancelSignal(call) };
  };
  const metadata = async (call) => metadataOf(await findTarball(about(call)));

  return {
    Init: unary(async ({ request }) => {
      checkScheme(request.scheme ?? '');
      if (!request.describe) settings = await readSettings(request.options ?? {}, process.env);
      return { attributes: describeSelf(SCHEME) };
    }),
    GetMetadata: unary(async (call) => ({ metadata: await metadata(call) })),
    GetContentLength: unary(async (call) => ({ contentLength: (await metadata(call)).contentLength ?? UNKNOWN_LENGTH })),
    IsSupportRange: unary(async (call) => ({ supportRange: (await metadata(call)).supportRange })),
    GetLastModified: unary(async (call) => ({ lastModified: (await metadata(call)).validator.lastModified ?? UNKNOWN_TIME })),
    IsExpired: unary(async (call) => {
      const { validator } = await metadataOf(await findTarball({ ...about(call), fresh: true }));
      return { expired: !sameVersion(call.request.validator, validator) };
    }),
    Download: streaming((call) => sendBody(call, about(call))),
    List: streaming((call) => sendListing(call, about(call))),
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
