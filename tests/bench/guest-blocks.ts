// The blocks that a recorder makes of a guest's memory: pages that no pattern describes, each content
// once, up to four to a block; of a later memory those that changed, and where less than half of a
// page did, what it differs by.

import { readFileSync } from 'node:fs';
import { FINGERPRINT_KEY_BYTES } from '../../adapters/kernels/engine/kernels.ts';
import { createPageEngine } from '../../adapters/kernels/engine/page-engine.ts';
import { PATCH_BYTES_MAX } from '../../domain/events/patches.ts';
import {
  CHUNK_PAGES,
  CLASS_NONE,
  IDENTIFIER_BYTES,
  KEY_BYTES,
} from '../../domain/ports/page-engine.ts';
import { BLOCK_PAGES, PAGE_BYTES } from '../../domain/values/page.ts';

const CHUNK_BYTES = CHUNK_PAGES * PAGE_BYTES;

/** The page XOR what it was, where that has fewer bytes than a patch may; else the page. */
function patchOf(page: Uint8Array, before: Uint8Array): Uint8Array {
  const mask = page.map((byte, i) => byte ^ before[i]!);
  let differing = 0;
  for (const byte of mask) if (byte !== 0) differing += 1;
  return differing < PATCH_BYTES_MAX ? mask : page;
}

function* inBlocks(pages: readonly Uint8Array[]): Generator<Uint8Array> {
  for (let first = 0; first < pages.length; first += BLOCK_PAGES)
    yield Buffer.concat(pages.slice(first, first + BLOCK_PAGES));
}

/** The blocks of a guest's first memory, then those of its second. */
export async function guestBlocks(
  files: readonly [string, string],
): Promise<readonly [Uint8Array[], Uint8Array[]]> {
  const engine = createPageEngine({ threads: 0 });
  await engine.useKeys({
    identifierKey: new Uint8Array(KEY_BYTES),
    fingerprintKey: new Uint8Array(FINGERPRINT_KEY_BYTES),
  });
  const seen = new Set<string>();
  const [first, second] = files.map((file) => readFileSync(file)) as [Buffer, Buffer];
  const blocks: [Uint8Array[], Uint8Array[]] = [[], []];
  for (const [i, memory] of [first, second].entries())
    for (let at = 0; at < memory.length; at += CHUNK_BYTES) {
      const chunk = memory.subarray(at, at + CHUNK_BYTES);
      const { classes, identifiers } = engine.identify(chunk);
      const fresh: Uint8Array[] = [];
      for (const [row, pageClass] of classes.entries()) {
        const name = Buffer.from(
          identifiers.subarray(row * IDENTIFIER_BYTES, (row + 1) * IDENTIFIER_BYTES),
        ).toString('latin1');
        if (pageClass !== CLASS_NONE || seen.has(name)) continue;
        seen.add(name);
        const page = chunk.subarray(row * PAGE_BYTES, (row + 1) * PAGE_BYTES);
        const from = at + row * PAGE_BYTES;
        fresh.push(i === 0 ? page : patchOf(page, first.subarray(from, from + PAGE_BYTES)));
      }
      blocks[i]!.push(...inBlocks(fresh));
    }
  await engine.close();
  return blocks;
}
