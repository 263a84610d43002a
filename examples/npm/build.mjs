// Makes dist/d7y-resource-plugin-npm: one file with all that it needs but Node.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';
import protobuf from 'protobufjs';

const HERE = import.meta.dirname;
const OUTPUT = path.join(HERE, 'dist/d7y-resource-plugin-npm');
const PROTOS = [
  '../../proto/dragonfly/plugin/resource/v1/resource.proto',
  '../../proto/plugin/grpc_controller.proto',
  'node_modules/grpc-health-check/proto/health/v1/health.proto',
];

// A file without an extension is a CommonJS script or an ES module by the next package.json above it, which is the
// user's: there may be one in the home directory. So the bundle is both: a call of import(), which either may have.
const HEAD = `#!/usr/bin/env node
import('node:module').then(({ createRequire }) => {
const require = createRequire('/'), module = { exports: {} }, exports = module.exports;`;
const TAIL = `}).catch((error) => { console.error(error); process.exit(1); });`;

writeContract();
await build({
  entryPoints: [path.join(HERE, 'src/main.mjs')],
  outfile: OUTPUT,
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  minify: true,
  keepNames: true, // in stack traces, and libraries look at the names of classes
  legalComments: 'none',
  define: { BUILD_COMMIT: stamp('rev-parse', '--short', 'HEAD'), BUILD_TIME: stamp('log', '-1', '--format=%cd', '--date=format-local:%Y-%m-%dT%H:%M:%SZ') },
  banner: { js: HEAD },
  footer: { js: TAIL },
  logLevel: 'warning',
});
fs.chmodSync(OUTPUT, 0o755);

/** build/contract.json: the .proto files as protobufjs reads them at run time, without a parser. */
function writeContract() {
  const root = new protobuf.Root();
  for (const file of PROTOS) root.loadSync(path.join(HERE, file));
  fs.mkdirSync(path.join(HERE, 'build'), { recursive: true });
  fs.writeFileSync(path.join(HERE, 'build/contract.json'), JSON.stringify(root.toJSON()));
}

/** What git prints, as a JavaScript literal. */
function stamp(...words) {
  try {
    const printed = execFileSync('git', words, { cwd: HERE, env: { ...process.env, TZ: 'UTC' }, stdio: ['ignore', 'pipe', 'ignore'] });
    return JSON.stringify(printed.toString().trim() || 'unknown');
  } catch {
    return '"unknown"'; // no git, no repository, no commit
  }
}
