// Kinds of small files and derived files by value: what each is written from, and what it is read as.
// The golden files are what an old version wrote and are only ever added to.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { nodeFiles } from '../../../adapters/files/files.ts';
import { openBlockFiles } from '../../../adapters/stores/derived/block-files.ts';
import { identifierFile } from '../../../adapters/stores/derived/identifier-file.ts';
import { openStateFiles } from '../../../adapters/stores/derived/state-files.ts';
import {
  decodeHeads,
  encodeHeads,
  StreamHeads,
} from '../../../adapters/stores/event-log-embedded/stream-heads.ts';
import { markName } from '../../../adapters/stores/compaction-mark.ts';
import { openFingerprintFiles } from '../../../adapters/stores/keys/fingerprint-files.ts';
import { groupKeyText, readGroupKey } from '../../../adapters/stores/keys/group-key-file.ts';
import { formatText, readFormat } from '../../../adapters/stores/ledger-folder/ledger-format.ts';
import { openLocalState } from '../../../adapters/stores/ledger-folder/local-state.ts';
import { checkClaim, claimBytes } from '../../../adapters/stores/ledger-folder/store-claim.ts';
import {
  readWindow,
  windowHeader,
} from '../../../adapters/stores/page-store-cached/window-file.ts';
import { openPagePacks } from '../../../adapters/stores/page-store-folder/page-packs.ts';
import { FINGERPRINT_BYTES, IDENTIFIER_BYTES } from '../../../domain/ports/page-engine.ts';
import { runBlocks, SortedRun } from '../../../projections/page-index/sorted-run.ts';
import { valueOf } from '../outcomes.ts';

const ID = '3f2504e0-4f89-41d3-9a0c-0305e82c3301';
const countUp = (bytes: number, from = 0): Uint8Array =>
  Uint8Array.from({ length: bytes }, (_, i) => (from + i) & 0xff);

const KEY = { group: 'default', key: countUp(32, 0x40) };

const FINGERPRINTS = { vm: 'web-1', capture: 7, commit: 0xfedc_ba98_7654_3210n };
const fingerprintBody = (): SharedArrayBuffer => {
  const body = new SharedArrayBuffer(3 * FINGERPRINT_BYTES);
  new Uint8Array(body).set(countUp(body.byteLength, 9));
  return body;
};

const PAYLOAD = countUp(300, 5);

const RUN = { width: 4, id: 0x0102_0304_0506_0708n };
const RECORDS = [
  [0, 0, 0, 1],
  [0, 0, 1, 127],
  [0, 2, 128, 16_384],
  [7, 1, 1, 4_294_967_295],
];

const WINDOW_BYTES = 64;
const WINDOW_ID = { name: '0123456789abcdef'.repeat(4), offsetBytes: 2 * WINDOW_BYTES };
const WINDOW = { bytes: countUp(40, 100), sizeBytes: 2 * WINDOW_BYTES + 40 };

const HEADS = new StreamHeads(
  4_096,
  new Map([
    ['ledger', { revision: 1, hash: countUp(32, 1), position: 300, end: 700 }],
    ['vm-web', { revision: 12, hash: countUp(32, 2), position: 3_000, end: 4_096 }],
  ]),
  [{ position: 100, end: 140 }],
);

const COMPACTION = { position: 4711n, id: '0b8c1e5de1b94bd2a54a0c2f7f1f3c55' };
const IDENTIFIERS = countUp(3 * IDENTIFIER_BYTES, 77);

/** A kind of file: what writes it below an empty folder, and what reads it there. */
export interface GoldenKind {
  /** Name of the golden file below tests/golden; the last part is how it is called in the folder. */
  readonly golden: string;
  /** Where its writer puts it. */
  readonly path: string;
  /** Null: of a format that is read alone. */
  readonly write: ((folder: string) => Promise<Uint8Array>) | null;
  /** What the bytes are read as; they lie at `path` below `folder` too. */
  read(bytes: Uint8Array, folder: string): unknown;
  readonly value: unknown;
}

const textBytes = (text: string): Promise<Uint8Array> =>
  Promise.resolve(new TextEncoder().encode(text));
const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const fileAt = (path: string): Uint8Array => Uint8Array.from(readFileSync(path));

