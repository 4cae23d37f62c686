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
import { NbdClient } from '../../support/clients/nbd-client.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';
import { describeWithPrograms, printedBy } from '../../support/tools.ts';

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

  test(
    'sixteen connections read at once while the VM is recorded further',
    async () => {
      const reading = Array.from({ length: 16 }, async (_, i) => {
        const client = await NbdClient.opened(socket, 'web/@2');
        const bytes = Buffer.alloc(PAGES * PAGE_BYTES);
        for (let n = 0; n < 32; n += 1) {
          const lengthBytes = bytes.length / 32;
          const offsetBytes = ((n + 2 * i) % 32) * lengthBytes;
          const answer = await client.do({ command: COMMAND.read, offsetBytes, lengthBytes });
          answer.bytes.copy(bytes, offsetBytes);
        }
        client.close();
        return bytes.equals(images[1]!);
      });
      const before = await NbdClient.opened(socket, 'web/latest');
      for (const image of [images[0]!, images[1]!]) await recordMore(image);
      expect(await Promise.all(reading)).toEqual(Array(16).fill(true));
      const read = { command: COMMAND.read, lengthBytes: PAGES * PAGE_BYTES };
      expect((await before.do(read)).bytes.equals(images[2]!)).toBe(true);
      const after = await NbdClient.opened(socket, 'web/latest');
      expect((await after.do(read)).bytes.equals(images[1]!)).toBe(true);
      before.close();
      after.close();
      expect(await printedBy('nbdinfo', '--size', uri('web/@5'))).toBe(`${PAGES * PAGE_BYTES}\n`);
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
