// Bundles the compiled command line into dist/bin, a chunk for each command. Loading the hundreds of
// small modules of fp-ts, io-ts and rxjs one by one costs more than most questions take to answer; of
// their ES modules only what is used is kept. The page worker and the guard of guests are entries of
// their own, and they and the kernels lie beside the chunks, where new URL('./...', import.meta.url) finds them.

import { copyFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

await build({
  entryPoints: [
    'dist/adapters/faces/cli/main.js',
    'dist/adapters/kernels/engine/page-worker.js',
    'dist/adapters/guests/qemu/guard-process.js',
  ],
  outdir: 'dist/bin',
  entryNames: '[name]',
  bundle: true,
  splitting: true,
  platform: 'node',
  target: 'node20',
  format: 'esm',
  mainFields: ['module', 'main'],
  alias: {
    'fp-ts/lib': 'fp-ts/es6',
    // On the platform node the package offers CommonJS, which cannot be shaken.
    rxjs: fileURLToPath(new URL('../../../node_modules/rxjs/dist/esm/index.js', import.meta.url)),
  },
  external: [
    // Needed for ledgers on servers only, and large.
    '@eventstore/db-client',
    '@aws-sdk/credential-provider-node',
    '@smithy/signature-v4',
    'fast-xml-parser',
  ],
  minifyWhitespace: true,
  minifySyntax: true,
  // For dependencies that are CommonJS and ask for node's own modules; without `node:`, which a Node.js
  // too old for us does not know, since main.js bears it as well.
  banner: {
    js: "import{createRequire as bundleRequire}from'module';const require=bundleRequire(import.meta.url);",
  },
  logLevel: 'warning',
});
for (const name of ['kernels.wasm', 'zstd.wasm'])
  copyFileSync(`dist/adapters/kernels/${name}`, `dist/bin/${name}`);
