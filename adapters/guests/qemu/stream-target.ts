// A QEMU migration stream as a target, in a file or on its way to a QEMU: head, the list of RAM blocks,
// one section with all pages, the devices as they were, their description (stream-layout.ts). A stream
// that is not done has no end, so nobody takes it for whole. Zero pages are sent too: a destination's
// memory may lie in a file that an earlier run has filled, and no word of its command line need say so.

import { assert } from '../../../domain/values/assert.ts';
import { pageCountOf } from '../../../domain/values/memory-map.ts';
import type { MemoryMap } from '../../../domain/values/memory-map.ts';
import type { DeviceState } from '../../../domain/values/device-state.ts';
import type { PageRun, RunTarget } from '../../../domain/ports/guests.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import type { ByteSink } from '../byte-sink.ts';
import * as layout from './stream-layout.ts';

/** Number of the RAM section: QEMU counts sections from 0, so no device has it. */
export const RAM_SECTION_NUMBER = 0x7fff_0001;
const STAGING_BYTES = 1024 * 1024;
const WORD_BYTES = 8;
const RECORD_HEAD_BYTES_MAX = WORD_BYTES + 1 + layout.NAME_BYTES_MAX;
const ZERO_PAGE = Buffer.alloc(PAGE_BYTES);

/** Writes one guest as a stream to a sink, which is not ended with it. */
export function streamTarget(sink: ByteSink): RunTarget {
  const staging = new Staging(sink);
  let begun: { readonly ram: RamWriter; readonly device: DeviceState } | null = null;
  return {
    _tag: 'runs',
    takes: 'guest',
    begin: async ({ memoryMap, device }) => {
      assert(begun === null && device !== null, 'a stream is of one guest, with its devices');
      await staging.bytes(device.head);
      await writeBlockList(staging, memoryMap);
      begun = { ram: new RamWriter(staging, memoryMap), device };
      await begun.ram.begin();
    },
    write: async (run) => {
      assert(begun !== null, 'a stream is begun before pages are written');
      await begun.ram.write(run);
    },
    done: async () => {
      assert(begun !== null, 'a stream is begun before it is done');
      await begun.ram.end();
      await writeDevice(staging, begun.device);
    },
  };
}

async function writeDevice(staging: Staging, device: DeviceState): Promise<void> {
  await staging.bytes(device.sections);
  await staging.reserve(6);
  staging.u8(layout.RECORD_EOF);
  if (device.description.length > 0) {
    staging.u8(layout.RECORD_DESCRIPTION);
    staging.u32(device.description.length);
    await staging.bytes(device.description);
  }
  await staging.flush();
}

/** Bytes gathered before they go to the sink. */
class Staging {
  readonly #buffer = new Uint8Array(STAGING_BYTES);
  readonly #view = new DataView(this.#buffer.buffer);
  readonly #sink: ByteSink;
  #length = 0;

  constructor(sink: ByteSink) {
    this.#sink = sink;
  }

  hasRoom(count: number): boolean {
    return this.#length + count <= STAGING_BYTES;
  }

  async reserve(count: number): Promise<void> {
    assert(count <= STAGING_BYTES, 'what is reserved fits the staging buffer');
    if (!this.hasRoom(count)) await this.flush();
  }

