// Memory in other tools' formats against the same memory in a raw file, both recorded as new, one after
// the other in the same run. Files are made by the writers of the tests.

import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import { recordImages } from '../../index.ts';
import { avmlDump } from '../support/guest/avml-bytes.ts';
import { elfCore, limeDump, windowsDump, xenCore } from '../support/guest/dump-bytes.ts';
import { kdump } from '../support/guest/kdump-bytes.ts';
import { LIBVIRT_FORMS, libvirtHead } from '../support/guest/libvirt-bytes.ts';
import { mappedFile } from '../support/guest/mapped-bytes.ts';
import { qcow2Image } from '../support/guest/qcow2-bytes.ts';
import * as stream from '../support/guest/stream-bytes.ts';
import { MIB, type Bench, type BenchContext } from './bench.ts';
import { freshFolder, guestImage, warm, withLedger } from './ledgers.ts';
import { figureOf, rowOf, sampled, secondsOf, type Row } from './measure.ts';

/** What is read where it lies costs what a raw file costs. */
const WHERE_IT_LIES = 0.9;
/** What goes through a temporary file is written and read once more. */
const THROUGH_A_FILE = 0.5;
const SNAPSHOTS = 8;
/** Pages that change from one snapshot to the next, one in so many. */
const CHANGES_EACH = 20;

/** A format, its file of a memory, and the least share of a raw file's speed; null: it decompresses. */
type Made = readonly [string, (memory: Buffer) => Uint8Array, number | null];

const pagesOf = (memory: Buffer): readonly Buffer[] =>
  Array.from({ length: memory.length / PAGE_BYTES }, (_, i) =>
    memory.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES),
  );
const ZERO = Buffer.alloc(PAGE_BYTES);
const isZero = (page: Buffer): boolean => page.equals(ZERO);
const runsOf = (memory: Buffer) => [{ address: 0, bytes: memory }];

function streamOf(memory: Buffer): Buffer {
  const pages = pagesOf(memory);
  return stream.bytesOf(
    stream.head(),
    stream.start([{ name: 'pc.ram', pages: pages.length }]),
    stream.end(
      ...pages.map((page, i) =>
        isZero(page) ? stream.zero(i, 'pc.ram') : stream.page(i, page, 'pc.ram'),
      ),
    ),
    stream.tail(),
  );
}

const mapped = (memory: Buffer): Buffer => {
  const pages = pagesOf(memory).map((page) => (isZero(page) ? null : page));
  return mappedFile({ blocks: [{ name: 'pc.ram', pages }] });
};
const gzipped = (memory: Buffer): Buffer =>
  Buffer.concat([
    libvirtHead({ form: LIBVIRT_FORMS.gzip }),
    gzipSync(streamOf(memory), { level: 1 }),
  ]);

const FORMATS: readonly Made[] = [
  ['an ELF core', (memory) => elfCore({ runs: runsOf(memory) }), WHERE_IT_LIES],
  ['a dump of LiME', (memory) => limeDump(runsOf(memory)), WHERE_IT_LIES],
  ['a dump of Windows', (memory) => windowsDump(runsOf(memory)), WHERE_IT_LIES],
  ["a core of Xen's", (memory) => xenCore(runsOf(memory)), WHERE_IT_LIES],
  ['a mapped-ram file', mapped, WHERE_IT_LIES],
  ['a stream', streamOf, THROUGH_A_FILE],
  ['a save of libvirt, gzip', gzipped, null],
  ['a kdump, zlib', (memory) => kdump({ runs: runsOf(memory), level: 1 }), null],
  ['a kdump, snappy', (memory) => kdump({ runs: runsOf(memory), level: 1, kind: 'snappy' }), null],
  ['a dump of avml, compressed', (memory) => avmlDump(rangesOf(memory)), null],
];

/** As avml cuts them. */
function rangesOf(memory: Buffer): readonly { address: number; bytes: Buffer }[] {
  const bytes = 16 * MIB;
  return Array.from({ length: Math.ceil(memory.length / bytes) }, (_, i) => ({
    address: i * bytes,
    bytes: memory.subarray(i * bytes, (i + 1) * bytes),
  }));
}

/** Seconds that files take to be recorded into a new ledger. */
async function secondsFor(context: BenchContext, files: readonly string[]): Promise<number> {
  const folder = freshFolder(context, 'imported');
  let seconds = 0;
  await withLedger({ folder }, async (ledger) => {
    seconds = await secondsOf(() =>
      recordImages(ledger, { vm: 'guest', group: null }, { files, timeMs: null }, () => undefined),
    );
  });
  return seconds;
}

/** The files of a format against raw ones of the same memory. */
async function against(
  context: BenchContext,
  of: {
    readonly what: string;
    readonly files: readonly string[];
    readonly raw: readonly string[];
    readonly bound: number | null;
  },
): Promise<Row> {
  context.tell(`${of.what} against raw memory`);
  const limits: number[] = [];
  const times = await sampled(context.isQuick ? 1 : 3, async () => {
    limits.push(await secondsFor(context, of.raw));
    return secondsFor(context, of.files);
  });
  return rowOf({
    what: `record ${of.what}`,
    measured: figureOf(times, 's'),
    limit: { what: 'the same memory raw', figure: figureOf(limits, 's') },
    inverse: true,
    ...(of.bound === null ? {} : { target: { sense: 'at least', bound: of.bound } as const }),
  });
}

/** A memory, and what it was at each snapshot: pages trade places. */
function* changing(memory: Buffer): Generator<Buffer> {
  const now = Buffer.from(memory);
  const pages = now.length / PAGE_BYTES;
  for (let snapshot = 1; snapshot <= SNAPSHOTS; snapshot += 1) {
    yield now;
    for (let page = snapshot; page < pages; page += CHANGES_EACH)
      now.writeUInt32LE(snapshot, page * PAGE_BYTES);
  }
}

/** Eight snapshots of a disk image against as many raw files. */
async function snapshots(context: BenchContext): Promise<Row> {
  const memory = readFileSync(guestImage(context, context.isQuick ? 4 : 48));
  const raw: string[] = [];
  const states: { readonly name: string; readonly state: Buffer }[] = [];
  for (const now of changing(memory)) {
    const path = join(context.folder, `snapshot-${raw.length + 1}.raw`);
    writeFileSync(path, now);
    raw.push(path);
    states.push({ name: `point ${raw.length}`, state: streamOf(now) });
  }
  const file = join(context.folder, 'snapshots.qcow2');
  writeFileSync(file, qcow2Image(states));
  const what = `${SNAPSHOTS} snapshots in a qcow2 image`;
  const row = await against(context, { what, files: [file], raw, bound: THROUGH_A_FILE });
  for (const path of [...raw, file]) rmSync(path);
  return row;
}

async function run(context: BenchContext): Promise<readonly Row[]> {
  const raw = guestImage(context, context.isQuick ? 8 : 128);
  const memory = warm(raw);
  const rows: Row[] = [];
  for (const [what, made, bound] of FORMATS) {
    const file = join(context.folder, 'made');
    writeFileSync(file, made(memory));
    rows.push(await against(context, { what, files: [file], raw: [raw], bound }));
    rmSync(file);
  }
  return [...rows, await snapshots(context)];
}

export const importers: Bench = { name: 'importers', title: "Other tools' files of memory", run };
