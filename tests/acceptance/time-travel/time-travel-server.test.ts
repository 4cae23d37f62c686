// A debugger's server, and clients that come, leave and misbehave while the VM is recorded and forgotten.

import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { LedgerCommands } from '../../support/command-line.ts';
import { GdbClient, sentPacket } from '../../support/clients/gdb-client.ts';
import { seededRandom } from '../../support/images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const LONG_MS = 300_000;

let folder: TemporaryFolder;
let commands: LedgerCommands;

/** Records two pages of a byte as the next capture of a VM. */
async function record(vm: string, byte: number): Promise<void> {
  await commands.recordRaw(vm, new Uint8Array(8192).fill(byte));
}

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  commands = new LedgerCommands(join(folder.path, 'ledger'));
  await commands.run(['init']);
  for (const byte of [1, 2, 3, 4, 5, 6]) await record('made', byte);
  for (const byte of [1, 2, 3, 4]) await record('moves', byte);
}, LONG_MS);
afterAll(() => folder.remove());

describe('a server', () => {
  test(
    'lets clients go that say so, send too much, or leave, and serves others',
    async () => {
      const path = join(folder.path, 'gdb.sock');
      const server = commands.start(['gdb', '--vm', 'made', '--listen', path]);
      await server.until(({ stdout }) => stdout.includes('target remote'));
      const stays = GdbClient.socket(path);
      expect(await stays.ask('qAttached')).toBe('1');
      const leaves = GdbClient.socket(path);
      leaves.send(sentPacket('bc').subarray(0, 2));
      leaves.end();
      const floods = GdbClient.socket(path);
      floods.send(Buffer.alloc(200_000, 0x24));
      await floods.ended;
      const hurries = GdbClient.socket(path);
      for (let i = 0; i < 10_000; i += 1) hurries.send(sentPacket('g'));
      await hurries.ended;
      const detaches = GdbClient.socket(path);
      expect(await detaches.ask('D')).toBe('OK');
      await detaches.ended;
      // Each has its own place.
      const other = GdbClient.socket(path);
      expect(await other.ask('bs')).toBe('T05thread:1;');
      expect(await stays.ask('?')).toBe('T05thread:1;');
      expect(await stays.monitor('where')).toContain('@6 of 6');
      expect(await other.monitor('where')).toContain('@5 of 6');
      stays.end();
      other.end();
      server.signal('SIGINT');
      expect((await server.ended).exitCode).toBe(0);
    },
    LONG_MS,
  );
});

test(
  'a client sees what was recorded and forgotten since, whoever else did first',
  async () => {
    const vm = 'moves';
    const socket = join(folder.path, 'moves.sock');
    const server = commands.start(['gdb', '--vm', vm, '--at', '@3', '--listen', socket]);
    await server.until(({ stdout }) => stdout.includes('target remote'));
    const [a, b] = [GdbClient.socket(socket), GdbClient.socket(socket)];
    expect(await a.ask('m0,1')).toBe('03');
    expect(await b.ask('m0,1')).toBe('03');
    await commands.json('forget', '--vm', vm, '--at', '@1', '--at', '@2');
    await record(vm, 5);
    for (const client of [a, b]) {
      expect(await client.ask('Z2,1000,4')).toBe('OK');
      expect(await client.ask('c')).toBe('T05thread:1;watch:1000;');
      expect(await client.ask('c')).toBe('T05thread:1;watch:1000;');
      expect(await client.ask('m1000,1')).toBe('05');
      expect(await client.ask('bc')).toBe('T05thread:1;watch:1000;');
      expect(await client.ask('bc')).toBe('T05thread:1;watch:1000;');
      expect(await client.ask('m1000,1')).toBe('03');
      expect(await client.ask('bc')).toBe('T05thread:1;replaylog:begin;');
    }
    // The point under somebody's feet is held, once he stays there, until he goes.
    const held = async (): Promise<string[]> =>
      (await commands.json('leases')).map(
        ({ capture, kind }) => `@${capture as number} ${kind as string}`,
      );
    // The server stands at the point where it began, and each client where it went.
    const all = Array.from({ length: 3 }, () => '@3 debugger').join();
    while ((await held()).join() !== all) await commands.run(['vms']);
    await commands.run(['forget', '--vm', vm, '--at', '@3']);
    expect(await a.ask('m0,1')).toBe('03');
    expect(await a.ask('s')).toBe('T05thread:1;');
    expect(await a.ask('m0,1')).toBe('04');
    a.end();
    b.end();
    server.signal('SIGTERM');
    await server.ended;
    expect(await held()).toEqual([]);
  },
  LONG_MS,
);

