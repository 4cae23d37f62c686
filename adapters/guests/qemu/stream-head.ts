// The header and the configuration of a migration stream (stream-layout.ts).

import type { ByteWindow } from './byte-window.ts';
import { invalid, unsupported } from './stream-failures.ts';
import * as layout from './stream-layout.ts';

const CAPABILITIES_MAX = 64;
const UUID_BYTES = 16;

const MAPPED_RAM = 'mapped-ram';

export interface StreamHead {
  /** The bytes of both, as they are to be given back. */
  readonly head: Uint8Array;
  readonly machine: string;
  /** Whether memory lies plain in the stream's file (mapped-ram.ts). */
  readonly isMapped: boolean;
}

/** Header and configuration: read, and kept as they are, but for where memory lies. */
export class HeadReader {
  readonly #window: ByteWindow;
  readonly #canBeMapped: boolean;
  #parts: Uint8Array[] = [];
  #length = 0;
  #isMapped = false;

  constructor(of: { readonly window: ByteWindow; readonly canBeMapped: boolean }) {
    this.#window = of.window;
    this.#canBeMapped = of.canBeMapped;
  }

  async read(): Promise<StreamHead> {
    const window = this.#window;
    const magic = await this.#u32('the header');
    if (magic !== layout.STREAM_MAGIC) {
      throw invalid(window, `the magic 0x${magic.toString(16)} instead of "QEVM"`);
    }
    const version = await this.#u32('the header');
    if (version !== layout.STREAM_VERSION) {
      throw invalid(window, `stream version ${version} instead of ${layout.STREAM_VERSION}`);
    }
    const record = await this.#u8('the configuration');
    if (record !== layout.RECORD_CONFIGURATION) {
      throw unsupported(
        window,
        'no configuration section',
        'capture a machine type of QEMU 2.4 or later',
      );
    }
    const machine = await this.#text(await this.#u32('the machine name'), 'the machine name');
    for (;;) {
      await window.need(1, 'the first record');
      if (window.bytes[window.start] !== layout.RECORD_SUBSECTION) break;
      await this.#subsection();
    }
    return { head: Buffer.concat(this.#parts), machine, isMapped: this.#isMapped };
  }

  async #subsection(): Promise<void> {
    const what = 'a configuration subsection';
    const before = this.#parts.length;
    await this.#u8(what);
    const name = await this.#text(await this.#u8(what), what);
    await this.#u32(what);
    switch (name) {
      case 'configuration/capabilities':
        await this.#capabilities(await this.#u32(what));
        // What is given back has its pages in the stream: a QEMU that reads it is told of no mapping.
        if (this.#isMapped) this.#parts = this.#parts.slice(0, before);
        return;
      case 'configuration/target-page-bits':
        if ((await this.#u32(what)) !== 12) {
          throw unsupported(this.#window, 'pages of another size', 'only 4 KiB pages are recorded');
        }
        return;
      case 'configuration/uuid':
        await this.#take(UUID_BYTES, what);
        return;
      default:
        throw unsupported(
          this.#window,
          `the configuration subsection "${name}"`,
          'switch the migration capability that adds it off and capture again',
        );
    }
  }

  async #capabilities(count: number): Promise<void> {
    const what = 'the list of capabilities';
    if (count > CAPABILITIES_MAX) throw invalid(this.#window, `${count} capabilities`);
    for (let i = 0; i < count; i++) {
      const name = await this.#text(await this.#u8(what), what);
      // These two change what RAM sections hold.
      if (name === MAPPED_RAM && this.#canBeMapped && count === 1) this.#isMapped = true;
      else if (name === 'x-ignore-shared' || name === MAPPED_RAM) {
        throw unsupported(
          this.#window,
          `the capability ${name}`,
          `switch the migration capability ${name} off and capture again`,
        );
      }
    }
  }

  async #take(length: number, what: string): Promise<Uint8Array> {
    if (length > layout.HEAD_BYTES_MAX - this.#length) {
      throw invalid(this.#window, `${what} of ${length} bytes`);
    }
    const window = this.#window;
    await window.need(length, what);
    const part = window.bytes.slice(window.start, window.start + length);
    window.start += length;
    this.#parts.push(part);
    this.#length += length;
    return part;
  }

  async #u8(what: string): Promise<number> {
    return (await this.#take(1, what))[0]!;
  }

  async #u32(what: string): Promise<number> {
    return new DataView((await this.#take(4, what)).buffer).getUint32(0);
  }

  async #text(length: number, what: string): Promise<string> {
    return Buffer.from(await this.#take(length, what)).toString('latin1');
  }
}
