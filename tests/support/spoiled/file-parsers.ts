// What reads the small files of a ledger and of a host, each with a sound example to spoil (parsers.ts).
// What spoiled them has sealed them again: a checksum is right whoever wrote what it is of.

import { hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { sealLines } from '../../../adapters/files/checksummed-text.ts';
import { MemoryFiles } from '../../../adapters/files/memory-files.ts';
import { openStateFiles } from '../../../adapters/stores/derived/state-files.ts';
import {
  encodeStateHeader,
  STATE_CHECK_BYTES,
  STATE_HEADER_BYTES,
} from '../../../adapters/stores/derived/state-file-layout.ts';
import {
  encodeSegmentHeader,
  readSegmentHeader,
} from '../../../adapters/stores/event-log-embedded/segment-header.ts';
import {
  decodeHeads,
  encodeHeads,
  StreamHeads,
} from '../../../adapters/stores/event-log-embedded/stream-heads.ts';
import { Witnesses } from '../../../adapters/stores/event-log-embedded/witness.ts';
import { marksNamed } from '../../../adapters/stores/compaction-mark.ts';
import { openFingerprintFiles } from '../../../adapters/stores/keys/fingerprint-files.ts';
import { readGroupKey } from '../../../adapters/stores/keys/group-keys.ts';
import { loadAgreedStore } from '../../../adapters/stores/ledger-folder/agreed-store.ts';
import { readFormat } from '../../../adapters/stores/ledger-folder/ledger-format.ts';
import { openLocalState } from '../../../adapters/stores/ledger-folder/local-state.ts';
import { checkClaim } from '../../../adapters/stores/ledger-folder/store-claim.ts';
import {
  readWindow,
  windowHeader,
} from '../../../adapters/stores/page-store-cached/window-file.ts';
import { FILE_BLOCK_BYTES } from '../../../domain/ports/derived-files.ts';
import { runBlocks, SortedRun } from '../../../projections/page-index/sorted-run.ts';
import { valueOf } from '../outcomes.ts';
import type { Parser } from './parsers.ts';

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

const ID = '3f2504e0-4f89-41d3-9a0c-0305e82c3301';

/** A file of these lines, of which the last one is right whatever the others are. */
const ofLines = (
  name: string,
  lines: readonly string[],
  parse: (text: string) => unknown,
): Parser => ({
  name,
  examples: [bytesOf(lines.join('\n'))],
  parse: (bytes) => parse(sealLines(textOf(bytes).split('\n'))),
});

/** A disk with one file. */
async function diskWith(path: string, bytes: Uint8Array): Promise<MemoryFiles> {
  const files = new MemoryFiles();
  await files.makeFolder(path.slice(0, path.lastIndexOf('/')));
  const file = await files.open(path, 'new');
  await file.write(bytes, 0);
  return files;
}

const LINES: readonly Parser[] = [
  ofLines('formats of ledgers', ['pageledger ledger', 'format 6', `id ${ID}`], (text) =>
    readFormat(text, '/ledger'),
  ),
  ofLines('claims of page stores', ['pageledger packs', `id ${ID}`], (text) => {
    checkClaim(bytesOf(text), { id: ID, where: '/packs' });
  }),
  ofLines(
    'keys of groups',
    ['pageledger group key', 'group default', `key ${'0123456789abcdef'.repeat(4)}`],
    (text) => readGroupKey(text, '/keys/default.key'),
  ),
  ofLines('places agreed on', ['pageledger page store', 's3://bucket/a%20b'], async (text) =>
    loadAgreedStore({
      files: await diskWith('/state/page-store', bytesOf(text)),
      folder: '/state',
    }),
  ),
  ofLines('owners of local states', ['pageledger local state', `id ${ID}`], async (text) =>
    valueOf(
      openLocalState({
        files: await diskWith('/state/here/ledger', bytesOf(text)),
        root: '/state',
        name: 'here',
        id: ID,
      }),
    ),
  ),
  {
    name: 'names of marks of compactions',
    examples: [bytesOf(`4711-${'0123456789abcdef'.repeat(2)}`)],
    parse: (bytes) => marksNamed([textOf(bytes)]),
  },
];

/** Bytes with a number of 32 bits put in, where there is room. */
function withU32(bytes: Uint8Array, at: number, value: number): Uint8Array {
  const changed = bytes.slice();
  if (at + 4 <= changed.length) new DataView(changed.buffer).setUint32(at, value >>> 0, true);
  return changed;
}

/** Bytes whose checksum at a place is that of those before it. */
const sealedAt = (bytes: Uint8Array, at: number): Uint8Array =>
  withU32(bytes, at, crc32(bytes.subarray(0, at)));

const WINDOW = { name: 'ab'.repeat(32), offsetBytes: 8192 };
const WINDOW_BYTES = 4096;
const WINDOW_CHECK_AT = 60;
const windowBytes = Uint8Array.from({ length: 300 }, (_, i) => i % 7);
const windowFile = Uint8Array.from([
  ...windowHeader(WINDOW, { bytes: windowBytes, sizeBytes: WINDOW.offsetBytes + 300 }),
  ...windowBytes,
]);

/** The window of a file under the checksum that its bytes have. */
function parseWindow(bytes: Uint8Array): unknown {
  const check = crc32(bytes.subarray(64), crc32(bytes.subarray(0, WINDOW_CHECK_AT)));
  return readWindow(withU32(bytes, WINDOW_CHECK_AT, check), WINDOW, WINDOW_BYTES);
}

const FINGERPRINTS_PATH = '/keys/fingerprints/web';

async function fingerprintsFile(): Promise<Uint8Array> {
  const files = new MemoryFiles();
  const body = new SharedArrayBuffer(24 * 5);
  new Uint8Array(body).fill(0x5a);
  await openFingerprintFiles({ files, folder: '/keys' }).save({
    vm: 'web',
    capture: 3,
    commit: 77n,
    body,
  });
  return (await files.load(FINGERPRINTS_PATH, 2 ** 20))!;
}

async function parseFingerprints(bytes: Uint8Array): Promise<unknown> {
  const sealed = sealedAt(withU32(bytes, 24, crc32(bytes.subarray(160))), 156);
  const files = await diskWith(FINGERPRINTS_PATH, sealed);
  return openFingerprintFiles({ files, folder: '/keys' }).load('web');
}

async function parseState(bytes: Uint8Array): Promise<unknown> {
  const payload = bytes.subarray(STATE_HEADER_BYTES, -STATE_CHECK_BYTES);
  const checkAt = Math.max(0, bytes.length - STATE_CHECK_BYTES);
  const checked = withU32(bytes, checkAt, crc32(payload));
  const sealed = sealedAt(checked, STATE_HEADER_BYTES - 4);
  const files = await diskWith('/projections/catalogue', sealed);
  return openStateFiles({ files, folder: '/projections' }).load('catalogue');
}
const statePayload = bytesOf('{"state":[1,2,3]}');
const stateFile = Uint8Array.from([
  ...encodeStateHeader(statePayload.length),
  ...statePayload,
  ...new Uint8Array(STATE_CHECK_BYTES),
]);

const RUN = { width: 5, id: 0x1234_5678_9abcn };
const RUN_ROWS = 60;

/** The blocks of a run, without the zeros that fill them up. */
async function blocksOfRun(): Promise<Uint8Array[]> {
  const words = Uint32Array.from({ length: RUN_ROWS * RUN.width }, (_, i) => {
    const row = Math.floor(i / RUN.width);
    return i % RUN.width === 0 ? Math.floor(row / 7) : row * 1000 + i;
  });
  const blocks: Uint8Array[] = [];
  for await (const block of runBlocks([{ words, count: RUN_ROWS }], RUN))
    blocks.push(block.slice());
  return blocks;
}

/** Blocks of these lengths out of bytes; what is more is the last one's. */
async function parseRun(bytes: Uint8Array, lengths: readonly number[]): Promise<unknown> {
  let at = 0;
  const blocks = lengths.map((length, i) => {
    const block = new Uint8Array(FILE_BLOCK_BYTES);
    const end = i + 1 === lengths.length ? bytes.length : at + length;
    block.set(bytes.subarray(at, Math.min(end, at + FILE_BLOCK_BYTES)));
    at = end;
    return block;
  });
  const read = (number: number): Promise<Uint8Array | null> =>
    Promise.resolve(blocks[number] ?? null);
  async function* first(count: number): AsyncGenerator<Uint8Array | null> {
    for (let number = 0; number < count; number += 1) yield await read(number);
  }
  const file = { count: blocks.length, read, first, close: () => Promise.resolve() };
  const run = await SortedRun.open(file, RUN);
  let rows = 0;
  for await (const { count } of run.all()) rows += count;
  await run.find([3], () => {
    rows += 1;
  });
  return rows;
}

const HASH_BYTES = 32;
const head = (revision: number) => ({
  revision,
  hash: new Uint8Array(HASH_BYTES).fill(revision),
  position: 500 * revision,
  end: 500 * revision + 300,
});

function parseHeads(bytes: Uint8Array): unknown {
  const end = Math.max(0, bytes.length - HASH_BYTES);
  const sealed = bytes.slice();
  sealed.set(
    hash('sha256', sealed.subarray(0, end), 'buffer').subarray(0, bytes.length - end),
    end,
  );
  return decodeHeads(sealed);
}
const headsFile = encodeHeads(
  new StreamHeads(
    4096,
    new Map([
      ['ledger', head(1)],
      ['vm-web', head(7)],
    ]),
    [{ position: 100, end: 130 }],
  ),
);

const SLOT_CHECKED_AT = 8;
const SLOT_NAME_AT = 65;

async function witnessFile(): Promise<Uint8Array> {
  const files = new MemoryFiles();
  await files.makeFolder('/heads');
  const witnesses = new Witnesses('/heads', files);
  await witnesses.prepare('vm-web');
  for (const revision of [3, 4]) await witnesses.write({ stream: 'vm-web', ...head(revision) });
  return (await files.load('/heads/vm-web', 4096))!;
}

async function parseWitness(bytes: Uint8Array): Promise<unknown> {
  let sealed = bytes;
  for (const slot of [0, 512]) {
    const end = slot + SLOT_NAME_AT + (bytes[slot + SLOT_NAME_AT - 1] ?? 0);
    sealed = withU32(sealed, slot + 4, crc32(bytes.subarray(slot + SLOT_CHECKED_AT, end)));
  }
  const witnesses = new Witnesses('/heads', await diskWith('/heads/vm-web', sealed));
  const found: unknown[] = [await witnesses.of('vm-web')];
  for await (const each of witnesses.all()) found.push(each);
  return found;
}

const HEADER_BYTES = 108;

function parseSegmentHeader(bytes: Uint8Array): unknown {
  const second = sealedAt(bytes.slice(HEADER_BYTES), HEADER_BYTES - 4);
  const first = sealedAt(bytes.slice(0, HEADER_BYTES), HEADER_BYTES - 4);
  return readSegmentHeader(Uint8Array.from([...first, ...second]), 4096);
}

/** Parsers of the small files. */
export async function fileParsers(): Promise<readonly Parser[]> {
  const blocks = await blocksOfRun();
  const lengths = blocks.map(({ length }) => length);
  return [
    ...LINES,
    { name: 'windows of the cache', examples: [windowFile], parse: parseWindow },
    {
      name: 'files of fingerprints',
      examples: [await fingerprintsFile()],
      parse: parseFingerprints,
    },
    { name: 'state files', examples: [stateFile], parse: parseState },
    {
      name: 'runs of the page index',
      examples: [Uint8Array.from(blocks.flatMap((block) => [...block]))],
      parse: (bytes) => parseRun(bytes, lengths),
    },
    { name: 'heads of streams', examples: [headsFile], parse: parseHeads },
    { name: 'witnesses', examples: [await witnessFile()], parse: parseWitness },
    {
      name: 'headers of segments',
      examples: [encodeSegmentHeader(4096, new Uint8Array(16).fill(9))],
      parse: parseSegmentHeader,
    },
  ];
}
