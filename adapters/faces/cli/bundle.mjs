// Bundles the compiled command line into dist/bin. Node takes about a millisecond for each module that
// it loads: for the hundreds of small ones of fp-ts, io-ts and rxjs most of all, but also for the dozens of
// chunks that a bundler cuts what commands share into. So what small questions load is one chunk, whoever
// loads a part of it, and what else a command needs follows in others. All of it is CommonJS, for which
// Node loads nothing more than it has loaded itself, and the one chunk is compiled already. The page worker, the guard of
// guests and their keeper are programs of one file each. They and the kernels lie beside the chunks, where
// new URL('./...', import.meta.url) finds them.

import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { asCommonJs, assertNoCircles } from './common-js.mjs';
import { compileChunk } from './compiled-chunks.mjs';

const CLI = 'dist/adapters/faces/cli';
const MAIN = `${CLI}/main.js`;
/** What every command line loads, also one that only asks for help. */
const PROGRAM = `${CLI}/run.js`;
/** The small questions: what these load is loaded at once. */
const QUESTIONS = ['captures', 'history'].map((name) => `${CLI}/commands/${name}.js`);
/** The name of a module that imports it all. */
const COMMON = 'what-questions-load';

const FOLDER = 'dist/bin';

const options = {
  outdir: FOLDER,
  entryNames: '[name]',
  bundle: true,
  platform: 'node',
  target: 'node20',
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
    // Loads a file of the system it runs on.
    'koffi',
  ],
  minifyWhitespace: true,
  minifySyntax: true,
  logLevel: 'warning',
};
const chunks = { ...options, format: 'esm', splitting: true, write: false, metafile: true };

/** What each module imports at once, and which modules are imported when they are needed. */
async function importsOf(entryPoint) {
  const asked = { ...chunks, entryPoints: [entryPoint] };
  const { inputs } = (await build(asked)).metafile;
  const atOnce = new Map();
  const later = new Set();
  for (const [name, { imports }] of Object.entries(inputs)) {
    const known = imports.filter(({ path }) => inputs[path] !== undefined);
    for (const { path, kind } of known) if (kind === 'dynamic-import') later.add(path);
    const others = known.filter(({ kind }) => kind !== 'dynamic-import');
    atOnce.set(
      name,
      others.map(({ path }) => path),
    );
  }
  return { atOnce, later };
}

/** The modules and all that they load at once. */
function closureOf(modules, atOnce) {
  const found = new Set();
  const left = [...modules];
  for (let name = left.pop(); name !== undefined; name = left.pop()) {
    if (found.has(name)) continue;
    found.add(name);
    left.push(...atOnce.get(name));
  }
  return found;
}

/** Lets whatever is loaded later load all that questions load: a bundler keeps together what has the same users. */
function questionsTogether({ atOnce, later }) {
  const common = [...closureOf(QUESTIONS, atOnce)].filter((name) => !later.has(name));
  // What the program itself loads is loaded without all that, also where somebody loads it later.
  const program = closureOf([PROGRAM], atOnce);
  const users = new Set(
    [...later].filter((name) => !program.has(name)).map((name) => resolve(name)),
  );
  return {
    name: COMMON,
    setup({ onResolve, onLoad }) {
      onResolve({ filter: new RegExp(`^${COMMON}$`) }, () => ({
        path: COMMON,
        namespace: COMMON,
        sideEffects: true,
      }));
      onLoad({ filter: /.*/, namespace: COMMON }, () => ({
        contents: common.map((name) => `import ${JSON.stringify(resolve(name))};`).join('\n'),
        resolveDir: process.cwd(),
      }));
      onLoad({ filter: /\.js$/ }, ({ path }) =>
        users.has(path)
          ? { contents: `${readFileSync(path, 'utf8')}\nimport '${COMMON}';` }
          : undefined,
      );
    },
  };
}

/** Modules of node's that cost a command line time, and what stands for them. */
const COSTLY = new Map([
  // An import of it touches all that it exports, also WebCrypto, which is made when it is touched.
  ['node:crypto', `module.exports = require('node:crypto');`],
  // The parser asks for it, and starts programs only for commands that are programs of their own.
  ['node:child_process', `exports.spawn = (...of) => require('node:child_process').spawn(...of);`],
]);
const PARSER = /node_modules.commander/u;

/** Modules of node's in a cheaper way. */
const nodesOwn = {
  name: 'nodes-own',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node:(crypto|child_process)$/ }, ({ path, importer, namespace }) =>
      namespace === 'nodes-own' || (path === 'node:child_process' && !PARSER.test(importer))
        ? { path, external: true }
        : { path, namespace: 'nodes-own' },
    );
    onLoad({ filter: /.*/, namespace: 'nodes-own' }, ({ path }) => ({
      contents: COSTLY.get(path),
    }));
  },
};

/** CommonJS has no import.meta; whoever asks where it lies gets this. */
const HERE = 'bundledFrom';
const define = { 'import.meta.url': HERE };
const here = `const ${HERE}=require('node:url').pathToFileURL(__filename).href;`;

const { outputFiles, metafile } = await build({
  ...chunks,
  define,
  entryPoints: [MAIN],
  plugins: [nodesOwn, questionsTogether(await importsOf(MAIN))],
  // That modules without side effects are imported for nothing is what is wanted.
  logOverride: { 'ignored-bare-import': 'silent' },
});
assertNoCircles(metafile.outputs);
mkdirSync(FOLDER, { recursive: true });
for (const { path, text } of outputFiles) {
  const chunk = asCommonJs(text, metafile.outputs[relative('.', path)]);
  writeFileSync(
    path,
    chunk.includes(HERE) ? chunk.replace('"use strict";', (it) => it + here) : chunk,
  );
}
await build({
  ...options,
  format: 'cjs',
  define,
  banner: { js: here },
  entryPoints: [
    'dist/adapters/kernels/engine/page-worker.js',
    'dist/adapters/guests/qemu/guard-process.js',
  ],
});
// The package around it is of modules of the language.
writeFileSync(`${FOLDER}/package.json`, '{ "type": "commonjs" }\n');
for (const name of ['kernels.wasm', 'zstd.wasm'])
  copyFileSync(`dist/adapters/kernels/${name}`, `${FOLDER}/${name}`);
const largest = outputFiles.reduce((one, other) =>
  other.text.length > one.text.length ? other : one,
);
compileChunk(largest.path, `${FOLDER}/main.js`);
