// A server of points, by clients that behave and clients that do not.

import { statSync } from 'node:fs';
import { join } from 'node:path';
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  jest,
  test,
} from '@jest/globals';
import { Exports } from '../../../../adapters/faces/nbd/exports.ts';
import {
  COMMAND,
  COMMAND_FLAG,
  EXPORT_FLAG,
  INFO,
  NBD_ERROR,
  OPTION,
  OPTION_REPLY,
} from '../../../../adapters/faces/nbd/protocol.ts';
import { serveNbd } from '../../../../adapters/faces/nbd/server.ts';
import type { SocketServer } from '../../../../adapters/faces/sockets/socket-server.ts';
import { ServedPoint } from '../../../../adapters/wiring/restore/served-point.ts';
import { PAGE_BYTES } from '../../../../domain/values/page.ts';
import { openLedger, type Ledger } from '../../../../index.ts';
import { changeImage, makeImage } from '../../../support/images.ts';
import {
  CLIENT_FLAGS,
  contextData,
  counted,
  goData,
  NbdClient,
  optionBytes,
  requestBytes,
} from '../../../support/clients/nbd-client.ts';
import { recordBytes, streamOf } from '../../../support/ledgers/small-ledger.ts';
import {
  makeTemporaryFolder,
  type TemporaryFolder,
} from '../../../support/disks/temporary-folder.ts';

const PAGES = 600;
const SIZE = PAGES * PAGE_BYTES;

