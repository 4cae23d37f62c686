// A QEMU migration stream as a target, in a file or on its way to a QEMU: head, the list of RAM blocks,
// one section with all pages, the devices as they were, their description (stream-layout.ts). A stream
// that is not done has no end, so nobody takes it for whole. Zero pages are sent too: a destination's
// memory may lie in a file that an earlier run has filled, and no word of its command line need say so.

import { assert } from '../../../domain/values/assert.ts';
import type { MemoryMap } from '../../../domain/values/memory-map.ts';
import type { DeviceState } from '../../../domain/values/device-state.ts';
import type { PageRun, RunTarget } from '../../../domain/ports/guests.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import type { ByteSink } from '../byte-sink.ts';
import * as layout from './stream-layout.ts';
import * as pieces from './stream-writer.ts';

const STAGING_BYTES = 1024 * 1024;
const ZERO_PAGE = Buffer.alloc(PAGE_BYTES);

/** What a guest has from elsewhere. */
export interface Elsewhere {
  /** Blocks, by name. */
  readonly without?: readonly string[];
  /** Pages: 1 at each. */
  readonly elsewhere?: Uint8Array;
}

/**
 * Writes one guest as a stream to a sink, which is not ended with it. Blocks and pages that the guest
 * has from elsewhere are not mentioned: they must be in no run.
 */
export function streamTarget(
  sink: ByteSink,
  { without = [], elsewhere = new Uint8Array() }: Elsewhere = {},
): RunTarget {
  const staging = new Staging(sink);
  let begun: { readonly ram: RamWriter; readonly device: DeviceState } | null = null;
  return {
    _tag: 'runs',
    takes: 'guest',
    begin: async ({ memoryMap, device }) => {
      assert(begun === null && device !== null, 'a stream is of one guest, with its devices');
      await staging.bytes(device.head);
      await staging.reserve(pieces.blockListBytes(memoryMap));
      pieces.writeBlockList(staging, memoryMap);
      begun = { ram: new RamWriter(staging, { memoryMap, without, elsewhere }), device };
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
class Staging extends pieces.StreamWriter {
  readonly #sink: ByteSink;

  constructor(sink: ByteSink) {
    super(STAGING_BYTES);
    this.#sink = sink;
  }

  async reserve(count: number): Promise<void> {
    assert(count <= STAGING_BYTES, 'what is reserved fits the staging buffer');
    if (!this.hasRoom(count)) await this.flush();
  }

  async flush(): Promise<void> {
    if (this.length > 0) await this.#sink(this.written());
    this.length = 0;
  }

  async bytes(source: Uint8Array): Promise<void> {
    if (!this.hasRoom(source.length)) await this.flush();
    if (source.length <= STAGING_BYTES) this.take(source);
    else await this.#sink(source);
  }
}

/** The one section with all pages. */
class RamWriter {
  readonly #staging: Staging;
  readonly #records: pieces.PageRecords;
  /** Whether each page was mentioned, or is not to be. */
  readonly #mentioned: Uint8Array;

  constructor(staging: Staging, of: { readonly memoryMap: MemoryMap } & Required<Elsewhere>) {
    const { memoryMap, without, elsewhere } = of;
    this.#staging = staging;
    this.#records = new pieces.PageRecords(memoryMap);
    this.#mentioned = new Uint8Array(this.#records.pageCount);
    this.#mentioned.set(elsewhere.subarray(0, this.#mentioned.length));
    let first = 0;
    for (const { name, pages } of memoryMap.blocks) {
      if (without.includes(name)) this.#mentioned.fill(1, first, first + pages);
      first += pages;
    }
  }

  async begin(): Promise<void> {
    await this.#staging.reserve(pieces.SECTION_BYTES);
    pieces.writeSectionStart(this.#staging, layout.RECORD_END);
  }

  /** Mentions the pages that were in no run, and ends the section. */
  async end(): Promise<void> {
    for (let i = 0; i < this.#mentioned.length; i++) {
      if (this.#mentioned[i] === 1) continue;
      if (!this.#staging.hasRoom(pieces.ZERO_RECORD_BYTES_MAX)) await this.#staging.flush();
      this.#records.zero(this.#staging, i);
    }
    await this.#staging.reserve(pieces.SECTION_BYTES);
    pieces.writeSectionEnd(this.#staging);
  }

  async write(run: PageRun): Promise<void> {
    const count = run.pages.length / PAGE_BYTES;
    const within = run.firstPage >= 0 && run.firstPage + count <= this.#records.pageCount;
    assert(Number.isInteger(count) && within, 'a run is whole pages of the memory map');
    for (let i = 0; i < count; i++) {
      const gfn = run.firstPage + i;
      const page = run.pages.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES);
      this.#mentioned[gfn] = 1;
      if (!this.#staging.hasRoom(pieces.PAGE_RECORD_BYTES_MAX)) await this.#staging.flush();
      if (ZERO_PAGE.equals(page)) this.#records.zero(this.#staging, gfn);
      else this.#records.page(this.#staging, gfn, page);
    }
  }
}
