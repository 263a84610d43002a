// Reads ~/.npmrc and the like as npm does, with npm's own library.
import Config from '@npmcli/config';
import definitions from '@npmcli/config/lib/definitions/index.js';
import { Failure, code } from './status.mjs';

/** The settings of npm's configuration files beneath `options`, in the form in which npm's libraries take them. */
export async function loadNpmConfig(options, env) {
  const config = new Config({
    ...definitions,
    env,
    // "global" keeps npm from looking for a project's .npmrc around the working directory, which is not ours to choose.
    argv: ['node', 'npm', '--global', ...Object.entries(options).map(([name, value]) => `--${name}=${value}`)],
    npmPath: '/nonexistent', // where npm keeps a built-in configuration; this is not npm
    warn: false,
  });
  await config.load();
  checkReadable(config);
  checkCredentials(config);
  return { ...config.flat };
}

// npm goes on as if such a file were not there. Here it would look like a missing token.
function checkReadable(config) {
  for (const [where, { loadError, source }] of config.data) {
    if (!loadError || ['ENOENT', 'ENOTDIR'].includes(loadError.code) || where === 'builtin') continue;
    throw new Failure(code.INVALID_ARGUMENT, `${source ?? where} cannot be read (${loadError.code}), and npm's settings are in it`);
  }
}

function checkCredentials(config) {
  try {
    config.validate();
  } catch (cause) {
    if (cause.code !== 'ERR_INVALID_AUTH') throw cause;
    const keys = cause.problems.map(({ key, from }) => key ?? from).join(', ');
    throw new Failure(code.INVALID_ARGUMENT, `${config.data.get('user').source}: ${keys} must name a registry, as in //registry.example/:_authToken`, { cause });
  }
}
