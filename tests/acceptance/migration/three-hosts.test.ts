// A Linux guest at work that moves between three hosts, each with a network, a ledger and processes of its
// own: to the one that holds most of it, on to one that holds nothing, and back. Its console goes on with the
// lines of a guest that never moved.

import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { quoted } from '../../../adapters/faces/cli/shell-word.ts';
import {
  consoleLines,
  guestCommand,
  guestPaths,
  type DemoGuest,
} from '../../../adapters/guests/demo-guest/start-guest.ts';
import {
  jsonRows,
  LedgerCommands,
  type JsonRow,
  type RunningCommand,
} from '../../support/command-line.ts';
import {
  describeWithQemu,
  findTools,
  GUEST_TIMEOUT_MS,
  inLongRun,
} from '../../support/guest/real-guest.ts';
import {
  firstTicks,
  tickingGuest,
  tickNumber,
  ticksOf,
} from '../../support/guest/watched-guest.ts';
import { joinHosts, type HostNetwork, type JoinedHost } from '../../support/hosts/joined-hosts.ts';
import { processesWith } from '../../support/processes/processes.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const found = await findTools();
const GUEST = { seed: 31, memoryMib: 96 };
const MEMORY_BYTES = GUEST.memoryMib * 2 ** 20;
const NAMES = ['one', 'two', 'three'] as const;
type Name = (typeof NAMES)[number];
const PORT = 7070;

/** A host of the workgroup. */
class Host {
  readonly name: Name;
  readonly at: JoinedHost;
  readonly commands: LedgerCommands;
  readonly key: string;

  constructor(folder: string, name: Name, at: JoinedHost) {
    this.name = name;
    this.at = at;
    this.commands = new LedgerCommands(join(folder, name));
    this.key = join(folder, 'workgroup.key');
  }

  get address(): string {
    return `tcp:${this.at.address}:${PORT}`;
  }

  start(...words: readonly string[]): RunningCommand {
    return this.commands.start(['--json', ...words], { through: this.at.through });
  }

  /** Runs a command here that must succeed; its last row. */
  async run(...words: readonly string[]): Promise<JsonRow> {
    const { exitCode, stderr, stdout } = await this.start(...words).ended;
    if (exitCode !== 0) throw new TypeError(`${this.name}: ${words.join(' ')}: ${stderr}`);
    return jsonRows(stdout).at(-1) ?? {};
  }

  /** Moves its guest to another host. */
  migrate(qmp: string, ...words: readonly string[]): Promise<JsonRow> {
    const from = ['--from', this.name, '--key', this.key];
    return this.run('migrate', '--vm', 'web', '--live', qmp, ...from, ...words);
  }
}

