// Takes the WebAssembly module of zstd out of its package, where it is text in a program: decoding that
// and compiling it anew in each thread takes longer than most work on a small VM. codec/zstd.ts knows the
// names in exactly these bytes, so they are checked.

import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const WANTED = '791d4548a6c630acbcfbbac1efa5605d6ab39aa094390adc24f7aacf7cb64a47';
const TARGET = 'dist/adapters/kernels/zstd.wasm';

const manifest = createRequire(import.meta.url).resolve('@cloudpss/zstd/package.json');
const program = join(dirname(manifest), 'prebuilds/zstd.js');
const [, text] = /base64,([A-Za-z0-9+/=]+)"/u.exec(readFileSync(program, 'latin1')) ?? [null, ''];
const module = Buffer.from(text, 'base64');
const found = createHash('sha256').update(module).digest('hex');
if (found !== WANTED)
  throw new Error(
    `${program} holds a WebAssembly module of SHA-256 ${found}; expected ${WANTED}. ` +
      'Install the version of @cloudpss/zstd that package.json names.',
  );
writeFileSync(TARGET, module);
