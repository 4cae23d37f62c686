// What is captured is one moment's, and whole: a guest whose writes QEMU may lose sight of stands while
// its memory is sent; a stream that ends early, and one whose migration QEMU says has failed, is no capture.

import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { deviceSectionsOf, runStateOf } from '../../../../adapters/guests/qemu/device-sections.ts';
import { connectGuest, type GuestOptions } from '../../../../adapters/guests/qemu/live-guest.ts';
import { openLiveGuest } from '../../../../adapters/guests/qemu/live-source.ts';
import { Spool } from '../../../../adapters/guests/qemu/spool.ts';
import { FakeQemu, type FakeQemuOptions } from '../../../support/guest/fake-qemu.ts';
import { killGuards } from '../../../support/guest/guards.ts';
import { bytesOfImage } from '../../../support/guest/images.ts';
import * as bytes from '../../../support/guest/stream-bytes.ts';
import { failureOf, valueOf } from '../../../support/outcomes.ts';
import {
  makeTemporaryFolder,
  type TemporaryFolder,
} from '../../../support/disks/temporary-folder.ts';
import { sampleOf } from '../../../support/long-run.ts';

const BLOCKS = [{ name: 'pc.ram', pages: 8 }];
const HEAD = bytes.bytesOf(bytes.head(), bytes.start(BLOCKS));
const PAGES = bytes.part(bytes.page(1, bytes.pageOf(7), 'pc.ram'), bytes.zero(2));
const LAST = bytes.end(bytes.page(3, bytes.pageOf(9), 'pc.ram'));
/** A guest's stream: what QEMU says the guest was doing is in its last section. */
const streamOf = (runState: string): Buffer =>
  bytes.bytesOf(HEAD, PAGES, LAST, bytes.tail(bytes.devices(runState)));
const WHOLE = streamOf('running');

let folder: TemporaryFolder;
const spool = new Spool();
let qemu: FakeQemu | null = null;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
});
afterEach(() => qemu?.close());
afterAll(async () => {
  spool.close();
  await folder.remove();
});

let sockets = 0;
/** Captures from a QEMU of this kind; what came of it, and that QEMU. */
async function captured(
  options: Omit<FakeQemuOptions, 'path'>,
  mode: NonNullable<GuestOptions['mode']>,
) {
  const path = join(folder.path, `${sockets++}.qmp`);
  qemu = await FakeQemu.start({ path, ...options });
  const guest = await valueOf(connectGuest({ qmp: path, mode }));
  const outcome = await guest.capture(spool)();
  guest.close();
  return { capture: () => Promise.resolve(outcome), qemu };
}

describe('a guest that runs', () => {
  test.each([
    ['stands from before the first byte without KVM', false, 'paused', ['stop', 'migrate', 'cont']],
    ['runs on while it is sent with KVM', true, 'running', ['migrate', 'cont']],
  ])('%s', async (_, hasKvm, runState, expected) => {
    const stream = streamOf(runState);
    const { capture, qemu: asked } = await captured({ stream, hasKvm }, 'migrate');
    const taken = await valueOf(capture);
    expect(asked.told.filter((command) => expected.includes(command))).toEqual(expected);
    expect(asked.told.includes('stop')).toBe(!hasKvm);
    expect(asked.runState).toBe('running');
    // It comes back as it was before it was made to stand.
    expect([taken.wasRunning, taken.runState]).toEqual([true, 'running']);
    const sections = deviceSectionsOf(taken.device, 'it');
    expect(runStateOf(taken.device, sections)).toBe('running');
    expect(Buffer.from(taken.device.sections)).toEqual(bytes.devices('running').sections);
  });

  test('is not made to stand by a background snapshot', async () => {
    const options = { stream: WHOLE, snapshots: 'taken' as const };
    const { capture, qemu: asked } = await captured(options, 'background');
    expect((await valueOf(capture)).mode).toBe('background');
    expect(asked.told).not.toContain('stop');
  });
});

test('a capture whose first attempt QEMU refused late is of the second one alone', async () => {
  const options = { stream: WHOLE, snapshots: 'refused when begun' as const };
  const { capture } = await captured(options, 'auto');
  expect(await valueOf(capture)).toMatchObject({ mode: 'migrate', streamBytes: WHOLE.length });
});

test('a capture whose guard is killed is finished, and told to have had none', async () => {
  const path = join(folder.path, `${sockets++}.qmp`);
  const pages = 1024;
  // More than sockets hold: that the end is near is known to who reads.
  const numbers = Array.from({ length: pages }, (_, number) => number);
  const stream = bytes.bytesOf(
    bytes.head(),
    bytes.start([{ name: 'pc.ram', pages }]),
    bytes.end(...numbers.map((number) => bytes.page(number, bytes.pageOf(7), 'pc.ram'))),
    bytes.tail(),
  );
  const nearTheEnd = (): void => killGuards(process.pid);
  qemu = await FakeQemu.start({ path, stream, nearTheEnd });
  const doubts: string[] = [];
  const onDoubt = (sentence: string): number => doubts.push(sentence);
  const source = await valueOf(
    openLiveGuest({ qmp: path, mode: 'migrate', clock: () => 0, onDoubt }),
  );
  const { image } = await valueOf(source.capture());
  expect(bytesOfImage(image)).toEqual(Buffer.alloc(pages * 4096, 7));
  expect(doubts).toEqual([expect.stringContaining('the capture was finished without it')]);
  expect(qemu.runState).toBe('running');
  await valueOf(source.capture());
  source.close();
});

describe.each(['migrate', 'background'] as const)('no capture (%s) is', (mode) => {
  const parts = [HEAD, PAGES, LAST].map((part) => part.length);
  const ends = parts.map((_, i) => parts.slice(0, i + 1).reduce((sum, length) => sum + length, 0));
  const cuts = [0, 5, ...ends.flatMap((at) => [at - 1, at]), WHOLE.length - 1];

  test.each(sampleOf(cuts, 2))(
    'a stream that ends after %d bytes, though QEMU says completed',
    async (cut) => {
      const options = { stream: WHOLE.subarray(0, cut), snapshots: 'taken' as const };
      const { capture, qemu: left } = await captured(options, mode);
      expect((await failureOf(capture)).code).toMatch(/^STREAM_(?:TRUNCATED|INVALID)$/u);
      expect(left.runState).toBe('running');
    },
  );

  test.each(['failed', 'cancelled'] as const)(
    'a whole stream whose migration QEMU says is %s',
    async (how) => {
      const options = { stream: WHOLE, ends: how, snapshots: 'taken' as const };
      const { capture, qemu: left } = await captured(options, mode);
      expect(await failureOf(capture)).toMatchObject({
        code: 'QMP_REFUSED',
        message: expect.stringContaining(`migration ended as ${how}`),
      });
      expect(left.runState).toBe('running');
    },
  );
});
