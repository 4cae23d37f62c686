// What reads bytes or texts from outside, each with sound examples to spoil. A parser gives a value,
// perhaps one that says what is wrong, or fails with a LedgerError or a refusal.

import { encodePatternBlocks } from '../../../adapters/kernels/codec/pattern-blocks.ts';
import { detectFormat } from '../../../adapters/guests/images/image-format.ts';
import { cpusOf } from '../../../adapters/guests/qemu/cpu-state.ts';
import { deviceSectionsOf, runStateOf } from '../../../adapters/guests/qemu/device-sections.ts';
import { rangesOfFlatView } from '../../../adapters/guests/qemu/ram-blocks.ts';
import type { Spool } from '../../../adapters/guests/qemu/spool.ts';
import { readStream } from '../../../adapters/guests/qemu/stream-reader.ts';
import { IMAGE_FORMATS } from '../../../adapters/guests/sources.ts';
import { encodeAppend } from '../../../adapters/stores/event-log-embedded/layout.ts';
import { FORMAT_1, format2 } from '../../../adapters/stores/event-log-embedded/frame-format.ts';
import { encodeRecord } from '../../../adapters/stores/event-log-embedded/record-layout.ts';
import { parseLedgerUrl } from '../../../adapters/stores/event-log-eventstoredb/ledger-url.ts';
import { errorCodeOf, readListing } from '../../../adapters/stores/page-store-s3/s3-answers.ts';
import { parsePageStoreUrl } from '../../../adapters/stores/page-store-s3/page-store-url.ts';
import { decodeControl } from '../../../domain/events/control.ts';
import { decodeLayoutMap, encodeLayoutMap } from '../../../domain/events/layout-map.ts';
import { decodePackRewritten } from '../../../domain/events/pack-rewritten.ts';
import { groupedBy } from '../../../domain/values/grouped.ts';
import { decodePackWritten } from '../../../domain/events/pack-written.ts';
import { decodePageColumns } from '../../../domain/events/pages-written.ts';
import { Btf } from '../../../domain/guest/btf.ts';
import { readKallsyms } from '../../../domain/guest/kallsyms.ts';
import { readKernelLog } from '../../../domain/guest/kernel-log.ts';
import { kernelAt, readBtf } from '../../../domain/guest/kernel.ts';
import { FrameOwners, mappedBy, mappedPages } from '../../../domain/guest/owner-table.ts';
import { pageLayoutOf, pageOwners } from '../../../domain/guest/page-owners.ts';
import { TaskReader, taskLayoutOf } from '../../../domain/guest/tasks.ts';
import { parseVmcoreinfo } from '../../../domain/guest/vmcoreinfo.ts';
import { describe, pageOfExpression } from '../../../domain/patterns/index.ts';
import { durationMs, UTC } from '../../../domain/values/instant.ts';
import { CODEC_PACKED, CODEC_PATTERN, CODEC_ZSTD } from '../../../domain/values/pack.ts';
import { parsePoint } from '../../../domain/values/point.ts';
import { crc32 } from 'node:zlib';
import { parseCursor } from '../../../projections/subscriptions/cursor.ts';
import type { StoredEvent } from '../../../domain/ports/event-log.ts';
import { catalogueIn, catalogueOf } from '../../../projections/models/catalogue-state.ts';
import { Contents } from '../../../projections/models/contents.ts';
import { stateOf } from '../../../projections/models/half.ts';
import type { Projection } from '../../../projections/projection.ts';
import { StateReader } from '../../../projections/models/state-bytes.ts';
import { goldenBytes } from '../golden/golden-capture.ts';
import { blockCodec } from '../packs/block-codec.ts';
import { cpusDevice } from '../guest/cpu-bytes.ts';
import { madeBtf } from '../guest/made-btf.ts';
import { MADE_NOTE, MADE_TYPES, madeKernel, pagesOfBytes } from '../guest/made-kernel.ts';
import { GOLDEN_LAYOUT_MAP } from '../golden/golden-layout.ts';
import * as stream from '../guest/stream-bytes.ts';
import type { SpoiledSeries } from './spoiled-series.ts';

