// The end of a migration stream: its devices, and QEMU's own description of them (stream-layout.ts).
//
// Nothing before the description says how long the devices are. It is a text behind its length, and the
// first of the kind is it. A file may be longer than its stream: Proxmox saves guests into volumes of a
// size of their own, in which anything may lie behind.

import { LedgerError } from '../../../domain/values/ledger-error.ts';
import type { DeviceState } from '../../../domain/values/device-state.ts';
import type { ByteWindow } from './byte-window.ts';
import { invalid } from './stream-failures.ts';
import * as layout from './stream-layout.ts';

/** What stands before a description: EOF and its record, then its length. */
const MARK = Uint8Array.of(layout.RECORD_EOF, layout.RECORD_DESCRIPTION);
const LENGTH_BYTES = 4;
const OPENING_BRACE = 0x7b;

export interface StreamEnd extends Omit<DeviceState, 'head'> {
  /** Bytes of the file behind it, where they are no zeros. */
  readonly behindBytes: number;
}

/** A part of some bytes. */
interface Part {
  readonly start: number;
  readonly end: number;
}

/** Reads devices and their description; `fileBytes` of a file that it may end inside of, else null. */
export async function readStreamEnd(
  window: ByteWindow,
  fileBytes: number | null,
): Promise<StreamEnd> {
  const { label, offsetBytes: begin } = window;
  const { bytes, isAll } = await window.rest(
    layout.DEVICE_BYTES_MAX + layout.DESCRIPTION_BYTES_MAX,
  );
  if (!isAll && fileBytes === null)
    throw invalid(window, `more than ${layout.DEVICE_BYTES_MAX} bytes of device state`);
  const at = descriptionOf(bytes);
  const isPadded = at !== null && bytes.subarray(at.end).every((byte) => byte === 0);
  if (at === null || (!isPadded && fileBytes === null)) {
    const offset = begin + bytes.length;
    throw new LedgerError(
      'STREAM_TRUNCATED',
      `${label} ends at byte ${offset} without the description of its device state: it was cut ` +
        'short, or written with -machine suppress-vmdesc=on; capture it again without',
      { label, offset },
    );
  }
  return {
    sections: bytes.slice(0, at.start - LENGTH_BYTES - MARK.length),
    description: bytes.slice(at.start, at.end),
    behindBytes: isPadded ? 0 : (fileBytes ?? 0) - begin - at.end,
  };
}

/** The first description in some bytes; null: there is none that is whole. */
function descriptionOf(bytes: Uint8Array): Part | null {
  const searched = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = searched.indexOf(MARK); at >= 0; at = searched.indexOf(MARK, at + 1)) {
    const start = at + MARK.length + LENGTH_BYTES;
    if (start >= bytes.length) return null;
    const end = start + searched.readUInt32BE(start - LENGTH_BYTES);
    const isFit = end <= bytes.length && end - start <= layout.DESCRIPTION_BYTES_MAX;
    // A text ends where the next mark begins, so that no byte is looked at twice.
    if (isFit && bytes[start] === OPENING_BRACE && isText(bytes, { start, end }))
      return { start, end };
  }
  return null;
}

function isText(bytes: Uint8Array, { start, end }: Part): boolean {
  for (let i = start; i < end; i += 1) {
    const byte = bytes[i]!;
    if (byte < 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d) return false;
  }
  return true;
}
