// A state file that is open: its payload, read through windows of a block each that are used again, as
// memory that is touched for the first time costs more than reading and checking what comes into it.
// All blocks are checked when the file is opened, and each again when it is read later.

import { crc32 } from 'node:zlib';
import type { OpenState } from '../../../domain/ports/derived-files.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { inMemory } from '../../../projections/models/kept-bytes.ts';
import type { OpenFile } from '../../files/file-port.ts';
import {
  decodeFirstStateHeader,
  decodeStateHeader,
  FIRST_STATE_HEADER_BYTES,
  STATE_BLOCK_BYTES,
  STATE_CHECK_BYTES,
  STATE_HEADER_BYTES,
  stateBlocks,
} from './state-file-layout.ts';

/** Payloads of no more bytes are read whole: they are worth no open file. */
const WHOLE_BYTES_MAX = 512 * 1024;
/** Blocks that are kept in memory. */
const WINDOWS = 16;
/** Bytes that are read at once where all are checked. */
const TOGETHER_BYTES = 4 * STATE_BLOCK_BYTES;

/** What a state file holds and where, before any of it was checked. */
class Payload {
  readonly length: number;
  readonly #file: OpenFile;
  readonly #checks: DataView;

  private constructor(file: OpenFile, length: number, checks: DataView) {
    this.#file = file;
    this.length = length;
    this.#checks = checks;
  }

  /** Null: the file is none of this format, or is shorter or longer than it says. */
  static async of(file: OpenFile): Promise<Payload | null> {
    const header = new Uint8Array(STATE_HEADER_BYTES);
    if ((await file.read(header, 0)) < header.length) return null;
    const length = decodeStateHeader(header);
    if (length === null) return null;
    const checkBytes = stateBlocks(length) * STATE_CHECK_BYTES;
    // The size is compared before anything is allocated for it.
    if ((await file.sizeBytes()) !== header.length + length + checkBytes) return null;
    const checks = new Uint8Array(checkBytes);
    if ((await file.read(checks, header.length + length)) < checkBytes) return null;
    return new Payload(file, length, new DataView(checks.buffer));
  }

  /** Reads blocks from a number on, checked, as many as `target` has room for; null: any is damaged. */
  read(first: number, target: Uint8Array): Uint8Array | null {
    const from = first * STATE_BLOCK_BYTES;
    const bytes = target.subarray(0, this.length - from);
    if (this.#file.readNow(bytes, STATE_HEADER_BYTES + from) < bytes.length) return null;
    for (let at = 0; at < bytes.length; at += STATE_BLOCK_BYTES) {
      const block = first + at / STATE_BLOCK_BYTES;
      const check = this.#checks.getUint32(block * STATE_CHECK_BYTES, true);
      if (crc32(bytes.subarray(at, at + STATE_BLOCK_BYTES)) !== check) return null;
    }
    return bytes;
  }

  /** All of it, checked piece by piece in memory that was just touched; null: it is damaged. */
  whole(): Uint8Array | null {
    const bytes = new Uint8Array(this.length);
    return this.#areSound((at) => bytes.subarray(at, at + TOGETHER_BYTES)) ? bytes : null;
  }

  /** Whether all of it is as it was written. */
  isSound(): boolean {
    const window = new Uint8Array(TOGETHER_BYTES);
    return this.#areSound(() => window);
  }

  #areSound(targetAt: (at: number) => Uint8Array): boolean {
    for (let at = 0; at < this.length; at += TOGETHER_BYTES)
      if (this.read(at / STATE_BLOCK_BYTES, targetAt(at)) === null) return false;
    return true;
  }

  get path(): string {
    return this.#file.path;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

/** A payload that stays in its file. */
class StateInFile implements OpenState {
  readonly memory = null;
  readonly #payload: Payload;
  /** Blocks that were read, the one that was asked for last at the end. */
  readonly #windows = new Map<number, Uint8Array>();

  constructor(payload: Payload) {
    this.#payload = payload;
  }

  get length(): number {
    return this.#payload.length;
  }

  #window(block: number): Uint8Array {
    let window = this.#windows.get(block);
    if (window === undefined) {
      window = this.#payload.read(block, this.#spare()) ?? this.#fail(block);
    } else this.#windows.delete(block);
    this.#windows.set(block, window);
    return window;
  }

  /** Memory for a block: that of the one nobody asked for the longest, once there are enough. */
  #spare(): Uint8Array {
    if (this.#windows.size < WINDOWS) return new Uint8Array(STATE_BLOCK_BYTES);
    const [oldest] = this.#windows;
    this.#windows.delete(oldest![0]);
    return new Uint8Array(oldest![1].buffer);
  }

  #fail(block: number): never {
    const { path } = this.#payload;
    throw new LedgerError(
      'IO_FAILED',
      `${path} no longer holds what was checked in it: see to the device, then run the command again`,
      { file: path, operation: 'read', offset: block * STATE_BLOCK_BYTES },
    );
  }

  copy(at: number, target: Uint8Array): void {
    for (let copied = 0; copied < target.length;) {
      const from = at + copied;
      const block = Math.floor(from / STATE_BLOCK_BYTES);
      const start = from - block * STATE_BLOCK_BYTES;
      const bytes = this.#window(block).subarray(start, start + target.length - copied);
      target.set(bytes, copied);
      copied += bytes.length;
    }
  }

  close(): Promise<void> {
    this.#windows.clear();
    return this.#payload.close();
  }
}

/** The payload of a state file of before; null: it is damaged, or none. */
async function firstPayload(file: OpenFile): Promise<Uint8Array | null> {
  const header = new Uint8Array(FIRST_STATE_HEADER_BYTES);
  if ((await file.read(header, 0)) < header.length) return null;
  const state = decodeFirstStateHeader(header);
  if (state === null || (await file.sizeBytes()) !== header.length + state.payloadBytes)
    return null;
  const bytes = new Uint8Array(state.payloadBytes);
  if ((await file.read(bytes, header.length)) < bytes.length) return null;
  return crc32(bytes) === state.payloadCrc ? bytes : null;
}

/** The payload of a state file, whole; null: the file is damaged, or none. */
export async function readState(file: OpenFile): Promise<Uint8Array | null> {
  const payload = await Payload.of(file);
  return payload === null ? firstPayload(file) : payload.whole();
}

/** A state file, checked; null: it is damaged, or none. Closes the file where it need not stay open. */
export async function openState(file: OpenFile): Promise<OpenState | null> {
  let isKept = false;
  try {
    const payload = await Payload.of(file);
    if (payload === null || payload.length <= WHOLE_BYTES_MAX) {
      const bytes = payload === null ? await firstPayload(file) : payload.whole();
      return bytes && { ...inMemory(bytes), close: () => Promise.resolve() };
    }
    isKept = payload.isSound();
    return isKept ? new StateInFile(payload) : null;
  } finally {
    if (!isKept) await file.close();
  }
}
