// Points as disks, read by the programs that people have: libnbd's and QEMU's, while the VM is recorded
// further.

import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { uriOf } from '../../../adapters/faces/nbd/uri.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { COMMAND } from '../../../adapters/faces/nbd/protocol.ts';
import { LedgerCommands, type RunningCommand } from '../../support/command-line.ts';
import { imageSeries, pageAt } from '../../support/images.ts';
import { whileRecordedFurther } from '../../support/ledgers/recorded-further.ts';
import { NbdClient } from '../../support/clients/nbd-client.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';
import { describeWithPrograms, printedBy } from '../../support/tools.ts';
import { testLong } from '../../support/test-long.ts';

const PAGES = 4096;
const CAPTURES = 3;
const LONG_MS = 300_000;

describeWithPrograms('clients of others', ['nbdinfo', 'nbdcopy', 'qemu-img'], () => {
  let folder: TemporaryFolder;
  let commands: LedgerCommands;
  let server: RunningCommand;
  let socket: string;
  let images: Buffer[];
  const at = (name: string): string => join(folder.path, name);
  const uri = (name: string): string => uriOf({ kind: 'unix', path: socket }, name);
  const recordMore = async (image: Uint8Array): Promise<void> => {
    writeFileSync(at('more.raw'), image);
    await commands.json('record', 'image', '--vm', 'web', at('more.raw'));
  };

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    commands = new LedgerCommands(at('ledger'));
    socket = at('nbd.sock');
    const series = imageSeries({ seed: 11, pages: PAGES, captures: CAPTURES, changedPages: 40 });
    images = [...series].map((image) => Buffer.from(image));
    for (const image of images) await recordMore(image);
    await commands.json('checkpoint', '--vm', 'web', '--name', 'before', '--at', '@1');
    server = commands.start(['--json', 'serve', 'nbd', '--listen', socket]);
    await server.until((command) => command.rows().length > 0);
  }, LONG_MS);
  afterAll(async () => {
    server.signal('SIGINT');
    await server.ended;
    await folder.remove();
  });

  test(
    'nbdinfo lists what is named, and maps what is there and what changed',
    async () => {
      const listed = JSON.parse(await printedBy('nbdinfo', '--list', '--json', uri(''))) as {
        exports: { 'export-name': string; 'export-size': number; contexts: string[] }[];
      };
      expect(listed.exports.map((each) => each['export-name'])).toEqual([
        'web/latest',
        'web/cp:before',
      ]);
      expect(listed.exports[0]).toMatchObject({
        'export-size': PAGES * PAGE_BYTES,
        contexts: ['base:allocation', 'pageledger:changed:@2', 'pageledger:changed:cp:before'],
      });
      const mapped = async (context: string): Promise<number[]> => {
        const text = await printedBy('nbdinfo', `--map=${context}`, '--json', uri('web/@3'));
        const extents = JSON.parse(text) as { length: number; type: number }[];
        return extents.flatMap(({ length, type }) => Array<number>(length / PAGE_BYTES).fill(type));
      };
      const zero = Buffer.alloc(PAGE_BYTES);
      const holes = await mapped('base:allocation');
      const changed = await mapped('pageledger:changed:@1');
      expect(holes).toHaveLength(PAGES);
      for (let gfn = 0; gfn < PAGES; gfn += 1) {
        const page = Buffer.from(pageAt(images[2]!, gfn));
        expect(holes[gfn]).toBe(page.equals(zero) ? 3 : 0);
        expect(changed[gfn]).toBe(page.equals(pageAt(images[0]!, gfn)) ? 0 : 1);
      }
    },
    LONG_MS,
  );

  test(
    'nbdcopy gives what restore gives, with holes where zeros are',
    async () => {
      await commands.json('restore', '--vm', 'web', '--at', '@2', '--to', at('restored.raw'));
      await printedBy('nbdcopy', uri('web/@2'), at('copied.raw'));
      const copied = readFileSync(at('copied.raw'));
      expect(copied.equals(readFileSync(at('restored.raw')))).toBe(true);
      expect(copied.equals(images[1]!)).toBe(true);
      expect(statSync(at('copied.raw')).blocks).toBeLessThan((PAGES * PAGE_BYTES) / 512 / 1.2);
      expect(statSync(at('copied.raw')).blocks).toBeLessThanOrEqual(
        statSync(at('restored.raw')).blocks,
      );
    },
    LONG_MS,
  );

  test(
    'qemu-img finds equal what is equal, and converts',
    async () => {
      const raw = ['-f', 'raw', '-F', 'raw'];
      expect(
        await printedBy('qemu-img', 'compare', ...raw, uri('web/cp:before'), uri('web/@1')),
      ).toMatch(/identical/u);
      await expect(
        printedBy('qemu-img', 'compare', ...raw, uri('web/@1'), uri('web/@2')),
      ).rejects.toThrow(/mismatch/u);
      await printedBy(
        'qemu-img',
        'convert',
        '-f',
        'raw',
        '-O',
        'qcow2',
        uri('web/@3'),
        at('three.qcow2'),
      );
      await printedBy('qemu-img', 'convert', '-O', 'raw', at('three.qcow2'), at('three.raw'));
      expect(readFileSync(at('three.raw')).equals(images[2]!)).toBe(true);
    },
    LONG_MS,
  );

  /** Reads a point whole, in pieces from the i-th on. */
  async function readWhole(name: string, i: number): Promise<Buffer> {
    const client = await NbdClient.opened(socket, name);
    const bytes = Buffer.alloc(PAGES * PAGE_BYTES);
    for (let n = 0; n < 32; n += 1) {
      const lengthBytes = bytes.length / 32;
      const offsetBytes = ((n + 2 * i) % 32) * lengthBytes;
      const answer = await client.do({ command: COMMAND.read, offsetBytes, lengthBytes });
      answer.bytes.copy(bytes, offsetBytes);
    }
    client.close();
    return bytes;
  }

  testLong(
    'sixteen connections and other programs read at once while the VM is recorded further',
    async () => {
      const before = await NbdClient.opened(socket, 'web/latest');
      const read = { command: COMMAND.read, lengthBytes: PAGES * PAGE_BYTES };
      const mapped = (): Promise<string> =>
        printedBy('nbdinfo', '--map=pageledger:changed:@1', '--json', uri('web/@3'));
      const changed = await mapped();
      // Its mebibytes turn round, so that every capture holds what none before it held there.
      const record = (round: number): Promise<void> => {
        const turned = (round + 1) * 256 * PAGE_BYTES;
        const { [0]: image } = images;
        return recordMore(Buffer.concat([image!.subarray(turned), image!.subarray(0, turned)]));
      };
      const seen = await whileRecordedFurther(commands, { vm: 'web', record }, () =>
        Promise.all([
          Promise.all(Array.from({ length: 16 }, (_, i) => readWhole('web/@2', i))),
          printedBy('nbdcopy', uri('web/@3'), at('beside.raw')),
          printedBy(
            ...(['qemu-img', 'compare', '-f', 'raw', '-F', 'raw'] as const),
            uri('web/cp:before'),
            uri('web/@1'),
          ),
          mapped(),
        ]),
      );
      const [wholes, , compared, map] = seen;
      expect(wholes.map((bytes) => bytes.equals(images[1]!))).toEqual(Array(16).fill(true));
      expect(readFileSync(at('beside.raw')).equals(images[2]!)).toBe(true);
      expect(compared).toMatch(/identical/u);
      expect(map).toBe(changed);
      expect((await before.do(read)).bytes.equals(images[2]!)).toBe(true);
      before.close();
      await recordMore(images[1]!);
      expect((await readWhole('web/latest', 0)).equals(images[1]!)).toBe(true);
      // What was recorded and forgotten meanwhile is nobody's to read.
      await expect(printedBy('nbdinfo', '--size', uri('web/@4'))).rejects.toThrow(
        /no export named 'web\/@4'/u,
      );
    },
    LONG_MS,
  );

  test(
    'Ctrl-C ends it, and the socket is gone',
    async () => {
      server.signal('SIGINT');
      expect(await server.ended).toMatchObject({ exitCode: 0, stderr: '' });
      expect(existsSync(socket)).toBe(false);
    },
    LONG_MS,
  );
});