describeWithQemu('a guest that moves between three hosts', inLongRun(found), (tools) => {
  let folder: TemporaryFolder;
  let network: HostNetwork;
  let hosts: Record<Name, Host>;
  let guest: DemoGuest;
  /** One of the same work, which stays where it is. */
  let sibling: DemoGuest;
  const serving: RunningCommand[] = [];
  const pathsOf = (name: string) => guestPaths({ folder: folder.path, name });

  /** Lets a host take guests, of this name. */
  async function serve(host: Host, name: string): Promise<void> {
    const command = guestCommand({ tools, ...GUEST, folder: folder.path, name });
    const words = ['--host', host.name, '--key', host.key];
    const how = ['--start', command.map(quoted).join(' ')];
    const server = host.start('host', 'serve', '--listen', host.address, ...words, ...how);
    serving.push(server);
    await server.until((each) => each.rows().length > 0);
  }

  /** Each tells the two others what it holds. */
  async function advertise(host: Host): Promise<void> {
    const peers = NAMES.filter((name) => name !== host.name).flatMap((name) => [
      '--peer',
      hosts[name].address,
    ]);
    await host.run('host', 'advertise', '--host', host.name, '--key', host.key, ...peers);
  }

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    network = joinHosts(NAMES.length);
    writeFileSync(join(folder.path, 'workgroup.key'), randomBytes(32), { mode: 0o600 });
    const [one, two, three] = NAMES.map(
      (name, i) => new Host(folder.path, name, network.hosts[i]!),
    ) as [Host, Host, Host];
    hosts = { one, two, three };
    [guest, sibling] = await Promise.all([
      tickingGuest({ tools, ...GUEST, folder: folder.path }),
      tickingGuest({ tools, ...GUEST, folder: folder.path, name: 'sibling' }),
    ]);
    await one.run('init');
    const exported = join(folder.path, 'group.key');
    await one.run('record', 'qemu', '--vm', 'web', '--qmp', guest.qmpPath, '--count', '1');
    await one.run('group', 'export', '--group', 'default', '--to', exported);
    for (const host of [two, three]) {
      await host.run('init');
      await host.run('group', 'import', exported);
    }
    await two.run('record', 'qemu', '--vm', 'sibling', '--qmp', sibling.qmpPath, '--count', '1');
    for (const [host, name] of [
      [one, 'home'],
      [two, 'second'],
      [three, 'third'],
    ] as const) {
      const near = NAMES.filter((other) => other !== host.name).map((other) => `${other}=1`);
      const distances = near.flatMap((word) => ['--distance', word]);
      const who = ['--host', host.name, '--address', host.address];
      await host.run('host', 'join', ...who, ...distances);
      await serve(host, name);
    }
    for (const host of [one, two, three]) await advertise(host);
  }, GUEST_TIMEOUT_MS);
  afterAll(async () => {
    for (const server of serving) {
      server.signal('SIGTERM');
      await server.ended;
    }
    await guest.kill();
    await sibling.kill();
    for (const pid of processesWith(folder.path)) process.kill(Number(pid), 'SIGKILL');
    network.remove();
    await folder.remove();
  }, GUEST_TIMEOUT_MS);

  test('who holds most of it is first in the plan', async () => {
    const words = ['migrate', '--vm', 'web', '--plan', '--from', 'one'];
    const { stdout } = await hosts.one.start(...words).ended;
    const ranked = jsonRows(stdout).map(({ host, chosen }) => [host, chosen]);
    expect(ranked).toEqual([
      ['two', true],
      ['three', false],
    ]);
  });

  test(
    'goes where most of it is, on to where nothing is, and back, and works on as if it had stayed',
    async () => {
      const { one, two, three } = hosts;
      const first = await one.migrate(guest.qmpPath);
      expect(first).toMatchObject({ from: 'one', to: 'two' });
      await firstTicks(pathsOf('second').serialPath, 2);
      // What is alike of two guests that were started alike is not sent.
      expect(Number(first['held'])).toBeGreaterThan(Number(first['pages']) / 2);

      const second = await two.migrate(pathsOf('second').qmpPath, '--to', 'three');
      expect(second).toMatchObject({ from: 'two', to: 'three', stale: 0 });
      await firstTicks(pathsOf('third').serialPath, 2);
      expect(Number(second['bytes'])).toBeLessThan(MEMORY_BYTES);

      const third = await three.migrate(pathsOf('third').qmpPath, '--to', 'one');
      expect(third).toMatchObject({ from: 'three', to: 'one' });
      // It comes back to where it was, with what it has changed since.
      expect(Number(third['bytes'])).toBeLessThan(Number(second['bytes']));
      await firstTicks(pathsOf('home').serialPath, 2);

      const consoles = ['guest', 'second', 'third', 'home'].map((name) =>
        ticksOf(consoleLines(pathsOf(name).serialPath)),
      );
      const told = consoles.flat();
      const numbers = told.map(tickNumber);
      for (const [i, number] of numbers.entries()) {
        if (i === 0) continue;
        // Once each, in order; of a line that was being told as it moved a half stands on each console.
        expect(number - numbers[i - 1]!).toBeGreaterThanOrEqual(1);
        expect(number - numbers[i - 1]!).toBeLessThanOrEqual(2);
      }
      const gaps = numbers.at(-1)! - numbers[0]! + 1 - numbers.length;
      expect(gaps).toBeLessThanOrEqual(consoles.length - 1);
      await sibling.waitForLine(new RegExp(`^T n=${numbers.at(-1)!} `, 'u'), {
        timeoutMs: GUEST_TIMEOUT_MS / 2,
      });
      const stayed = new Set(ticksOf(sibling.lines()));
      expect(told.filter((line) => !stayed.has(line))).toEqual([]);

      // Who took it may end: it goes on.
      for (const server of serving.splice(0)) {
        server.signal('SIGTERM');
        await server.ended;
      }
      await firstTicks(pathsOf('home').serialPath, consoles.at(-1)!.length + 2);
    },
    GUEST_TIMEOUT_MS,
  );
});
