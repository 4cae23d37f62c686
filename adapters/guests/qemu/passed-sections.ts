// Iterated sections that say nothing of memory or of devices, and are passed over:
//
//   pbs-state      what Proxmox's backups know of disks: u64 length, bytes
//   dirty-bitmap   which blocks of disks were written: entries, up to one whose flags have EOS
//
// An entry is u8 flags, the names of a device and of a bitmap where the flags say so, then for START u32
// granularity and u8; for BITS u64 first sector, u32 sectors and, unless all are zero, u64 length, bytes.

import type { ByteWindow } from './byte-window.ts';
import { invalid } from './stream-failures.ts';

const BACKUP_STATE_BYTES_MAX = 1024 * 1024;
/** QEMU sends 1 KiB of a bitmap at once. */
const BITS_BYTES_MAX = 64 * 1024;

const EOS = 0x01;
const ZEROES = 0x02;
const BITMAP_NAME = 0x04;
const DEVICE_NAME = 0x08;
const START = 0x10;
const BITS = 0x40;
/** That more flags follow, of which QEMU has none. */
const EXTRA = 0x80;

/** Passes over bytes that have their length before them. */
async function passBytes(window: ByteWindow, what: string, lengthMax: number): Promise<void> {
  const length = await window.u64(what);
  if (length > lengthMax) throw invalid(window, `${length} bytes of ${what}`);
  await window.pass(length, what);
}

async function passBitmaps(window: ByteWindow, checkLength: () => void): Promise<void> {
  const what = 'bitmaps of disks';
  for (;;) {
    checkLength();
    const flags = await window.u8(what);
    if ((flags & EXTRA) !== 0) throw invalid(window, `the flags ${flags} of ${what}`);
    if ((flags & DEVICE_NAME) !== 0) await window.name(what);
    if ((flags & BITMAP_NAME) !== 0) await window.name(what);
    if ((flags & START) !== 0) await window.pass(5, what);
    if ((flags & BITS) !== 0) {
      await window.pass(12, what);
      if ((flags & ZEROES) === 0) await passBytes(window, what, BITS_BYTES_MAX);
    }
    if ((flags & EOS) !== 0) return;
  }
}

/** Passes over the body of a section; between its parts it asks whether the stream is too long by now. */
type Pass = (window: ByteWindow, checkLength: () => void) => Promise<void>;

/** By their names: what passes over the body of such a section, all of version 1. */
export const PASSED_SECTIONS: ReadonlyMap<string, Pass> = new Map<string, Pass>([
  [
    'pbs-state',
    (window) => passBytes(window, "the state of Proxmox's backups", BACKUP_STATE_BYTES_MAX),
  ],
  ['dirty-bitmap', passBitmaps],
]);
export const PASSED_VERSION = 1;