export interface Parser {
  readonly name: string;
  readonly examples: readonly Uint8Array[];
  readonly parse: (bytes: Uint8Array) => unknown;
  /** Sound as they are, they are refused. */
  readonly isRefused?: true;
  /** Examples are mostly memory, of which no byte says how others are to be read. */
  readonly hasMemory?: true;
  /** Others are given so many times as many inputs: this one is slow. Absent: 1. */
  readonly slowness?: number;
}

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const ofText = (
  name: string,
  examples: readonly string[],
  parse: (text: string) => unknown,
): Parser => ({ name, examples: examples.map(bytesOf), parse: (bytes) => parse(textOf(bytes)) });

const MARKER = Uint8Array.from({ length: 16 }, (_, i) => 200 + i);
const APPEND = {
  stream: 'vm-web',
  expectedRevision: 6,
  events: [1, 2, 3].map((n) => ({
    id: new Uint8Array(16).fill(n),
    type: n === 3 ? 'CaptureCommitted' : 'PagesWritten',
    schema: 2,
    timeMs: 1_790_000_000_000 + n,
    data: new Uint8Array(40 * n).fill(n),
  })),
};

/** The frames of a window, and of the same under a header and a hash that are sound. */
const LOG_FORMATS: readonly Parser[] = [FORMAT_1, format2(MARKER)].map((format) => ({
  name: `frames of log format ${format.format}`,
  examples: [
    format.format === 1
      ? encodeAppend(APPEND, { previous: new Uint8Array(32), seen: 0 }).bytes
      : encodeRecord(APPEND, { marker: MARKER, previous: new Uint8Array(32), seen: 0 }).bytes,
  ],
  parse(bytes) {
    const padded = new Uint8Array(bytes.length + format.headerBytes);
    padded.set(bytes);
    const checked = format.format === 1 ? [0, 72, 72] : [12, 76, 8];
    const view = new DataView(padded.buffer);
    const [from, to, at] = checked as [number, number, number];
    const covered = padded.subarray(from, to);
    const crc = format.format === 1 ? crc32(covered) : crc32(covered, crc32(MARKER));
    if (format.format === 2) padded.set(MARKER.subarray(0, 8), 0);
    view.setUint32(at, crc, true);
    const window = { bytes: padded, view, offset: 0, position: 4096 };
    const announced = format.announced(window);
    if (announced === null || announced.lengthBytes > padded.length) return null;
    format.isSound(window, announced.lengthBytes);
    return format.frames(window, announced, { eventsFrom: 0 });
  },
}));

/** Events as a log has them, by their types and schemas. */
function eventParsers(events: readonly StoredEvent[]): Parser[] {
  const parsers: Parser[] = [];
  const kinds = groupedBy(events, ({ type, schema }) => `${type} ${schema}`);
  for (const [kind, of] of kinds) {
    const { type, schema } = of[0]!;
    const parse = (data: Uint8Array): unknown => {
      if (type === 'PackWritten') return decodePackWritten({ schema, data });
      if (type === 'PackRewritten') return decodePackRewritten({ schema, data });
      if (type === 'PagesWritten' || type === 'DeviceStateWritten')
        return decodePageColumns({ schema, data });
      return decodeControl({ ...of[0]!, data });
    };
    parsers.push({ name: `event ${kind}`, examples: of.map(({ data }) => data), parse });
  }
  return parsers;
}

/** Events of schemas of which what was recorded has no example. */
const SHORT_EVENTS: readonly Parser[] = [
  {
    name: 'packs that were rewritten',
    examples: ['PackRewritten', 'PackRewritten-copied'].map((name) =>
      goldenBytes(`events-4/${name}.bin`),
    ),
    parse: (data) => decodePackRewritten({ schema: 4, data }),
  },
];

const PAGES = 3;
const CODEC = blockCodec();
const TO_PACK = Uint8Array.from({ length: PAGES * 4096 }, (_, i) => (i * i) % 7);
const FRAME = CODEC.encode(TO_PACK, { codec: CODEC_ZSTD, level: 1 }).bytes.slice();
const PACKED = CODEC.encode(TO_PACK, { codec: CODEC_PACKED }).bytes.slice();
const DESCRIBED = encodePatternBlocks([
  describe(Uint8Array.from({ length: 4096 }, (_, i) => [0xde, 0xad, 1][i % 3]!)).descriptor,
]);
const blockParser = (name: string, example: Uint8Array, codec: number, pages: number): Parser => ({
  name,
  examples: [example],
  // Its checksum is right: what spoiled it was whoever wrote it.
  parse: (bytes) =>
    CODEC.decode(
      { bytes, codec, pages, checksum: crc32(bytes) },
      { place: { label: 'pack', block: 0, offsetBytes: 64 } },
    ),
});