describe('a server of points', () => {
  let folder: TemporaryFolder;
  let ledger: Ledger;
  let server: SocketServer;
  let path: string;
  let images: Uint8Array[];
  const failures: string[] = [];
  let turnedAway = 0;

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    path = join(folder.path, 'nbd.sock');
    ledger = await openLedger({ url: join(folder.path, 'ledger'), mode: 'create', threads: 0 });
    const first = makeImage({ seed: 5, pages: PAGES });
    images = [first, changeImage(first, { seed: 6, changedPages: 9 })];
    for (const image of images)
      await recordBytes(ledger, {
        vm: 'web',
        bytes: streamOf(image),
        scratch: join(folder.path, 'scratch'),
      });
  });
  afterAll(async () => {
    await ledger.close();
    await folder.remove();
  });
  const exportsOf = (): Exports =>
    new Exports({
      ledger,
      vm: null,
      listed: 'named',
      use: { kind: 'server', restored: { how: 'nbd' } },
      waiting: { onAway: ({ message }) => failures.push(message), onBack: () => undefined },
    });

  beforeEach(async () => {
    failures.length = 0;
    turnedAway = 0;
    const exports = exportsOf();
    server = await serveNbd(
      { kind: 'unix', path },
      {
        exports,
        onFailure: (message) => failures.push(message),
        onTurnedAway: () => {
          turnedAway += 1;
        },
      },
    );
  });
  afterEach(() => server.close());

  /** That a client of the ordinary kind is served, whatever others do. */
  const expectServed = async (): Promise<void> => {
    const client = await NbdClient.opened(path, 'web/@1');
    const { bytes, error } = await client.do({
      command: COMMAND.read,
      offsetBytes: 0,
      lengthBytes: SIZE,
    });
    expect(error).toBe(0);
    expect(bytes.equals(images[0]!)).toBe(true);
    client.close();
    expect(failures).toEqual([]);
  };

  test("listens on a socket that is its owner's alone, also in place of one that was left", async () => {
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const ways = {
      exports: exportsOf(),
      onFailure: () => undefined,
      onTurnedAway: () => undefined,
    };
    await expect(serveNbd({ kind: 'unix', path }, ways)).rejects.toMatchObject({
      code: 'ADDRESS_UNUSABLE',
    });
    await expectServed();
  });

  test('reads any stretch, with and without structured replies', async () => {
    const image = Buffer.from(images[1]!);
    const stretches = [
      [0, SIZE],
      [0, 1],
      [PAGE_BYTES - 1, 2],
      [SIZE - 1, 1],
      [12_345, 1_234_567],
      [5 * PAGE_BYTES, PAGE_BYTES],
    ] as const;
    for (const name of ['structured', 'simple']) {
      const client =
        name === 'structured'
          ? await NbdClient.opened(path, 'web/latest')
          : await NbdClient.greeted(path);
      if (name === 'simple') await client.ask(OPTION.go, goData('web/latest'));
      for (const [offsetBytes, lengthBytes] of stretches) {
        const answer = await client.do({ command: COMMAND.read, offsetBytes, lengthBytes });
        expect(answer.error).toBe(0);
        expect(answer.bytes.equals(image.subarray(offsetBytes, offsetBytes + lengthBytes))).toBe(
          true,
        );
      }
      client.close();
    }
  });

  test('tells zeros as holes, and sends one part alone where that is asked for', async () => {
    const client = await NbdClient.opened(path, 'web/@1');
    const request = { command: COMMAND.read, offsetBytes: 0, lengthBytes: 64 * PAGE_BYTES };
    const { bytes, holes } = await client.do(request);
    const whole = await client.do({ ...request, flags: COMMAND_FLAG.doNotFragment });
    expect(whole.holes).toEqual([]);
    expect(whole.bytes.equals(bytes)).toBe(true);
    expect(holes.length).toBeGreaterThan(0);
    for (const [at, length] of holes)
      expect(images[0]!.subarray(at, at + length).every((byte) => byte === 0)).toBe(true);
    const large = { ...request, lengthBytes: SIZE, flags: COMMAND_FLAG.doNotFragment };
    expect((await client.do(large)).error).toBe(NBD_ERROR.overflow);
    client.close();
  });

  test('says of extents what is zero and what another capture holds otherwise', async () => {
    const contexts = [
      'base:allocation',
      'pageledger:changed:@1',
      'pageledger:changed:@77',
      'other:one',
    ];
    const client = await NbdClient.greeted(path);
    await client.ask(OPTION.structuredReply);
    client.isStructured = true;
    const set = await client.ask(OPTION.setMetaContext, contextData('web/@2', contexts));
    expect(set.slice(0, -1).map(({ data }) => data.toString('utf8', 4))).toEqual(
      contexts.slice(0, 2),
    );
    await client.ask(OPTION.go, goData('web/@2'));
    const { extents } = await client.do({ command: COMMAND.blockStatus, lengthBytes: SIZE });
    const pagesOf = (id: number): number[] =>
      extents.get(id)!.flatMap(([length, flags]) => Array<number>(length / PAGE_BYTES).fill(flags));
    const page = (image: Uint8Array, gfn: number): Buffer =>
      Buffer.from(image.subarray(gfn * PAGE_BYTES, (gfn + 1) * PAGE_BYTES));
    for (let gfn = 0; gfn < PAGES; gfn += 1) {
      const now = page(images[1]!, gfn);
      expect(pagesOf(1)[gfn]).toBe(now.every((byte) => byte === 0) ? 3 : 0);
      expect(pagesOf(2)[gfn]).toBe(now.equals(page(images[0]!, gfn)) ? 0 : 1);
    }
    expect(pagesOf(2).filter((flags) => flags === 1)).toHaveLength(9);
    client.close();
  });

  test('lists contexts without looking for what they would say', async () => {
    const changed = jest.spyOn(ServedPoint.prototype, 'changedFrom');
    const client = await NbdClient.greeted(path);
    await client.ask(OPTION.structuredReply);
    const namesOf = async (queries: readonly string[]): Promise<string[]> => {
      const listed = await client.ask(OPTION.listMetaContext, contextData('web/@2', queries));
      return listed.slice(0, -1).map(({ data }) => data.toString('utf8', 4));
    };
    const known = ['base:allocation', 'pageledger:changed:@1'];
    expect(await namesOf([])).toEqual(known);
    const asked = [...known, 'pageledger:changed:@77', 'pageledger:changed:latest', 'other:one'];
    expect(await namesOf(asked)).toEqual([...known, 'pageledger:changed:latest']);
    expect(changed).not.toHaveBeenCalled();
    changed.mockRestore();
    client.close();
  });

  test('lists, describes and flags exports', async () => {
    const client = await NbdClient.greeted(path);
    const [first, end] = await client.ask(OPTION.list);
    expect(first!.data.toString('utf8', 4)).toMatch(/^web\/latestcapture 2 of /u);
    expect(end!.type).toBe(OPTION_REPLY.ack);
    const flagsOf = async (name: string): Promise<number> => {
      const answers = await client.ask(OPTION.info, goData(name, [INFO.name, INFO.blockSize]));
      const info = answers.find(({ data }) => data.readUInt16BE(0) === INFO.export)!;
      expect(Number(info.data.readBigUInt64BE(2))).toBe(SIZE);
      return info.data.readUInt16BE(10);
    };
    const common = EXPORT_FLAG.hasFlags | EXPORT_FLAG.sendFlush;
    expect(await flagsOf('web/latest')).toBe(common | EXPORT_FLAG.readOnly);
    expect(await flagsOf('web/@1')).toBe(common | EXPORT_FLAG.readOnly | EXPORT_FLAG.canMultiConn);
    // As a VMM opens its guest's memory: for writing.
    expect(await flagsOf('web/@1/pc.ram')).toBe(common | EXPORT_FLAG.canMultiConn);
    const unknown = await client.ask(OPTION.info, goData('web/@9'));
    expect(unknown[0]!.type).toBe(OPTION_REPLY.unknown);
    expect(unknown[0]!.data.toString()).toMatch(/no capture at @9/u);
    client.write(optionBytes(OPTION.abort));
    await client.ended();
  });

  test('answers the oldest way to name an export', async () => {
    const client = await NbdClient.greeted(path);
    client.write(optionBytes(OPTION.exportName, Buffer.from('web/@1')));
    const reply = await client.take(10);
    expect(Number(reply.readBigUInt64BE(0))).toBe(SIZE);
    const read = { command: COMMAND.read, offsetBytes: 0, lengthBytes: SIZE };
    expect((await client.do(read)).bytes.equals(images[0]!)).toBe(true);
    client.write(requestBytes({ command: COMMAND.disconnect }));
    await client.ended();
    const other = await NbdClient.greeted(path);
    other.write(optionBytes(OPTION.exportName, Buffer.from('nobody')));
    await other.ended();
  });

  test.each([
    [
      'a read beyond the end',
      { command: COMMAND.read, offsetBytes: SIZE - 1, lengthBytes: 2 },
      'invalid',
    ],
    [
      'a read from far away',
      { command: COMMAND.read, offsetBytes: 2n ** 64n - 1n, lengthBytes: 1 },
      'invalid',
    ],
    ['a read of nothing', { command: COMMAND.read }, 'invalid'],
    ['a read of 4 GiB', { command: COMMAND.read, lengthBytes: 2 ** 32 - 1 }, 'invalid'],
    ['unknown flags', { command: COMMAND.read, lengthBytes: 1, flags: 1 << 9 }, 'invalid'],
    ['extents of no context', { command: COMMAND.blockStatus, lengthBytes: 1 }, 'invalid'],
    ['an unknown command', { command: 99, lengthBytes: 1 }, 'invalid'],
    ['zeroing', { command: COMMAND.writeZeroes, lengthBytes: SIZE }, 'notPermitted'],
    ['trimming', { command: COMMAND.trim, lengthBytes: SIZE }, 'notPermitted'],
    ['a flush', { command: COMMAND.flush }, null],
  ] as const)('answers %s, and goes on', async (_what, request, error) => {
    const client = await NbdClient.opened(path, 'web/@1');
    const answer = await client.do(request);
    expect(answer.error).toBe(error === null ? 0 : NBD_ERROR[error]);
    const read = { command: COMMAND.read, lengthBytes: PAGE_BYTES };
    expect((await client.do(read)).error).toBe(0);
    client.close();
    await expectServed();
  });

  test('refuses writes, and reads on behind what came with them', async () => {
    const client = await NbdClient.opened(path, 'web/@1/pc.ram');
    const write = { command: COMMAND.write, lengthBytes: 3 * PAGE_BYTES };
    client.write(requestBytes(write));
    client.write(Buffer.alloc(3 * PAGE_BYTES, 0x25));
    expect((await client.answer(write)).error).toBe(NBD_ERROR.notPermitted);
    const read = { command: COMMAND.read, lengthBytes: SIZE };
    expect((await client.do(read)).bytes.equals(images[0]!)).toBe(true);
    client.close();
  });

  test.each([
    ['flags that nobody knows', [Buffer.alloc(4, 0xff)]],
    ['no magic', [CLIENT_FLAGS, Buffer.alloc(64, 0x47)]],
    ['an option of 4 GiB', [CLIENT_FLAGS, optionBytes(OPTION.go, Buffer.alloc(0), 2 ** 32 - 1)]],
    ['a request of another protocol', [Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')]],
    [
      'commands without magic',
      [CLIENT_FLAGS, optionBytes(OPTION.go, goData('web/@1')), Buffer.alloc(28)],
    ],
  ])('lets go of a client that says %s', async (_what, said) => {
    const client = await NbdClient.connect(path);
    for (const bytes of said) client.write(bytes);
    await client.ended();
    expect(client.socket.destroyed).toBe(true);
    await expectServed();
  });

  test.each([
    ['unknown', 77, Buffer.alloc(5), OPTION_REPLY.unsupported],
    ['TLS', 5, Buffer.alloc(0), OPTION_REPLY.unsupported],
    ['a list with data', OPTION.list, Buffer.alloc(5), OPTION_REPLY.invalid],
    ['GO without a name', OPTION.go, Buffer.alloc(2), OPTION_REPLY.invalid],
    ['GO with a name of 4 GiB', OPTION.go, Buffer.alloc(8, 0xff), OPTION_REPLY.invalid],
    [
      'GO with 65,535 questions',
      OPTION.go,
      Buffer.concat([counted('web'), Buffer.alloc(2, 0xff)]),
      OPTION_REPLY.invalid,
    ],
    [
      '4 billion contexts',
      OPTION.setMetaContext,
      Buffer.concat([counted('web'), Buffer.alloc(4, 0xff)]),
      OPTION_REPLY.invalid,
    ],
    [
      'contexts before structured replies',
      OPTION.setMetaContext,
      contextData('web', ['base:allocation']),
      OPTION_REPLY.invalid,
    ],
  ])('refuses an option that is %s, and goes on', async (_what, option, data, type) => {
    const client = await NbdClient.greeted(path);
    const answers = await client.ask(option, data);
    expect(answers.map((answer) => answer.type)).toEqual([type]);
    expect((await client.ask(OPTION.go, goData('web/@1'))).at(-1)!.type).toBe(OPTION_REPLY.ack);
    client.close();
  });

  test('holds little for clients that ask for much and take nothing', async () => {
    const read = jest.spyOn(ServedPoint.prototype, 'read');
    const bytesRead = (): number =>
      read.mock.calls.reduce((sum, [, pages]) => sum + pages * PAGE_BYTES, 0);
    const clients = await Promise.all(
      Array.from({ length: 20 }, () => NbdClient.opened(path, 'web/@1')),
    );
    for (const client of clients) {
      client.socket.pause();
      for (let i = 0; i < 200; i += 1)
        client.write(requestBytes({ command: COMMAND.read, lengthBytes: SIZE, cookie: BigInt(i) }));
    }
    // What one client that takes its answers is given meanwhile is read for it alone.
    await expectServed();
    await expectServed();
    expect(bytesRead()).toBeLessThan(clients.length * 2 ** 23 + 2 * SIZE);
    for (const client of clients) client.close();
    await expectServed();
    expect(bytesRead()).toBeLessThan(clients.length * 2 ** 23 + 3 * SIZE);
    read.mockRestore();
  });

  test('does no harm to others when a thousand connect, or go in the middle of anything', async () => {
    const connected = await Promise.allSettled(
      Array.from({ length: 1000 }, () => NbdClient.connect(path)),
    );
    const clients = connected.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    await Promise.race(clients.map((client) => client.ended()));
    expect(turnedAway).toBeGreaterThan(0);
    for (const client of clients) client.close();
    const said = Buffer.concat([
      CLIENT_FLAGS,
      optionBytes(OPTION.go, goData('web/@1')),
      requestBytes({ command: COMMAND.read, lengthBytes: SIZE }),
    ]);
    for (let cut = 1; cut <= said.length; cut += 1) {
      const client = await NbdClient.connect(path);
      client.write(said.subarray(0, cut));
      client.close();
    }
    await expectServed();
  });
});
