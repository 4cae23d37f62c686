// The end of a migration stream: its devices, and QEMU's own description of them (stream-layout.ts).
//
// Nothing before the description says how long the devices are. It is a text behind its length, and ends the
// stream; the guest may have bytes of the kind in its devices. A file may be longer than its stream: Proxmox
// saves guests into volumes of a size of their own, in which anything may lie behind, another stream's end
// too. There the first one that describes what is before it is it.

import { LedgerError } from '../../../domain/values/ledger-error.ts';
import type { DeviceState } from '../../../domain/values/device-state.ts';
import type { ByteWindow } from './byte-window.ts';
import { isDescribed } from './device-sections.ts';
import { invalid } from './stream-failures.ts';
import * as layout from './stream-layout.ts';

/** What stands before a description: EOF and its record, then its length. */
const MARK = Uint8Array.of(layout.RECORD_EOF, layout.RECORD_DESCRIPTION);
const LENGTH_BYTES = 4;
const OPENING_BRACE = 0x7b;
/** How many are held against what is before them. */
const TRIED_MAX = 1024;

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
  const contentEnd = endOfContent(bytes);
  const at = descriptionOf(bytes, { contentEnd, mayBeLonger: fileBytes !== null });
  if (at === null) {
    const offset = begin + bytes.length;
    throw new LedgerError(
      'STREAM_TRUNCATED',
      `${label} ends at byte ${offset} without the description of its device state: it was cut ` +
        'short, or written with -machine suppress-vmdesc=on; capture it again without',
      { label, offset },
    );
  }
  const { sections, description } = devicesAt(bytes, at);
  return {
    sections: sections.slice(),
    description: description.slice(),
    behindBytes: at.end === contentEnd ? 0 : (fileBytes ?? 0) - begin - at.end,
  };
}

/** Where some bytes end, zeros behind them apart. */
function endOfContent(bytes: Uint8Array): number {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end -= 1;
  return end;
}

/** A description and what is before it, in the same bytes. */
const devicesAt = (bytes: Uint8Array, { start, end }: Part): Omit<DeviceState, 'head'> => ({
  sections: bytes.subarray(0, start - LENGTH_BYTES - MARK.length),
  description: bytes.subarray(start, end),
});

/**
 * The description: the one that ends the bytes, or, where they may be longer than the stream, the first
 * that describes what is before it, else the first. Null: there is none that is whole.
 */
function descriptionOf(
  bytes: Uint8Array,
  of: { readonly contentEnd: number; readonly mayBeLonger: boolean },
): Part | null {
  let first: Part | null = null;
  let tried = 0;
  for (const part of descriptionsIn(bytes)) {
    if (part.end === of.contentEnd) return part;
    if (!of.mayBeLonger) continue;
    if (tried < TRIED_MAX && isDescribed(devicesAt(bytes, part))) return part;
    tried += 1;
    first ??= part;
  }
  return first;
}

/** What in some bytes has the form of a description, in its order. */
function* descriptionsIn(bytes: Uint8Array): Generator<Part> {
  const searched = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = searched.indexOf(MARK); at >= 0; at = searched.indexOf(MARK, at + 1)) {
    const start = at + MARK.length + LENGTH_BYTES;
    if (start >= bytes.length) return;
    const end = start + searched.readUInt32BE(start - LENGTH_BYTES);
    const isFit = end <= bytes.length && end - start <= layout.DESCRIPTION_BYTES_MAX;
    // A text ends where the next mark begins, so that no byte is looked at twice.
    if (isFit && bytes[start] === OPENING_BRACE && isText(bytes, { start, end }))
      yield { start, end };
  }
}

function isText(bytes: Uint8Array, { start, end }: Part): boolean {
  for (let i = start; i < end; i += 1) {
    const byte = bytes[i]!;
    if (byte < 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d) return false;
  }
  return true;
}
