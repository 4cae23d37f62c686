// A program of its own: records many captures of one VM, each with a few pages rewritten in place.
//
//   small-captures.js LEDGER IMAGE CAPTURES CHANGED HOT
//
// HOT pages of the image, at random places, are the ones that are ever rewritten. Prints a line of
// JSON for every capture of which a check is kept: its number, the SHA-256 of the whole image, and the
// milliseconds since the beginning.

import { createHash } from 'node:crypto';
import { closeSync, openSync, readFileSync, statSync, writeSync } from 'node:fs';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import { fillPage, seededRandom } from '../support/images.ts';
import { openLedger, recordImages } from '../../index.ts';

const CHECKS = 12;

const [ledgerPath, image, captures, changed, hot] = process.argv.slice(2) as [
  string,
  string,
  ...string[],
];
const captureCount = Number(captures);
const random = seededRandom(captureCount);
const pages = statSync(image).size / PAGE_BYTES;
const hotPages = Uint32Array.from({ length: Number(hot) }, () => random(pages));
const page = Buffer.alloc(PAGE_BYTES);
const fd = openSync(image, 'r+');
const ledger = await openLedger({ url: ledgerPath, mode: 'create' });
const files = Array.from({ length: captureCount }, () => image);
const every = Math.max(1, Math.floor(captureCount / CHECKS));
await recordImages(
  ledger,
  { vm: 'guest', group: null },
  { files, timeMs: null, format: 'raw' },
  ({ capture }) => {
    if (capture % every === 0 || capture === captureCount) {
      const sha256 = createHash('sha256').update(readFileSync(image)).digest('hex');
      process.stdout.write(`${JSON.stringify({ capture, sha256, ms: performance.now() })}\n`);
    }
    for (let i = 0; i < Number(changed); i += 1) {
      fillPage(page, 'text', random);
      // What is made of random numbers repeats itself after four billion of them, in some 40,000 captures.
      page.writeUInt32LE(capture, 0);
      page.writeUInt32LE(i, 4);
      writeSync(fd, page, 0, PAGE_BYTES, hotPages[random(hotPages.length)]! * PAGE_BYTES);
    }
  },
);
await ledger.close();
closeSync(fd);
