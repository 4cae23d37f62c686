// What a pack writer stores reads back, salted or not, and the tables of equal packs tell only with
// unsalted blocks that they are equal.

import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createPageEngine } from '../../../adapters/kernels/engine/page-engine.ts';
import { createMemoryPageStore } from '../../../adapters/stores/page-store-memory/page-store-memory.ts';
import { packWrittenSchema } from '../../../domain/events/pack-written.ts';
import { packRewrittenSchema } from '../../../domain/events/pack-rewritten.ts';
import { describe as describePage } from '../../../domain/patterns/index.ts';
import type { Compression, PageEngine } from '../../../domain/ports/page-engine.ts';
import { CODEC_SALTED, codecOf, SALT_BYTES } from '../../../domain/values/block-salt.ts';
import { isLedgerError } from '../../../domain/values/ledger-error.ts';
import {
  blockStarts,
  CODEC_PACKED,
  CODEC_ZSTD,
  contentSlotsOf,
  PACK_HEADER_BYTES,
} from '../../../domain/values/pack.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { PackWriter, type SealedPack } from '../../../domain/use-cases/pages/pack-writer.ts';
import { mixedImage } from '../../adapters/kernels/random-pages.ts';
import { valueOf } from '../../support/outcomes.ts';

const CONTENTS = 21;
const image = mixedImage(CONTENTS, 3);
const pattern = new Uint8Array(PAGE_BYTES).fill(0x6b);

let engine: PageEngine;
beforeAll(() => {
  engine = createPageEngine({ threads: 0 });
});
afterAll(() => engine.close());

interface Written {
  readonly pack: SealedPack;
  readonly bytes: Uint8Array;
}

/** Two packs that hold the same, one after the other by one writer. */
async function twoPacks(
  isSalted: boolean,
  compression?: Compression,
): Promise<readonly [Written, Written]> {
  const store = createMemoryPageStore();
  const sha256 = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();
  const areBlocksSalted = (): boolean => isSalted;
  const writer = new PackWriter(
    { store, engine, sha256, randomBytes, areBlocksSalted },
    { group: 'g' },
  );
  const packs: SealedPack[] = [];
  for (let i = 0; i < 2; i += 1) {
    writer.addAll(engine.encode(image, compression));
    writer.addPatterns([describePage(pattern).descriptor]);
    await writer.seal((pack) => void packs.push(pack));
    // What the writer kept of the first pack is used for the second one.
    await writer.finish();
  }
  const [first, second] = await Promise.all(
    packs.map(async (pack) => {
      const { name, sizeBytes: lengthBytes } = pack;
      return { pack, bytes: await valueOf(store.get({ name, offsetBytes: 0, lengthBytes })) };
    }),
  );
  return [first!, second!];
}

const decoded = ({ pack, bytes }: Written): Uint8Array =>
  engine.decode({
    bytes: bytes.subarray(PACK_HEADER_BYTES),
    blocks: pack.blocks,
    label: 'a pack',
  });

describe.each([
  ['salted', true],
  ['unsalted', false],
] as const)('packs of %s blocks', (_, isSalted) => {
  test('hold what was added, of contents and of patterns', async () => {
    for (const written of await twoPacks(isSalted)) {
      const { blocks, sizeBytes } = written.pack;
      expect(sizeBytes).toBe(written.bytes.length);
      expect(blockStarts(blocks).offsets.at(-1)).toBe(sizeBytes);
      expect(contentSlotsOf(blocks)).toBe(CONTENTS);
      expect(Buffer.compare(decoded(written), Buffer.concat([image, pattern]))).toBe(0);
    }
  });

  test('are in events of the schema of their time', async () => {
    const [{ pack }] = await twoPacks(isSalted, { codec: CODEC_ZSTD, level: 1 });
    expect(packWrittenSchema(pack, false)).toBe(isSalted ? 3 : 2);
    expect(packRewrittenSchema(pack.blocks, false)).toBe(isSalted ? 2 : 1);
    const [{ pack: packed }] = await twoPacks(isSalted, { codec: CODEC_PACKED });
    expect(packWrittenSchema(packed, false)).toBe(4);
    expect(packRewrittenSchema(packed.blocks, false)).toBe(3);
  });

  test('tell by their checksums that they are equal only where they are unsalted', async () => {
    const [a, b] = await twoPacks(isSalted);
    expect([...a.pack.blocks.lengths]).toEqual([...b.pack.blocks.lengths]);
    const known = new Set(a.pack.blocks.checksums);
    const equal = [...b.pack.blocks.checksums].filter((checksum) => known.has(checksum));
    expect(equal).toHaveLength(isSalted ? 0 : b.pack.blocks.checksums.length);
    expect(a.pack.name).not.toBe(b.pack.name);
  });
});

test.each([3, 90, 2_200])('a pack of %i pages that do not compress is whole', async (pages) => {
  const store = createMemoryPageStore();
  const sha256 = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();
  const ports = { store, engine, sha256, randomBytes, areBlocksSalted: () => true };
  const writer = new PackWriter(ports, { group: 'g' });
  const content = new Uint8Array(randomBytes(pages * PAGE_BYTES));
  writer.addAll(engine.encode(content));
  const sealed: SealedPack[] = [];
  await writer.seal((pack) => void sealed.push(pack));
  await writer.finish();
  const [pack] = sealed as [SealedPack];
  const { name, sizeBytes: lengthBytes } = pack;
  const bytes = await valueOf(store.get({ name, offsetBytes: 0, lengthBytes }));
  expect(Buffer.compare(decoded({ pack, bytes }), content)).toBe(0);
});

test('a salt is as long as the checksum, and the codecs but for its bit are as before', async () => {
  const [[{ pack: salted }], [{ pack: bare }]] = [await twoPacks(true), await twoPacks(false)];
  expect([...salted.blocks.lengths]).toEqual(
    [...bare.blocks.lengths].map((length) => length + SALT_BYTES),
  );
  expect([...salted.blocks.codecs].every((codec) => (codec & CODEC_SALTED) !== 0)).toBe(true);
  expect([...salted.blocks.codecs].map(codecOf)).toEqual([...bare.blocks.codecs]);
});

test('damage of any bit of a salt is found', async () => {
  const [{ pack, bytes }] = await twoPacks(true);
  const { offsets } = blockStarts(pack.blocks);
  for (const end of offsets.slice(1))
    for (let bit = 0; bit < 8 * SALT_BYTES; bit += 1) {
      const changed = bytes.slice();
      changed[end - SALT_BYTES + (bit >>> 3)]! ^= 1 << (bit & 7);
      expect(codeOf(() => decoded({ pack, bytes: changed }))).toBe('PACK_DAMAGED');
    }
});

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (thrown) {
    if (isLedgerError(thrown)) return thrown.code;
    throw thrown;
  }
  return 'it was decoded';
}
