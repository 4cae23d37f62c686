// The chunk that nearly every command loads is compiled when the program is built. V8 takes what it made
// of it then where it is the same version with the same flags, and else compiles it as any other:
// nothing is written where the program runs.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const IMAGE_BYTES = 16 * 4096;

/** Loads what lies beside it as `.src`, with what was compiled of it, where that is there. */
const STUB = `"use strict";
const {readFileSync}=require("node:fs"),{Script,constants}=require("node:vm");
const filename=__filename+".src";
let cachedData;
try{cachedData=readFileSync(__filename+".compiled")}catch{}
const importModuleDynamically=constants.USE_MAIN_CONTEXT_DEFAULT_LOADER;
module.script=new Script(readFileSync(filename,"latin1"),{filename,cachedData,importModuleDynamically});
module.script.runInThisContext()(module,require,__filename);
`;

/** Loaded before a command: keeps what was compiled of a chunk when the command ends. */
const keeping = (chunk) => `process.once('exit', () => {
  const { script } = require.cache[${JSON.stringify(chunk)}];
  require('node:fs').writeFileSync(${JSON.stringify(`${chunk}.compiled`)}, script.createCachedData());
});`;

/**
 * Compiles a chunk, by answering a question with it: what was run for that is known to be needed.
 *
 * @param path the chunk, of the program around it
 * @param main the program's entry
 */
export function compileChunk(path, main) {
  const text = readFileSync(path, 'utf8');
  // So it is read as what takes a byte a character, without a look at each.
  if (/[^\0-\x7f]/u.test(text)) throw new TypeError(`${path} is not ASCII`);
  writeFileSync(`${path}.src`, `(function(module,require,__filename){${text}\n})`);
  writeFileSync(path, STUB);
  const folder = mkdtempSync(join(tmpdir(), 'pageledger-build-'));
  // Flags are part of what fits; keys are none of the user's.
  const env = { ...process.env, NODE_OPTIONS: '', PAGELEDGER_KEYS: '' };
  const run = (words, options = []) => {
    const line = [...options, resolve(main), '--ledger', join(folder, 'ledger'), ...words];
    const { status, stderr } = spawnSync(process.execPath, line, { encoding: 'utf8', env });
    if (status !== 0) throw new TypeError(`${words.join(' ')}: ${stderr}`);
  };
  try {
    const [image, keep] = [join(folder, 'image'), join(folder, 'keep.cjs')];
    writeFileSync(image, Buffer.alloc(IMAGE_BYTES, 'memory'));
    writeFileSync(keep, keeping(resolve(path)));
    run(['record', 'image', '--init', '--format', 'raw', '--vm', 'vm', image]);
    run(['captures', '--vm', 'vm'], ['--require', keep]);
  } catch (error) {
    // Where nothing can be recorded, the program is compiled as it starts.
    console.warn(`what commands load is not compiled: ${error.message}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
