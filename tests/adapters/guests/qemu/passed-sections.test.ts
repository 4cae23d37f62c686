// Sections of a stream that are neither memory nor devices: what is passed over, and what is refused.

import { afterAll, describe, expect, test } from '@jest/globals';
import { Spool } from '../../../../adapters/guests/qemu/spool.ts';
import type { GuestState } from '../../../../adapters/guests/qemu/stream-layout.ts';
import type { LedgerError } from '../../../../domain/values/ledger-error.ts';
import { bytesOfImage } from '../../../support/guest/images.ts';
import { readStream } from '../../../support/guest/read-stream.ts';
import * as stream from '../../../support/guest/stream-bytes.ts';
import { failureOf, valueOf } from '../../../support/outcomes.ts';

const spool = new Spool();
afterAll(() => spool.close());

const read = (parts: readonly Uint8Array[], more: { readonly passesMax?: number } = {}) =>
  readStream({
    source: stream.sourceOfBytes(stream.bytesOf(...parts)),
    spool,
    label: 'the stream',
    ...more,
  });
const reading = (...parts: readonly Uint8Array[]): Promise<GuestState> => valueOf(read(parts));
const failing = (...parts: readonly Uint8Array[]): Promise<LedgerError> => failureOf(read(parts));
const BLOCKS = [{ name: 'pc.ram', pages: 8 }];

describe('sections beside memory', () => {
  const goOn = (record: number, id: number, ...body: readonly Uint8Array[]): Buffer =>
    stream.bytesOf(stream.u8(record), stream.u32(id), ...body, stream.footer(id));
  const backups = (length = 5000): Buffer =>
    stream.begun(7, 'pbs-state', stream.u64(length), Buffer.alloc(5000, 3));
  const disk = stream.bytesOf(stream.name('drive0'), stream.name('since-backup'));
  const bits = (length: number): Buffer =>
    stream.bytesOf(stream.u8(0x40), Buffer.alloc(12), stream.u64(length), Buffer.alloc(1024, 6));
  const zeros = stream.bytesOf(stream.u8(0x42), Buffer.alloc(12));
  const bitmap = stream.begun(
    8,
    'dirty-bitmap',
    stream.u8(0x1c),
    disk,
    Buffer.alloc(5),
    stream.u8(1),
  );
  const memory = [stream.start(BLOCKS), stream.end(stream.page(0, stream.pageOf(1), 'pc.ram'))];

  test("of Proxmox's backups, and of disks' bitmaps, are passed over", async () => {
    const [start, end] = memory;
    const parts = [goOn(2, 8, bits(1024), zeros, stream.u8(1)), goOn(3, 8, stream.u8(0x21))];
    const state = await reading(
      stream.head(),
      backups(),
      start!,
      bitmap,
      ...parts.slice(0, 1),
      end!,
      ...parts.slice(1),
      stream.tail(),
    );
    expect(bytesOfImage(state.image)[0]).toBe(1);
    expect(Buffer.from(state.device.sections)).toEqual(stream.devices().sections);
  });

  test.each([
    ['a state of backups without end', [backups(2 ** 40)]],
    ['a bitmap of more than is sent at once', [bitmap, goOn(2, 8, bits(2 ** 30))]],
    ['flags of a bitmap that nobody knows', [bitmap, goOn(2, 8, stream.u8(0x81))]],
    ['a part of what never began', [goOn(2, 9, stream.u8(1))]],
  ])('that have %s are STREAM_INVALID', async (_, parts) => {
    expect((await failing(stream.head(), ...parts, ...memory, stream.tail())).code).toBe(
      'STREAM_INVALID',
    );
  });

  test('that have bitmaps without end are too long where a stream may bring its memory so many times', async () => {
    const chunk = stream.bytesOf(
      stream.u8(0x40),
      Buffer.alloc(12),
      stream.u64(65_536),
      Buffer.alloc(65_536),
    );
    const endless = stream.bytesOf(...Array.from({ length: 300 }, () => chunk));
    const parts = [stream.head(), memory[0]!, bitmap, stream.u8(2), stream.u32(8), endless];
    const { code, message } = await failureOf(read(parts, { passesMax: 4 }));
    expect(code).toBe('STREAM_INVALID');
    expect(message).toContain('for 8 pages of memory');
  });

  test('that begin twice are refused by name', async () => {
    const error = await failing(stream.head(), bitmap, bitmap, ...memory, stream.tail());
    expect(error.code).toBe('STREAM_UNSUPPORTED');
    expect(error.message).toContain('"dirty-bitmap" (instance 0, once more)');
  });

  test('are no memory', async () => {
    const error = await failing(stream.head(), backups(), stream.tail());
    expect(error.message).toContain('a device before memory');
  });
});