const BLOCKS = [
  { name: 'pc.bios', pages: 2 },
  { name: 'pc.ram', pages: 8 },
];
const STREAM = stream.bytesOf(
  stream.head(),
  stream.start(BLOCKS),
  stream.part(stream.page(0, stream.pageOf(1), 'pc.ram'), stream.page(1, stream.pageOf(2))),
  stream.end(stream.page(1, stream.pageOf(4)), stream.zero(5, 'pc.ram')),
  stream.tail(),
);
const DEVICES = stream.devices();
const CPUS = cpusDevice(2);

const streamParser = (spool: Spool): Parser => ({
  name: 'streams of QEMU',
  examples: [STREAM],
  parse: (bytes) =>
    readStream({ source: stream.sourceOfBytes(bytes), spool, label: 'the stream', pagesMax: 64 }),
});

const GUESTS: readonly Parser[] = [
  {
    name: 'sections of devices',
    examples: [DEVICES.sections],
    parse(sections) {
      const device = { head: stream.head(), ...DEVICES, sections };
      return runStateOf(device, deviceSectionsOf(device, 'the stream'));
    },
  },
  {
    name: 'descriptions of devices',
    examples: [DEVICES.description],
    parse: (description) => deviceSectionsOf({ ...DEVICES, description }, 'the stream'),
  },
  {
    name: 'sections of processors',
    examples: [CPUS.sections],
    parse: (sections) => cpusOf({ ...CPUS, sections }, 'the stream'),
  },
  {
    name: 'descriptions of processors',
    examples: [CPUS.description],
    parse: (description) => cpusOf({ ...CPUS, description }, 'the stream'),
  },
  {
    name: 'starts of files',
    examples: [
      STREAM.subarray(0, 4096),
      bytesOf(`LibvirtQemudSave\u0002${'\0'.repeat(100)}<domain>`),
      bytesOf(`\x7fELF\x02\x01\x01${'\0'.repeat(9)}\x04\0\x3e${'\0'.repeat(60)}`),
    ],
    parse: (first) => detectFormat({ first, last: first }, IMAGE_FORMATS),
  },
  ofText(
    'flat views',
    [
      'FlatView #0\n Root memory region: system\n  0000000000000000-00000000bfffffff (prio 0, ram): pc.ram @0000000000000000 KVM\n',
    ],
    (text) => rangesOfFlatView(text, [{ name: 'pc.ram', pages: 2 ** 20 }]),
  ),
];

const CONTEXT = { nowMs: 1_790_000_000_000, zone: UTC };
const LISTING =
  '<?xml version="1.0"?>\n<ListBucketResult xmlns="http://x/"><IsTruncated>false</IsTruncated>' +
  '<Contents><Key>p/&#x61;b</Key><Size>7</Size><LastModified>2026-11-21T10:00:00.000Z</LastModified></Contents></ListBucketResult>';

const TEXTS: readonly Parser[] = [
  ofText('listings of S3', [LISTING], (text) => readListing(bytesOf(text))),
  ofText('errors of S3', ['<Error><Code>NoSuchKey</Code><Message>m</Message></Error>'], (text) =>
    errorCodeOf(bytesOf(text)),
  ),
  ofText(
    'URLs of logs',
    [
      'esdb://user:pass@host:2113?ledger=prod&tls=false',
      'esdb+discover://a:1/?nodePreference=leader',
    ],
    parseLedgerUrl,
  ),
  ofText(
    'URLs of page stores',
    ['s3://bucket/prefix?endpoint=https://host:9000&region=x', 'file:///srv/packs', '/srv/packs'],
    parsePageStoreUrl,
  ),
  ofText('points', ['latest', '@12', 'pos:77', 'time:2026-11-20T10:00:00Z', 'ago:10s'], (text) =>
    parsePoint(text, CONTEXT),
  ),
  ofText('durations', ['1.5h', '500ms', '10s'], durationMs),
  ofText('places', ['1234/17', '99', '12/state'], parseCursor),
  ofText('expressions', ['(?:\\xde\\xad)+', '\\x00{4096}', '(?:page)+'], pageOfExpression),
];

