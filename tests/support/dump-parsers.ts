// Files of memory in every format that is read, small and sound, to be spoiled (parsers.ts). What is
// made of one is read to its last page.

import { avmlDump } from './guest/avml-bytes.ts';
import { elfCore, elfNote, limeDump, vmwarePair, windowsDump } from './guest/dump-bytes.ts';
import { DumpOpener, runAt } from './guest/opened-dump.ts';
import { flattened, kdump } from './guest/kdump-bytes.ts';
import { qcow2Image } from './guest/qcow2-bytes.ts';
import * as stream from './guest/stream-bytes.ts';
import type { Parser } from './parsers.ts';

const RUNS = [runAt(0, 2), runAt(3, 1), runAt(300, 1)];
const LOOSE = [{ address: 0x1800, bytes: RUNS[0]!.bytes.subarray(0, 0x1400) }, ...RUNS.slice(1)];
const NOTES = [elfNote('CORE', 1, new Uint8Array(336)), elfNote('QEMU', 0, new Uint8Array(440))];

const STREAM = stream.bytesOf(
  stream.head(),
  stream.start([{ name: 'pc.ram', pages: 3 }]),
  stream.end(stream.page(0, stream.pageOf(1), 'pc.ram'), stream.page(2, stream.pageOf(3))),
  stream.tail(),
);

/** Dumps by their formats. */
const DUMPS: readonly (readonly [string, ...Uint8Array[]])[] = [
  ['ELF cores', elfCore({ runs: RUNS, notes: NOTES }), elfCore({ runs: RUNS, bits: 32 })],
  ['snapshots in qcow2', qcow2Image([{ name: 'one', state: STREAM }])],
  ['dumps of avml', avmlDump(RUNS)],
  ['dumps of Windows', windowsDump(RUNS)],
  ['kdumps', kdump({ runs: RUNS }), kdump({ runs: RUNS, level: 1, kind: 'snappy' })],
  ['flattened kdumps', flattened(kdump({ runs: RUNS }))],
  ['dumps of LiME', limeDump(RUNS), limeDump(LOOSE)],
];

/** Each spoiled file is written and opened, which takes longer than a parser of bytes does. */
const SLOWNESS = 3;

export const dumpParsers = (folder: string): readonly Parser[] => {
  const opener = new DumpOpener(folder);
  const { memory, state } = vmwarePair(RUNS);
  opener.file(memory, 'spoiled-state.vmem');
  const parsers = DUMPS.map(([name, ...examples]): Parser => ({
    name,
    examples,
    slowness: SLOWNESS,
    parse: (bytes) => opener.read(bytes, 'spoiled'),
  }));
  const ofVmware: Parser = {
    name: 'states of VMware',
    examples: [state],
    slowness: SLOWNESS,
    parse: (bytes) => opener.read(bytes, 'spoiled-state.vmss'),
  };
  return [...parsers, ofVmware];
};
