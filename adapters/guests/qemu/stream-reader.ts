// Reads a QEMU migration stream from a file or a socket: memory into a spool, everything else as
// bytes to give back (stream-layout.ts). Streams of `migrate`, of background snapshots (RAM without
// an END), with several passes over memory, from QEMU 7.2 and 10.0. Foreign bytes: every length is
// bounded before it is believed, nothing recurses, and the device state is walked to its last byte.

import type { LedgerError } from '../../../domain/values/ledger-error.ts';
import type { MemoryBlock } from '../../../domain/values/memory-map.ts';
import { VM_PAGES_MAX } from '../../../domain/values/page.ts';
import { ByteWindow } from './byte-window.ts';
import type { ByteSource } from './byte-window.ts';
import { deviceSectionsOf, runStateOf } from './device-sections.ts';
import { MappedRam } from './mapped-ram.ts';
import { PASSED_SECTIONS, PASSED_VERSION } from './passed-sections.ts';
import { rangesOfMachine } from './ram-blocks.ts';
import { RamReader } from './ram-reader.ts';
import type { Spool } from './spool.ts';
import { readStreamEnd } from './stream-end.ts';
import { invalid, unsupported } from './stream-failures.ts';
import { HeadReader } from './stream-head.ts';
import * as layout from './stream-layout.ts';
import type { ImageFile } from '../images/image-file.ts';
import type { GuestState } from './stream-layout.ts';

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
  /** The file that the source reads, which may have memory plain in it; absent: there is none. */
  readonly file?: StreamFile;
}

/** A file, and where in it a stream begins. */
export interface StreamFile extends Pick<ImageFile, 'fd' | 'label' | 'sizeBytes'> {
  readonly offsetBytes: number;
}

/** Reads a stream to its end. The image lies in the spool, or in the stream's file. */
export async function readStream(request: ReadStreamRequest): Promise<GuestState> {
  const { source, label, file, spool } = request;
  const window = new ByteWindow({ source, label, offsetBytes: file?.offsetBytes ?? 0 });
  const canBeMapped = file !== undefined;
  const { head, machine, isMapped } = await new HeadReader({ window, canBeMapped }).read();
  const mapped = isMapped && file !== undefined ? new MappedRam(file) : null;
  const ram = new RamReader({
    window,
    spool,
    mapped,
    pagesMax: request.pagesMax ?? VM_PAGES_MAX,
    known: request.known ?? [],
    passesMax: request.passesMax ?? Number.POSITIVE_INFINITY,
  });
  await readRamSections(window, ram);
  const blocks = ram.blocks;
  if (blocks === null) throw invalid(window, 'no list of RAM blocks');
  if (mapped === null) spool.flush();
  const end = await readStreamEnd(window, file?.sizeBytes ?? null);
  const device = { head, sections: end.sections, description: end.description };
  const sections = deviceSectionsOf(device, label);
  return {
    machine,
    memoryMap: { blocks, ranges: rangesOfMachine(machine, blocks[0]!) },
    image: mapped === null ? spool.image(label) : mapped.image(blocks),
    isInFile: mapped !== null,
    device,
    runState: runStateOf(device, sections),
    streamBytes: window.offsetBytes,
    behindBytes: end.behindBytes,
  };
}

/** What reads the body of a section. */
type ReadBody = () => Promise<void>;

/** The iterated sections that have begun, by their numbers and names. */
class IteratedSections {
  readonly #window: ByteWindow;
  readonly #bodies = new Map<number, ReadBody>();
  readonly #names = new Set<string>();
  readonly #ram: RamReader;

  constructor(window: ByteWindow, ram: RamReader) {
    this.#window = window;
    this.#ram = ram;
  }

  get hasRam(): boolean {
    return this.#names.has(layout.RAM_SECTION);
  }

  /** Takes the header of one that begins; its number. */
  async begin(): Promise<number> {
    const what = 'a section header';
    const window = this.#window;
    const section = await window.u32(what);
    const name = await window.name(what);
    const instance = await window.u32(what);
    const version = await window.u32(what);
    const isRam = name === layout.RAM_SECTION;
    const pass = PASSED_SECTIONS.get(name);
    const isNew = !this.#names.has(name) && !this.#bodies.has(section);
    if ((!isRam && pass === undefined) || instance !== 0 || !isNew)
      throw unsupported(
        window,
        `the iterated section "${name}" (instance ${instance}${isNew ? '' : ', once more'})`,
        'detach the device or switch the capability off that adds it, and capture again',
      );
    const expected = isRam ? layout.RAM_VERSION : PASSED_VERSION;
    if (version !== expected)
      throw invalid(window, `"${name}" of version ${version} instead of ${expected}`);
    this.#names.add(name);
    const ram = this.#ram;
    this.#bodies.set(section, () => pass?.(window, () => ram.checkLength()) ?? ram.readBody());
    return section;
  }

  /** Reads the body and the footer of one that has begun. */
  async read(section: number): Promise<void> {
    const body = this.#bodies.get(section);
    if (body === undefined)
      throw invalid(this.#window, `a part of section ${section}, never started`);
    await body();
    await readFooter(this.#window, section);
  }
}

/** Reads records up to the first device or the end; what is read last stays unread. */
async function readRamSections(window: ByteWindow, ram: RamReader): Promise<void> {
  const sections = new IteratedSections(window, ram);
  for (;;) {
    ram.checkLength();
    await window.need(1, 'a record');
    const record = window.bytes[window.start]!;
    switch (record) {
      case layout.RECORD_START:
        window.start++;
        await sections.read(await sections.begin());
        break;
      case layout.RECORD_PART:
      case layout.RECORD_END:
        window.start++;
        await sections.read(await window.u32('a section'));
        break;
      case layout.RECORD_COMMAND:
        await skipCommand(window);
        break;
      case layout.RECORD_FULL:
      case layout.RECORD_EOF:
        if (sections.hasRam) return;
        throw await foreignSection(window);
      default:
        throw invalid(window, `the record type ${record}`);
    }
  }
}

/** The record at the window's start names what the ledger cannot read. */
async function foreignSection(window: ByteWindow): Promise<LedgerError> {
  const what = 'a device before memory';
  const record = await window.u8(what);
  if (record === layout.RECORD_EOF) return invalid(window, 'no section of memory');
  await window.u32(what);
  return unsupported(
    window,
    `the section "${await window.name(what)}" (${what})`,
    'detach the device or switch the capability off that adds it, and capture again',
  );
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
    case layout.COMMAND_POSTCOPY_ADVISE:
      // Without sizes of pages it is for bitmaps of disks alone: memory comes as ever.
      if (length === 0) return;
      break;
    default:
  }
  throw unsupported(
    window,
    `the command ${command}`,
    'switch the migration capabilities postcopy-ram and x-colo off and capture again',
  );
}
