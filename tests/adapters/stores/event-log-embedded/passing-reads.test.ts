import { expect, test } from '@jest/globals';
import {
  PassingReads,
  READ_BYTES_MAX,
} from '../../../../adapters/stores/event-log-embedded/passing-reads.ts';
import { seededRandom } from '../../../support/images.ts';
import { randomBytes } from '../../../support/logs/log-events.ts';

/** A file that has so many of its bytes so far. */
class GrowingFile {
  sizeBytes: number;
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array, sizeBytes = bytes.length) {
    this.bytes = bytes;
    this.sizeBytes = sizeBytes;
  }

  read(target: Uint8Array, position: number): Promise<number> {
    if (this.sizeBytes === 0) return Promise.reject(new RangeError('gone'));
    const some = this.bytes.subarray(position, Math.min(this.sizeBytes, position + target.length));
    target.set(some);
    return Promise.resolve(some.length);
  }
}

const bytesOf = (lengthBytes: number): Uint8Array => randomBytes(seededRandom(3), lengthBytes);

test('gives a file in its order, each time behind what was left of the last time', async () => {
  const file = new GrowingFile(bytesOf(5 * READ_BYTES_MAX + 17));
  const random = seededRandom(5);
  // The second goes through windows that the first has given back.
  for (let round = 0; round < 2; round += 1) {
    const reads = new PassingReads(file);
    let unread: Uint8Array = new Uint8Array(0);
    let start = 0;
    for (let isAtEnd = false; !isAtEnd;) {
      const position = start + unread.length;
      const lengthBytes = position === 0 ? 1000 : READ_BYTES_MAX;
      const given = await reads.read(unread, { position, lengthBytes });
      const end = start + given.bytes.length;
      expect(Buffer.compare(given.bytes, file.bytes.subarray(start, end))).toBe(0);
      ({ isAtEnd } = given);
      const left = isAtEnd ? 0 : random(Math.min(given.bytes.length, 300_000));
      unread = given.bytes.subarray(given.bytes.length - left);
      start = end - left;
    }
    expect(start).toBe(file.bytes.length);
    reads.release();
  }
});

test('gives what a file has by the time it is asked for, and not what was asked for elsewhere', async () => {
  const file = new GrowingFile(bytesOf(4 * READ_BYTES_MAX), READ_BYTES_MAX + 10);
  const reads = new PassingReads(file);
  const none = new Uint8Array(0);
  const lengthBytes = READ_BYTES_MAX;
  await reads.read(none, { position: 0, lengthBytes });
  file.sizeBytes = file.bytes.length;
  const next = await reads.read(none, { position: lengthBytes, lengthBytes });
  expect(next.isAtEnd).toBe(false);
  expect(Buffer.compare(next.bytes, file.bytes.subarray(lengthBytes, 2 * lengthBytes))).toBe(0);
  const again = await reads.read(none, { position: 5, lengthBytes });
  expect(Buffer.compare(again.bytes, file.bytes.subarray(5, 5 + lengthBytes))).toBe(0);
});

test('says that a read failed only to who asks for what it was to give', async () => {
  const file = new GrowingFile(bytesOf(2 * READ_BYTES_MAX));
  const reads = new PassingReads(file);
  const request = { position: 0, lengthBytes: READ_BYTES_MAX };
  const first = reads.read(new Uint8Array(0), request);
  file.sizeBytes = 0;
  await first;
  const next = { ...request, position: READ_BYTES_MAX };
  await expect(reads.read(new Uint8Array(0), next)).rejects.toThrow('gone');
  reads.release();
});
