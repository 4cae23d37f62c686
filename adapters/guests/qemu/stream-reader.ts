// Reads a QEMU migration stream from a file or a socket: memory into a spool, everything else as
// bytes to give back (stream-layout.ts). Streams of `migrate`, of background snapshots (RAM without
// an END), with several passes over memory, from QEMU 7.2 and 10.0. Foreign bytes: every length is
// bounded before it is believed, nothing recurses, and the device state is walked to its last byte.

import { LedgerError } from '../../../domain/values/ledger-error.ts';
import type { MemoryBlock } from '../../../domain/values/memory-map.ts';
import { VM_PAGES_MAX } from '../../../domain/values/page.ts';
import { ByteWindow } from './byte-window.ts';
import type { ByteSource } from './byte-window.ts';
import { deviceSectionsOf, runStateOf } from './device-sections.ts';
import { rangesOfMachine } from './ram-blocks.ts';
import { RamReader } from './ram-reader.ts';
import type { Spool } from './spool.ts';
import { invalid, unsupported } from './stream-failures.ts';
import { HeadReader } from './stream-head.ts';
import * as layout from './stream-layout.ts';
import type { DeviceState } from '../../../domain/values/device-state.ts';
import type { GuestState } from './stream-layout.ts';

/** Least bytes between a section's list of devices and its JSON: EOF, record, length. */
const DESCRIPTION_HEAD_BYTES = 6;

export interface ReadStreamRequest {
  readonly source: ByteSource;
  readonly spool: Spool;
  /** What a message calls the stream. */
  readonly label: string;
  /** Most pages of all blocks; absent: what a ledger can hold. */
  readonly pagesMax?: number;
  /** The VM's blocks so far, which keep their order; absent: none. */
  readonly known?: readonly MemoryBlock[];
  /** How many times over the stream may bring memory; absent: as often as it likes. */
  readonly passesMax?: number;
}

/** Reads a stream to its end. The image lies in the spool. */
export async function readStream(request: ReadStreamRequest): Promise<GuestState> {
  const window = new ByteWindow({ source: request.source, label: request.label });
  const { head, machine } = await new HeadReader(window).read();
  const ram = new RamReader({
    window,
    spool: request.spool,
    pagesMax: request.pagesMax ?? VM_PAGES_MAX,
    known: request.known ?? [],
    passesMax: request.passesMax ?? Number.POSITIVE_INFINITY,
  });
  await readRamSections(window, ram);
  const blocks = ram.blocks;
  if (blocks === null) throw invalid(window, 'no list of RAM blocks');
  request.spool.flush();
  const device = { head, ...(await readDevices(window)) };
  const sections = deviceSectionsOf(device, request.label);
  return {
    machine,
    memoryMap: { blocks, ranges: rangesOfMachine(machine, blocks[0]!) },
    image: request.spool.image(request.label),
    device,
    runState: runStateOf(device, sections),
    streamBytes: window.offsetBytes,
  };
}

/** Reads records up to the first device or the end; what is read last stays unread. */
async function readRamSections(window: ByteWindow, ram: RamReader): Promise<void> {
  let section: number | null = null;
  for (;;) {
    ram.checkLength();
    await window.need(1, 'a record');
    const record = window.bytes[window.start]!;
    switch (record) {
      case layout.RECORD_START:
        if (section !== null) throw await foreignSection(window, 'a second iterated section');
        section = await startRam(window);
        break;
      case layout.RECORD_PART:
      case layout.RECORD_END: {
        window.start++;
        const found = await window.u32('a section');
        if (found !== section) throw invalid(window, `a part of section ${found}, never started`);
        break;
      }
      case layout.RECORD_COMMAND:
        await skipCommand(window);
        continue;
      case layout.RECORD_FULL:
      case layout.RECORD_EOF:
        if (section !== null) return;
        throw await foreignSection(window, 'a device before memory');
      default:
        throw invalid(window, `the record type ${record}`);
    }
    await ram.readBody();
    await readFooter(window, section);
  }
}

/** The record at the window's start names what the ledger cannot read. */
async function foreignSection(window: ByteWindow, what: string): Promise<LedgerError> {
  const record = await window.u8(what);
  if (record === layout.RECORD_EOF) return invalid(window, 'no section of memory');
  await window.u32(what);
  return unsupported(
    window,
    `the section "${await window.name(what)}" (${what})`,
    'detach the device or switch the capability off that adds it, and capture again',
  );
}

async function startRam(window: ByteWindow): Promise<number> {
  const what = 'a section header';
  window.start++;
  const section = await window.u32(what);
  const name = await window.name(what);
  const instance = await window.u32(what);
  const version = await window.u32(what);
  if (name !== layout.RAM_SECTION || instance !== 0) {
    throw unsupported(
      window,
      `the iterated section "${name}" (instance ${instance})`,
      'detach the device or switch the capability off that adds it, and capture again',
    );
  }
  if (version !== layout.RAM_VERSION) {
    throw invalid(window, `RAM of version ${version} instead of ${layout.RAM_VERSION}`);
  }
  return section;
}

async function readFooter(window: ByteWindow, section: number): Promise<void> {
  const mark = await window.u8('a section footer');
  const found = await window.u32('a section footer');
  if (mark !== layout.RECORD_FOOTER || found !== section) {
    throw invalid(window, `no footer of section ${section}`);
  }
}

async function skipCommand(window: ByteWindow): Promise<void> {
  window.start++;
  const command = await window.u16('a command');
  const length = await window.u16('a command');
  switch (command) {
    case layout.COMMAND_OPEN_RETURN_PATH:
    case layout.COMMAND_PING:
    case layout.COMMAND_SWITCHOVER_START:
      await window.text(length, 'a command');
      return;
    default:
      throw unsupported(
        window,
        `the command ${command}`,
        'switch the migration capabilities postcopy-ram and x-colo off and capture again',
      );
  }
}

/** Device sections and their description, from the first of them to the stream's end. */
async function readDevices(window: ByteWindow): Promise<Omit<DeviceState, 'head'>> {
  const bytes = await window.rest(layout.DEVICE_BYTES_MAX + layout.DESCRIPTION_BYTES_MAX);
  if (bytes === null) {
    throw invalid(window, `more than ${layout.DEVICE_BYTES_MAX} bytes of device state`);
  }
  const at = descriptionOf(bytes);
  if (at === null) {
    const { label, offsetBytes: offset } = window;
    throw new LedgerError(
      'STREAM_TRUNCATED',
      `${label} ends at byte ${offset} without the description of its device state: it was cut ` +
        'short, or written with -machine suppress-vmdesc=on; capture it again without',
      { label, offset },
    );
  }
  return {
    sections: bytes.slice(0, at.start - DESCRIPTION_HEAD_BYTES),
    description: bytes.slice(at.start, at.end),
  };
}

/**
 * Where the JSON lies that ends the bytes, NULs of a padded file apart. It is text and the bytes
 * before it are not, so the search ends at the first byte, from behind, that is no text.
 */
function descriptionOf(bytes: Uint8Array): { readonly start: number; readonly end: number } | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  for (let start = end - 1; start >= DESCRIPTION_HEAD_BYTES; start--) {
    const byte = bytes[start]!;
    if (byte < 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d) return null;
    if (
      byte === 0x7b &&
      view.getUint32(start - 4) === end - start &&
      bytes[start - 5] === layout.RECORD_DESCRIPTION &&
      bytes[start - 6] === layout.RECORD_EOF
    ) {
      return { start, end };
    }
  }
  return null;
}
