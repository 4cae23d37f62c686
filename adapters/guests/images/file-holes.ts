// Where a sparse file has holes. Node.js has no SEEK_DATA and no SEEK_HOLE, so perl seeks on an open
// file that it shares with us. Costs a process that lives for some milliseconds.

import { spawnSync } from 'node:child_process';
import { fstatSync } from 'node:fs';
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
/** Room for the stretches of a file whose every other page is a hole, up to 16 GiB. */
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;
const DATA_UNIT_MAX = PAGE_BYTES;

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
  const run = spawnSync('perl', ['-MErrno', '-e', SEEKS], {
    stdio: [file.fd, 'pipe', 'pipe'],
    maxBuffer: OUTPUT_BYTES_MAX,
    encoding: 'latin1',
  });
  if (run.error !== undefined || run.status !== 0)
    throw new LedgerError(
      'MISSING_TOOL',
      `the holes of ${label} cannot be told: ${run.error?.message ?? run.stderr.trim()}; perl is needed for it, and a file system that knows holes`,
      { label },
    );
  const holes = new Uint8Array(new SharedArrayBuffer(pageCount)).fill(1);
  for (const line of run.stdout.split('\n')) {
    if (line === '') continue;
    const [from = 0, to = 0] = line.split(' ').map(Number);
    holes.fill(0, Math.floor(from / PAGE_BYTES), Math.ceil(to / PAGE_BYTES));
  }
  return holes;
}