/** State files behind their checksums. */
const stateParsers = (of: SpoiledSeries): Parser[] => [
  {
    name: 'states of the catalogue',
    examples: [of.catalogue],
    parse: (bytes) =>
      stateOf(
        loadedBy((state) => catalogueOf(textOf(state))),
        bytes,
      ),
  },
  {
    name: 'states of the contents',
    examples: [of.contents],
    parse: (bytes) =>
      stateOf(
        loadedBy((state) => Contents.load(new StateReader(state))),
        bytes,
      ),
  },
  {
    name: 'state files of the contents',
    examples: [of.contentsState],
    parse: (bytes) =>
      stateOf(
        loadedBy((state) => {
          const contents = Contents.loadState(new StateReader(state));
          return [contents.all, contents.saved];
        }),
        bytes,
      ),
  },
  {
    name: 'state files of the catalogue',
    examples: [of.catalogueState],
    parse: (bytes) =>
      stateOf(
        loadedBy((state) => [...catalogueIn(state).vms.values()].map(({ captures }) => captures)),
        bytes,
      ),
  },
];

/** A projection that does nothing but load. */
const loadedBy = <S>(load: (bytes: Uint8Array) => S): Projection<S, never, unknown> => ({
  name: 'spoiled',
  version: 1,
  initial: () => load(new Uint8Array(0)),
  apply: (state) => state,
  load,
});

/** All that a kernel says of itself, out of the memory of a guest. */
async function selfDescription(bytes: Uint8Array): Promise<unknown> {
  const kernel = await kernelAt(pagesOfBytes(bytes), MADE_NOTE);
  const symbols = await readKallsyms(kernel.memory, kernel.info);
  const btf = await readBtf(kernel, symbols);
  const reader = new TaskReader(kernel.memory, taskLayoutOf(btf));
  const tasks = await reader.all(symbols);
  const owners = await pageOwners(kernel.memory, symbols, { layout: pageLayoutOf(btf) });
  const mapped = await mappedBy(kernel.memory, reader, { tasks });
  const table = new FrameOwners({ owners, mapped, tasks }).table(owners.keys());
  const wanted = [8, 17, 23];
  const some = await pageOwners(kernel.memory, symbols, { layout: pageLayoutOf(btf), wanted });
  const few = await mappedBy(kernel.memory, reader, { tasks, wanted });
  const isCounted = new Uint8Array(owners.length).fill(1);
  const counts = await mappedPages(kernel.memory, reader, { tasks, isCounted });
  return [table, some, few, counts, await readKernelLog(kernel)];
}

const KERNELS = [madeKernel(), madeKernel({ levels: 5, isAbsolute: false })];

const SELF_DESCRIPTIONS: readonly Parser[] = [
  {
    name: 'memory of kernels',
    examples: KERNELS.map(({ bytes }) => bytes),
    parse: selfDescription,
  },
  {
    name: 'VMCOREINFO',
    examples: KERNELS.map(({ bytes }) => bytes.slice(MADE_NOTE * 4096, MADE_NOTE * 4096 + 2000)),
    parse: parseVmcoreinfo,
  },
  {
    name: 'types of kernels',
    examples: [madeBtf(MADE_TYPES)],
    parse(bytes) {
      const btf = new Btf(bytes);
      return [taskLayoutOf(btf), pageLayoutOf(btf)];
    },
  },
  // A few bytes of a page are changed, so that more of it is not what it was than in the whole memory.
  ...([1, 7, 8, 9, 12, 13, 16, 20, 21] as const).map((frame): Parser => ({
    name: `frame ${frame} of a kernel`,
    examples: [madeKernel().bytes.slice(frame * 4096, (frame + 1) * 4096)],
    parse(bytes) {
      const { bytes: memory } = madeKernel();
      memory.set(bytes.subarray(0, 4096), frame * 4096);
      return selfDescription(memory);
    },
  })),
];

export const parsersOf = (of: SpoiledSeries & { readonly spool: Spool }): readonly Parser[] => [
  ...LOG_FORMATS,
  ...eventParsers(of.events),
  ...SHORT_EVENTS,
  {
    name: 'maps of checkpoints',
    examples: [encodeLayoutMap(GOLDEN_LAYOUT_MAP)],
    parse: decodeLayoutMap,
  },
  blockParser('blocks of packed pages', PACKED, CODEC_PACKED, PAGES),
  blockParser('blocks of pages, zstd', FRAME, CODEC_ZSTD, PAGES),
  blockParser('blocks of patterns', DESCRIBED.bytes, CODEC_PATTERN, 1),
  ...stateParsers(of),
  streamParser(of.spool),
  ...GUESTS,
  ...SELF_DESCRIPTIONS,
  ...TEXTS,
];
