import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Spool } from '../../../../adapters/guests/qemu/spool.ts';
import type { DeviceState } from '../../../../domain/values/device-state.ts';
import { readStream } from '../../../support/guest/read-stream.ts';
import { sinkOfDescriptor } from '../../../../adapters/guests/byte-sink.ts';
import type { PageRun } from '../../../../domain/ports/guests.ts';
import { pageCountOf } from '../../../../domain/values/memory-map.ts';
import type { MemoryMap } from '../../../../domain/values/memory-map.ts';
import { PAGE_BYTES } from '../../../../domain/values/page.ts';
import { bytesOfImage } from '../../../support/guest/images.ts';
import { valueOf } from '../../../support/outcomes.ts';
import { runsOfImage, writeStream } from '../../../support/guest/written-streams.ts';
import * as stream from '../../../support/guest/stream-bytes.ts';
import { triesOf } from '../../../support/long-run.ts';

const spool = new Spool();
const copy = new Spool();
afterAll(() => {
  spool.close();
  copy.close();
});

const device: DeviceState = { head: stream.head(), ...stream.devices() };

/** One page a run, in the given order; the byte that fills each. */
function* runsOf(fills: ReadonlyMap<number, number>): Generator<PageRun> {
  for (const [firstPage, fill] of fills) yield { firstPage, pages: stream.pageOf(fill) };
}

async function written(request: {
  readonly memoryMap: MemoryMap;
  readonly fills: ReadonlyMap<number, number>;
  readonly device?: DeviceState;
}): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const sink = (bytes: Uint8Array): Promise<void> => {
    chunks.push(Buffer.from(bytes));
    return Promise.resolve();
  };
  const runs = runsOf(request.fills);
  await writeStream({ device, ...request, runs, sink });
  return Buffer.concat(chunks);
}

const readBack = (bytes: Uint8Array) =>
  valueOf(readStream({ source: stream.sourceOfBytes(bytes), spool, label: 'the copy' }));

const arbitraryMap = fc
  .tuple(
    fc.integer({ min: 1, max: 60 }),
    fc.uniqueArray(fc.stringMatching(/^[a-z/@]{1,20}$/u), { maxLength: 4 }),
    fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 4, maxLength: 4 }),
  )
  .map(([main, names, sizes]): MemoryMap => ({
    blocks: [
      { name: 'pc.ram', pages: main },
      ...names.map((name, i) => ({ name, pages: sizes[i]! })),
    ],
    ranges: [],
  }));

describe('a stream written', () => {
  test('reads back as what was written, in whatever order the pages came', async () => {
    await fc.assert(
      fc.asyncProperty(
        arbitraryMap.chain((memoryMap) =>
          fc.tuple(
            fc.constant(memoryMap),
            fc.uniqueArray(fc.nat(pageCountOf(memoryMap) - 1)),
            fc.integer({ min: 0, max: 3 }),
          ),
        ),
        async ([memoryMap, pages, modulus]) => {
          const fills = new Map(pages.map((page) => [page, page % (modulus + 1)]));
          const state = await readBack(await written({ memoryMap, fills }));
          expect(state.memoryMap.blocks).toEqual(memoryMap.blocks);
          const expected = Buffer.alloc(pageCountOf(memoryMap) * PAGE_BYTES);
          for (const [page, fill] of fills) {
            expected.fill(fill, page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
          }
          expect(bytesOfImage(state.image).equals(expected)).toBe(true);
          expect(Buffer.from(state.device.sections)).toEqual(device.sections);
          expect(Buffer.from(state.device.description)).toEqual(device.description);
          expect(Buffer.from(state.device.head)).toEqual(device.head);
        },
      ),
      { numRuns: triesOf(60) },
    );
  });

  test('mentions every page, also one of zeros that nobody gave it', async () => {
    const blocks = [
      { name: 'pc.ram', pages: 10 },
      { name: 'pc.bios', pages: 2 },
    ];
    const memoryMap = { blocks, ranges: [] };
    const [full, one] = [
      await written({ memoryMap, fills: new Map(Array.from({ length: 12 }, (_, i) => [i, 1])) }),
      await written({ memoryMap, fills: new Map([[0, 1]]) }),
    ];
    // A page of content takes its bytes where a zero page takes one, and both a word of address.
    expect(full.length - one.length).toBe(11 * (PAGE_BYTES - 1));
  });

  test('passes device state on that is larger than what is gathered', async () => {
    const body = Buffer.alloc(3_000_000, 7);
    const sections = stream.bytesOf(
      stream.u8(4),
      stream.u32(1),
      stream.name('big'),
      stream.u32(0),
      stream.u32(1),
      body,
      stream.footer(1),
    );
    const fields = [{ name: 'all', size: body.length }];
    const description = Buffer.from(
      JSON.stringify({ devices: [{ name: 'big', instance_id: 0, version: 1, fields }] }),
    );
    const memoryMap = { blocks: [{ name: 'pc.ram', pages: 1 }], ranges: [] };
    const big = { head: stream.head(), sections, description };
    const bytes = await written({ memoryMap, fills: new Map(), device: big });
    expect(Buffer.from((await readBack(bytes)).device.sections).equals(sections)).toBe(true);
  });

  test('from a spool into a file reads back equal', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'pageledger-test-'));
    try {
      const memoryMap = { blocks: [{ name: 'pc.ram', pages: 1000 }], ranges: [] };
      copy.begin(1000);
      for (let page = 0; page < 1000; page += page % 7 === 0 ? 1 : 2) {
        copy.write(page, stream.pageOf(1 + (page % 200)), 0);
      }
      copy.flush();
      const image = copy.image('the spool');
      const fd = openSync(join(folder, 'stream'), 'w');
      const sink = sinkOfDescriptor(fd);
      await writeStream({ device, memoryMap, runs: runsOfImage(image), sink });
      closeSync(fd);
      const state = await readBack(readFileSync(join(folder, 'stream')));
      expect(bytesOfImage(state.image).equals(bytesOfImage(image))).toBe(true);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
