// Migration streams put together by hand, record by record, for what a well-behaved writer never
// writes; and small whole ones.

import {
  RAM_BLOCKS,
  RAM_CONTINUE,
  RAM_EOS,
  RAM_PAGE,
  RAM_ZERO,
} from '../../../adapters/guests/qemu/stream-layout.ts';
import type { ByteSource } from '../../../adapters/guests/qemu/byte-window.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';

export const u8 = (...values: readonly number[]): Buffer => Buffer.from(values);

export function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function u64(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

export const name = (text: string): Buffer =>
  Buffer.concat([u8(text.length), Buffer.from(text, 'latin1')]);

export const bytesOf = (...parts: readonly Uint8Array[]): Buffer => Buffer.concat(parts);

/** A page filled with one byte. */
export const pageOf = (fill: number): Buffer => Buffer.alloc(PAGE_BYTES, fill);

export const head = (machine = 'pc-i440fx-7.2', ...subsections: readonly Uint8Array[]): Buffer =>
  bytesOf(
    Buffer.from('QEVM'),
    u32(3),
    u8(7),
    u32(machine.length),
    Buffer.from(machine),
    ...subsections,
  );

export const subsection = (id: string, body: Uint8Array): Buffer =>
  bytesOf(u8(5), name(id), u32(1), body);

const RAM_ID = 2;
export const footer = (section = RAM_ID): Buffer => bytesOf(u8(0x7e), u32(section));
/** A section that begins, and has all of it. */
export const begun = (id: number, section: string, ...body: readonly Uint8Array[]): Buffer =>
  bytesOf(u8(1), u32(id), name(section), u32(0), u32(1), ...body, footer(id));
export const eos = (): Buffer => u64(RAM_EOS);

export interface BlockSize {
  readonly name: string;
  readonly pages: number;
}

export const blockList = (blocks: readonly BlockSize[]): Buffer =>
  bytesOf(
    u64(blocks.reduce((sum, block) => sum + block.pages, 0) * PAGE_BYTES + RAM_BLOCKS),
    ...blocks.map((block) => bytesOf(name(block.name), u64(block.pages * PAGE_BYTES))),
  );

/** What RAM's first section begins with. */
export const ramHeader = (version = 4): Buffer =>
  bytesOf(u8(1), u32(RAM_ID), name('ram'), u32(0), u32(version));

/** RAM's first section: the list of blocks. */
export const start = (blocks: readonly BlockSize[], version = 4): Buffer =>
  bytesOf(ramHeader(version), blockList(blocks), eos(), footer());

/** A page record; without a block it continues the block named last. */
export const page = (number: number, content: Uint8Array, block?: string): Buffer =>
  bytesOf(
    u64(number * PAGE_BYTES + RAM_PAGE + (block === undefined ? RAM_CONTINUE : 0)),
    block === undefined ? u8() : name(block),
    content,
  );

export const zero = (number: number, block?: string, fill = 0): Buffer =>
  bytesOf(
    u64(number * PAGE_BYTES + RAM_ZERO + (block === undefined ? RAM_CONTINUE : 0)),
    block === undefined ? u8() : name(block),
    u8(fill),
  );

export const part = (...records: readonly Uint8Array[]): Buffer =>
  bytesOf(u8(2), u32(RAM_ID), ...records, eos(), footer());
export const end = (...records: readonly Uint8Array[]): Buffer =>
  bytesOf(u8(3), u32(RAM_ID), ...records, eos(), footer());
export const command = (id: number, data: Uint8Array = u8()): Buffer =>
  bytesOf(u8(8), u16(id), u16(data.length), data);

export interface DeviceBytes {
  readonly sections: Buffer;
  readonly description: Buffer;
}

/** The section of a device, of version 1. */
export const deviceSection = (
  of: { readonly section: number; readonly name: string; readonly instance: number },
  body: readonly Uint8Array[],
): Buffer =>
  bytesOf(
    u8(4),
    u32(of.section),
    name(of.name),
    u32(of.instance),
    u32(1),
    ...body,
    footer(of.section),
  );

const fullSection = (section: number, device: string, body: Uint8Array): Buffer =>
  deviceSection({ section, name: device, instance: 0 }, [body]);

/** Two devices: a timer with an array and a nested subsection, and what the guest was doing. */
export function devices(runState = 'running'): DeviceBytes {
  const word = Buffer.alloc(100);
  word.write(runState);
  const inner = bytesOf(u8(5), name('timer/inner'), u32(1), u8(9, 9));
  const outer = bytesOf(u8(5), name('timer/outer'), u32(1), u8(7), inner);
  const timer = fullSection(0, 'timer', bytesOf(u64(123_456), u16(1), u16(2), u16(3), outer));
  const globalState = fullSection(5, 'globalstate', bytesOf(u32(8), word));
  const description = {
    page_size: PAGE_BYTES,
    devices: [
      {
        name: 'timer',
        instance_id: 0,
        vmsd_name: 'timer',
        version: 1,
        fields: [
          { name: 'ticks', type: 'uint64', size: 8 },
          { name: 'rates', type: 'uint16', size: 2, array_len: 3 },
        ],
        subsections: [
          {
            vmsd_name: 'timer/outer',
            version: 1,
            fields: [{ name: 'flag', size: 1 }],
            subsections: [
              { vmsd_name: 'timer/inner', version: 1, fields: [{ name: 'pair', size: 2 }] },
            ],
          },
        ],
      },
      {
        name: 'globalstate',
        instance_id: 0,
        version: 1,
        fields: [
          { name: 'size', size: 4 },
          { name: 'runstate', size: 100 },
        ],
      },
    ],
  };
  return {
    sections: bytesOf(timer, globalState),
    description: Buffer.from(JSON.stringify(description)),
  };
}

/** The same, whose guest has put into its timer what looks like a description of devices. */
export function misleadingDevices(): DeviceBytes {
  const { sections, description } = devices();
  const fake = bytesOf(u8(0, 6), u32(2), Buffer.from('{}'));
  fake.copy(sections, sections.indexOf(u64(123_456)));
  return { sections, description };
}

/** A stream's end: devices, EOF, description. */
export const tail = (device: DeviceBytes = devices()): Buffer =>
  bytesOf(device.sections, u8(0, 6), u32(device.description.length), device.description);

/** Bytes that arrive in pieces of at most `pieceBytes`. */
export function sourceOfBytes(bytes: Uint8Array, pieceBytes = 65_536): ByteSource {
  let at = 0;
  return (target) => {
    const count = Math.min(pieceBytes, target.length, bytes.length - at);
    target.set(bytes.subarray(at, at + count));
    at += count;
    return Promise.resolve(count);
  };
}