  async flush(): Promise<void> {
    if (this.#length > 0) await this.#sink(this.#buffer.subarray(0, this.#length));
    this.#length = 0;
  }

  u8(value: number): void {
    this.#buffer[this.#length++] = value;
  }

  u32(value: number): void {
    this.#view.setUint32(this.#length, value);
    this.#length += 4;
  }

  /** A word of `high`, a multiple of the flags' range, and flags. */
  word(high: number, flags: number): void {
    this.u32(Math.floor(high / 2 ** 32));
    this.u32((high % 2 ** 32) + flags);
  }

  name(name: string): void {
    assert(name.length <= layout.NAME_BYTES_MAX, 'a name fits its length byte');
    this.u8(name.length);
    for (let i = 0; i < name.length; i++) this.u8(name.charCodeAt(i));
  }

  /** Bytes that are known to fit. */
  take(source: Uint8Array): void {
    this.#buffer.set(source, this.#length);
    this.#length += source.length;
  }

  async bytes(source: Uint8Array): Promise<void> {
    if (!this.hasRoom(source.length)) await this.flush();
    if (source.length <= STAGING_BYTES) this.take(source);
    else await this.#sink(source);
  }
}

async function writeBlockList(staging: Staging, map: MemoryMap): Promise<void> {
  await staging.reserve(STAGING_BYTES);
  staging.u8(layout.RECORD_START);
  staging.u32(RAM_SECTION_NUMBER);
  staging.name(layout.RAM_SECTION);
  staging.u32(0);
  staging.u32(layout.RAM_VERSION);
  staging.word(pageCountOf(map) * PAGE_BYTES, layout.RAM_BLOCKS);
  for (const block of map.blocks) {
    staging.name(block.name);
    staging.word(block.pages * PAGE_BYTES, 0);
  }
  writeSectionEnd(staging);
}

function writeSectionEnd(staging: Staging): void {
  staging.word(0, layout.RAM_EOS);
  staging.u8(layout.RECORD_FOOTER);
  staging.u32(RAM_SECTION_NUMBER);
}

/** The one section with all pages. */
class RamWriter {
  readonly #staging: Staging;
  /** First gfn of each block, and the number of all pages as the last. */
  readonly #firsts: readonly number[];
  readonly #named: readonly string[];
  /** Whether each page was mentioned. */
  readonly #mentioned: Uint8Array;
  /** The block named last. */
  #block = -1;

  constructor(staging: Staging, memoryMap: MemoryMap) {
    this.#staging = staging;
    const firsts = [0];
    for (const block of memoryMap.blocks) firsts.push(firsts.at(-1)! + block.pages);
    this.#firsts = firsts;
    this.#named = memoryMap.blocks.map((block) => block.name);
    this.#mentioned = new Uint8Array(firsts.at(-1)!);
  }

  async begin(): Promise<void> {
    await this.#staging.reserve(RECORD_HEAD_BYTES_MAX);
    this.#staging.u8(layout.RECORD_END);
    this.#staging.u32(RAM_SECTION_NUMBER);
  }

  /** Mentions the pages that were in no run, and ends the section. */
  async end(): Promise<void> {
    for (let i = 0; i < this.#mentioned.length; i++) {
      if (this.#mentioned[i] === 1) continue;
      if (!this.#hasRoom()) await this.#staging.flush();
      this.#zero(i);
    }
    await this.#staging.reserve(RECORD_HEAD_BYTES_MAX);
    writeSectionEnd(this.#staging);
  }

  async write(run: PageRun): Promise<void> {
    const count = run.pages.length / PAGE_BYTES;
    const within = run.firstPage >= 0 && run.firstPage + count <= this.#firsts.at(-1)!;
    assert(Number.isInteger(count) && within, 'a run is whole pages of the memory map');
    for (let i = 0; i < count; i++) {
      const gfn = run.firstPage + i;
      const page = run.pages.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES);
      this.#mentioned[gfn] = 1;
      if (!this.#hasRoom()) await this.#staging.flush();
      if (ZERO_PAGE.equals(page)) {
        this.#zero(gfn);
      } else {
        this.#recordHead(gfn, layout.RAM_PAGE);
        this.#staging.take(page);
      }
    }
  }

  #hasRoom(): boolean {
    return this.#staging.hasRoom(RECORD_HEAD_BYTES_MAX + PAGE_BYTES);
  }

  #zero(gfn: number): void {
    this.#recordHead(gfn, layout.RAM_ZERO);
    this.#staging.u8(0);
  }

  #recordHead(gfn: number, flags: number): void {
    let block = Math.max(this.#block, 0);
    while (gfn < this.#firsts[block]!) block--;
    while (gfn >= this.#firsts[block + 1]!) block++;
    const address = (gfn - this.#firsts[block]!) * PAGE_BYTES;
    if (block === this.#block) {
      this.#staging.word(address, flags | layout.RAM_CONTINUE);
      return;
    }
    this.#staging.word(address, flags);
    this.#staging.name(this.#named[block]!);
    this.#block = block;
  }
}