test(
  'a search goes on past what is lost, and says so',
  async () => {
    const packs = (): string[] =>
      readdirSync(join(commands.ledger, 'packs'), { recursive: true, encoding: 'utf8' });
    const memory = (byte: number): Uint8Array => {
      const random = seededRandom(byte);
      return Uint8Array.from({ length: 4096 }, () => random(256));
    };
    for (const byte of [1, 1, 2]) await commands.recordRaw('lossy', memory(byte));
    const before = packs();
    await commands.recordRaw('lossy', memory(3));
    const [lost] = packs().filter((name) => !before.includes(name) && name.includes('/'));
    for (const byte of [2, 4]) await commands.recordRaw('lossy', memory(byte));
    rmSync(join(commands.ledger, 'packs', lost!));
    const client = GdbClient.stdio(['--ledger', commands.ledger, 'gdb', '--vm', 'lossy']);
    const at = async (): Promise<string> => /@\d/u.exec(await client.monitor('where'))![0];
    expect(await client.ask('Z2,0,8')).toBe('OK');
    expect(await client.ask('bc')).toBe('T05thread:1;watch:0;');
    expect(await at()).toBe('@5');
    expect(await client.ask('bc')).toMatch(/^O/u);
    expect(await client.next()).toBe('T05thread:1;watch:0;');
    expect(await at()).toBe('@2');
    expect(await client.ask('c')).toBe('T05thread:1;watch:0;');
    expect(await at()).toBe('@3');
    await client.monitor('goto @5');
    expect(await client.monitor('last-change 0')).toMatch(
      /^passed over @4 as memory .* is lost\nchanged in @3 of 6/u,
    );
    expect(await client.monitor('values 0 1')).toMatch(/@4 of 6, [^ ]*: not mapped\n@5/u);
    expect(await client.monitor('find ff00ff00ff00ff00ff00')).toContain('1 distinct pages are dam');
    client.end();
  },
  LONG_MS,
);

test(
  'clients that break off while they are let in end nobody',
  async () => {
    const server = commands.start(['gdb', '--vm', 'made', '--listen', '0']);
    const target = /target remote (?<host>[\d.]+):(?<port>\d+)/u;
    await server.until(({ stdout }) => target.test(stdout.toString()));
    const { host, port } = target.exec(server.stdout.toString())!.groups!;
    for (let i = 0; i < 20; i += 1) {
      const breaks = connect(Number(port), host);
      breaks.on('error', () => undefined);
      await new Promise((resolve) => {
        breaks.once('connect', resolve);
      });
      breaks.resetAndDestroy();
    }
    const socket = connect(Number(port), host);
    const client = new GdbClient({ in: socket, out: socket, end: () => socket.destroy() });
    expect(await client.ask('qAttached')).toBe('1');
    client.end();
    server.signal('SIGINT');
    expect((await server.ended).exitCode).toBe(0);
  },
  LONG_MS,
);

test(
  'nothing that is no socket is taken for one that a server left',
  async () => {
    const path = join(folder.path, 'precious');
    writeFileSync(path, 'precious');
    for (const line of [
      ['gdb', '--vm', 'made'],
      ['serve', 'nbd'],
    ]) {
      const { exitCode, stderr } = await commands.run([...line, '--listen', path]);
      expect([exitCode, stderr]).toEqual([1, expect.stringContaining('ADDRESS_UNUSABLE')]);
      expect(readFileSync(path, 'utf8')).toBe('precious');
    }
  },
  LONG_MS,
);
