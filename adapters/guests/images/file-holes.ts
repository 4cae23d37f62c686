// Where a sparse file has holes. Node.js has no SEEK_DATA and no SEEK_HOLE, so perl seeks on an open
// file that it shares with us, and qemu-img does where there is no perl. Costs a process that lives for
// some milliseconds.

import { spawnSync } from 'node:child_process';
import { fstatSync } from 'node:fs';
import * as either from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import type { ImageFile } from './image-file.ts';

/** Prints where data begins and ends, a stretch a line. 3 and 4 are Linux's SEEK_DATA and SEEK_HOLE. */
const SEEKS = `
  open(my $file, "<&=", 0) or die "$!\\n";
  my ($at, $size) = (0, -s $file);
  while ($at < $size) {
    my $data = sysseek($file, $at, 3);
    unless (defined $data) { last if $!{ENXIO}; die "$!\\n" }
    $at = sysseek($file, $data, 4) // die "$!\\n";
    print $data + 0, " ", $at + 0, "\\n";
  }`;
/** Room for the stretches of a file whose every other page is a hole, up to 16 GiB; qemu-img takes ten times as much. */
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;
const DATA_UNIT_MAX = PAGE_BYTES;

/** Where data begins and ends. */
type Stretch = readonly [from: number, to: number];

/** A program that tells of the file on its standard input. */
interface Teller {
  readonly program: string;
  readonly words: readonly string[];
  /** What it printed. */
  readonly read: (text: string) => readonly Stretch[];
}

/** A stretch a line. */
const linesOf = (text: string): readonly Stretch[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [from = Number.NaN, to = Number.NaN] = line.split(' ').map(Number);
      return [from, to];
    });

/** Extents as qemu-img tells them, of which holes are some. */
const EXTENTS = t.array(t.type({ start: t.number, length: t.number, data: t.boolean }));

function extentsOf(text: string): readonly Stretch[] {
  const told = EXTENTS.decode(JSON.parse(text));
  if (either.isLeft(told)) throw new SyntaxError('no list of extents');
  const withData = told.right.filter(({ data }) => data);
  return withData.map(({ start, length }) => [start, start + length]);
}

const isStretch = ([from, to]: Stretch): boolean =>
  Number.isSafeInteger(from) && Number.isSafeInteger(to) && from >= 0 && to >= from;

/** The stretches that a program printed; null: that is none. */
function stretchesIn({ read }: Teller, text: string): readonly Stretch[] | null {
  try {
    const stretches = read(text);
    return stretches.every(isStretch) ? stretches : null;
  } catch (thrown) {
    if (thrown instanceof SyntaxError) return null;
    throw thrown;
  }
}

/** The one that says it in the fewest bytes is first. */
const TELLERS: readonly Teller[] = [
  { program: 'perl', words: ['-MErrno', '-e', SEEKS], read: linesOf },
  {
    program: 'qemu-img',
    words: ['map', '--force-share', '-f', 'raw', '--output=json', '/proc/self/fd/0'],
    read: extentsOf,
  },
];

const isMissing = (error: Error | undefined): boolean =>
  error !== undefined && 'code' in error && error.code === 'ENOENT';

/** Where a file has data, by the first of the programs that is here. SOURCE_UNREADABLE, MISSING_TOOL. */
function dataOf({ fd, label }: ImageFile): readonly Stretch[] {
  for (const teller of TELLERS) {
    const { program, words } = teller;
    const run = spawnSync(program, words, {
      stdio: [fd, 'pipe', 'pipe'],
      maxBuffer: OUTPUT_BYTES_MAX,
      encoding: 'latin1',
    });
    if (isMissing(run.error)) continue;
    const isDone = run.error === undefined && run.status === 0;
    const stretches = isDone ? stretchesIn(teller, run.stdout) : null;
    if (stretches !== null) return stretches;
    const said = run.error?.message ?? (run.stderr.trim() || 'it said no stretches of data');
    throw new LedgerError(
      'SOURCE_UNREADABLE',
      `the holes of ${label} cannot be told: ${program} asks the file system for them, and failed (${said}); record the file from one that knows holes`,
      { label },
    );
  }
  throw new LedgerError(
    'MISSING_TOOL',
    `the holes of ${label} cannot be told: perl or qemu-img is needed for it; install one of them`,
    { label },
  );
}

/** Whether fewer bytes are kept on the disk than the file has. */
export const isSparse = ({ fd }: ImageFile): boolean => {
  const { blocks, size } = fstatSync(fd);
  return blocks * 512 < size;
};

/** Shared; where [p] is 1, page p of the file is a hole. */
export function holesOf(file: ImageFile, pageCount: number): Uint8Array {
  const { label } = file;
  const unit = fstatSync(file.fd).blksize;
  if (unit > DATA_UNIT_MAX)
    throw new LedgerError(
      'SOURCE_UNREADABLE',
      `the file system of ${label} keeps holes in units of ${unit} bytes, so pages beside a changed one would be taken for changed: put the file on one with units of ${DATA_UNIT_MAX} bytes (ext4, XFS, tmpfs) as it is written, and record it from there`,
      { label, found: unit, expected: DATA_UNIT_MAX },
    );
  const data = dataOf(file);
  const holes = new Uint8Array(new SharedArrayBuffer(pageCount)).fill(1);
  for (const [from, to] of data)
    holes.fill(0, Math.floor(from / PAGE_BYTES), Math.ceil(to / PAGE_BYTES));
  return holes;
}
