// Messages of the link as bytes.

import { PassThrough } from 'node:stream';
import { expect, test } from '@jest/globals';
import { frameBytes, Link } from '../../../../adapters/faces/link/frames.ts';
import {
  announcedBody,
  pagesBody,
  patchesBody,
  readWanted,
  wantedBody,
} from '../../../../adapters/faces/link/messages.ts';
import { PAGE_BYTES } from '../../../../domain/values/page.ts';

test('what is kept of a small message keeps nothing else that came with it', async () => {
  const socket = new PassThrough();
  const link = new Link(socket);
  const frame = frameBytes('device', Uint8Array.of(1, 2));
  socket.end(Buffer.concat(Array.from({ length: 1000 }, () => frame)));
  for (let i = 0; i < 1000; i += 1) {
    const body = await link.expect('device');
    expect(body.slice(1)).toEqual(Uint8Array.of(2));
    expect(body.buffer.byteLength).toBe(2);
  }
  expect(await link.next()).toBeNull();
});

test('wishes are read as they were written, and others are refused', () => {
  const reference = new Uint8Array(32).fill(9);
  const wanted = { count: 11, pages: [1, 8, 10], references: new Map([[8, reference]]) };
  const body = wantedBody(wanted);
  expect(readWanted(body, 11)).toEqual(wanted);
  expect([...body.subarray(0, 4)]).toEqual([2, 5, 0, 1]);
  for (const [bad, count] of [
    [body, 17],
    [body.subarray(0, 3), 11],
    [body.subarray(0, 35), 11],
    [Buffer.concat([body, reference]), 11],
    [body.map((byte, i) => (i === 1 ? 4 : byte)), 11],
  ] as const)
    expect(() => readWanted(bad, count)).toThrow(/wishes|does not ask/u);
});

test('frames are as docs/format.md draws them', () => {
  const announced = announcedBody({
    firstPage: 5,
    kinds: Uint8Array.of(1),
    identifiers: new Uint8Array(32).fill(7),
  });
  expect(Buffer.from(frameBytes('sent', new Uint8Array(0))).toString('hex')).toBe('0000000007');
  expect(Buffer.from(frameBytes('ask', Uint8Array.of(1, 2))).toString('hex')).toBe(
    '020000000b0102',
  );
  expect(Buffer.from(announced.subarray(0, 8)).toString('hex')).toBe('0500000001000107');
  const noise = Uint8Array.from({ length: PAGE_BYTES }, (_, i) => (i * i * 7919) >>> 5);
  expect([...pagesBody(258, noise).subarray(0, 5)]).toEqual([2, 1, 0, 0, 1]);
  expect([...patchesBody(Uint32Array.of(258), noise).subarray(0, 6)]).toEqual([1, 0, 2, 1, 0, 0]);
});