export const GOLDEN_KINDS: readonly GoldenKind[] = [
  {
    golden: 'ledger-format-6/format',
    path: 'format',
    write: () => textBytes(formatText(ID)),
    read: (bytes) => readFormat(textOf(bytes), 'here'),
    value: { _tag: 'whole', id: ID },
  },
  {
    golden: 'group-key-1/default.key',
    path: 'default.key',
    write: () => textBytes(groupKeyText(KEY)),
    read: (bytes) => readGroupKey(textOf(bytes), 'here'),
    value: KEY,
  },
  {
    golden: 'claim-1/pageledger',
    path: 'pageledger',
    write: () => Promise.resolve(claimBytes(ID)),
    read: (bytes) => {
      checkClaim(bytes, { id: ID, where: 'here' });
    },
    value: undefined,
  },
  {
    golden: `compaction-1/${markName(COMPACTION)}`,
    path: `packs/compacted/${markName(COMPACTION)}`,
    async write(folder) {
      const packs = openPagePacks({ files: nodeFiles, folder: join(folder, 'packs') });
      await valueOf(packs.putMark(COMPACTION));
      return fileAt(join(folder, 'packs/compacted', markName(COMPACTION)));
    },
    read: (_bytes, folder) =>
      valueOf(openPagePacks({ files: nodeFiles, folder: join(folder, 'packs') }).marks()),
    value: [COMPACTION],
  },
  {
    golden: 'local-state-1/ledger',
    path: 'name/ledger',
    async write(folder) {
      const root = join(folder, 'written');
      const { folder: at } = await valueOf(
        openLocalState({ files: nodeFiles, root, name: 'name', id: ID }),
      );
      return fileAt(join(at, 'ledger'));
    },
    // A folder that another ledger owns is not taken.
    read: async (_bytes, folder) =>
      (await valueOf(openLocalState({ files: nodeFiles, root: folder, name: 'name', id: ID })))
        .folder === join(folder, 'name'),
    value: true,
  },
  {
    golden: 'fingerprints-1/web-1',
    path: 'fingerprints/web-1',
    async write(folder) {
      const kept = openFingerprintFiles({ files: nodeFiles, folder });
      await kept.save({ ...FINGERPRINTS, body: fingerprintBody() });
      return fileAt(join(folder, 'fingerprints/web-1'));
    },
    async read(_bytes, folder) {
      const found = await openFingerprintFiles({ files: nodeFiles, folder }).load('web-1');
      return { ...found, body: new Uint8Array(found?.body ?? new SharedArrayBuffer(0)).slice() };
    },
    value: { ...FINGERPRINTS, body: new Uint8Array(fingerprintBody()).slice() },
  },
  {
    golden: 'state-1/state',
    path: 'state',
    write: null,
    read: (_bytes, folder) => openStateFiles({ files: nodeFiles, folder }).load('state'),
    value: PAYLOAD,
  },
  {
    golden: 'state-2/state',
    path: 'state',
    async write(folder) {
      await openStateFiles({ files: nodeFiles, folder }).save('state', PAYLOAD);
      return fileAt(join(folder, 'state'));
    },
    read: (_bytes, folder) => openStateFiles({ files: nodeFiles, folder }).load('state'),
    value: PAYLOAD,
  },
  {
    golden: 'sorted-run-1/versions',
    path: 'versions',
    async write(folder) {
      const records = { words: Uint32Array.from(RECORDS.flat()), count: RECORDS.length };
      await openBlockFiles({ files: nodeFiles, folder }).save(
        'versions',
        runBlocks([records], RUN),
      );
      return fileAt(join(folder, 'versions'));
    },
    async read(_bytes, folder) {
      const file = await openBlockFiles({ files: nodeFiles, folder }).open('versions');
      const run = await SortedRun.open(file!, RUN);
      const records: number[][] = [];
      for await (const { words, count } of run.all())
        for (let row = 0; row < count; row += 1)
          records.push([...words.subarray(row * RUN.width, (row + 1) * RUN.width)]);
      await run.close();
      return records;
    },
    value: RECORDS,
  },
  {
    golden: 'cache-window-1/window',
    path: 'window',
    write: () =>
      Promise.resolve(Buffer.concat([windowHeader(WINDOW_ID, WINDOW), WINDOW.bytes]).slice()),
    read: (bytes) => readWindow(bytes, WINDOW_ID, WINDOW_BYTES),
    value: WINDOW,
  },
  {
    golden: 'log-heads-1/log-heads',
    path: 'log-heads',
    write: () => Promise.resolve(encodeHeads(HEADS)),
    read: (bytes) => decodeHeads(bytes),
    value: HEADS,
  },
  {
    golden: 'identifiers-1/identifiers',
    path: 'identifiers',
    async write(folder) {
      const path = join(folder, 'identifiers');
      const column = identifierFile({ files: nodeFiles, path });
      await column.ready();
      column.append(0, IDENTIFIERS);
      return fileAt(path);
    },
    async read(_bytes, folder) {
      const path = join(folder, 'identifiers');
      const column = identifierFile({ files: nodeFiles, path });
      await column.ready();
      return [0, 1, 2].map((content) => [...(column.read(content) ?? [])]);
    },
    value: [0, 1, 2].map((content) => [
      ...IDENTIFIERS.subarray(content * IDENTIFIER_BYTES, (content + 1) * IDENTIFIER_BYTES),
    ]),
  },
];
