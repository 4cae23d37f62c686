// A real guest recorded while it runs into a ledger that hosts share, and resumed on another host, which
// has nothing of the ledger: its console goes on with the very lines that the first one printed, and
// its memory differs in no page. The log is on the double unless PAGELEDGER_ESDB_URL names a server.

import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import {
  guestCommand,
  guestPaths,
  type DemoGuest,
} from '../../../adapters/guests/demo-guest/start-guest.ts';
import {
  asRecorded,
  type JsonRow,
  type Outcome,
  type RunningCommand,
} from '../../support/command-line.ts';
import { pagesThatDiffer } from '../../support/guest/images.ts';
import { describeWithQemu, findTools } from '../../support/guest/real-guest.ts';
import {
  dumpedMemory,
  firstTicks,
  restGuest,
  sameTicks,
  tickingGuest,
  ticksOf,
} from '../../support/guest/watched-guest.ts';
import { describeWithS3 } from '../../support/s3-server/s3-server.ts';
import {
  startSharedWorld,
  type Host,
  type SharedWorld,
} from '../../support/ledgers/shared-world.ts';
import { testLong } from '../../support/test-long.ts';

const found = await findTools();
const LONG_MS = 300_000;
const GUEST = { seed: 6, memoryMib: 96 };
const CAPTURES = 3;
const BACK_TO = 2;
/** Lines of the second console that are compared. */
const LINES = 4;

describeWithS3('in a ledger on servers', () => {
  describeWithQemu('a guest recorded while it runs', found, (tools) => {
    let world: SharedWorld;
    let place: SharedWorld;
    let other: Host;
    let guest: DemoGuest;
    let outcome: Outcome;
    let recorded: JsonRow[];
    /** Ticks that the first console had shown when each capture was reported. */
    const shownAt: number[] = [];
    const running: RunningCommand[] = [];

    beforeAll(async () => {
      world = await startSharedWorld();
      place = world.another();
      other = place.host('other');
      guest = await tickingGuest({ tools, folder: world.folder, ...GUEST });
      const words = ['--qmp', guest.qmpPath, '--every', '1s', '--count', String(CAPTURES)];
      const recorder = place
        .host('recorder')
        .commands.start(['--json', 'record', 'qemu', '--vm', 'guest', ...words]);
      for (let capture = 1; capture <= CAPTURES; capture += 1) {
        await recorder.until((command) => command.rows().length >= capture);
        shownAt.push(ticksOf(guest.lines()).length);
      }
      outcome = await recorder.ended;
      recorded = recorder.rows();
      await restGuest(guest);
    }, LONG_MS);
    afterEach(async () => {
      for (const command of running.splice(0)) {
        command.signal('SIGTERM');
        await command.ended;
      }
    });
    afterAll(async () => {
      await guest.kill();
      await world.remove();
    }, LONG_MS);

    /** Resumes on a host as a guest of this name; gives its console and control socket. */
    async function resume(
      host: Host,
      named: { readonly name: string; readonly extra?: readonly string[] },
    ) {
      const second = { tools, folder: world.folder, ...GUEST, ...named };
      const words = ['resume', '--vm', 'guest', '--at', `@${BACK_TO}`, '--eager', '--'];
      const command = host.commands.start(['--json', ...words, ...guestCommand(second)]);
      running.push(command);
      await command.until(({ stdout }) => stdout.includes('\n'));
      return { ...guestPaths(second), row: command.rows()[0]! };
    }

    test(
      'has the captures that were asked for, the same on every host',
      async () => {
        expect(outcome.exitCode).toBe(0);
        expect(recorded.map(({ capture }) => capture)).toEqual([1, 2, 3]);
        const known = await other.commands.json('captures', '--vm', 'guest');
        expect(asRecorded(known)).toEqual(recorded);
      },
      LONG_MS,
    );

    test(
      'goes on from capture 2 on another host with the lines that it printed after capture 2',
      async () => {
        const { serialPath, row } = await resume(other, { name: 'second' });
        expect(row).toMatchObject({ vm: 'guest', capture: BACK_TO, state: 'running' });
        const lines = await firstTicks(serialPath, LINES);
        const { lines: original, from } = await sameTicks(guest, lines);
        expect(original).toEqual(lines);
        // The capture lies between the report of the one before it and its own.
        expect(from).toBeGreaterThanOrEqual(shownAt[BACK_TO - 2]!);
        expect(from).toBeLessThanOrEqual(shownAt[BACK_TO - 1]!);
      },
      LONG_MS,
    );

    testLong(
      'has the memory of capture 2 in a QEMU of a host without a cache, page for page',
      async () => {
        const cold = place.host('cold');
        const { qmpPath, row } = await resume(cold, { name: 'stopped', extra: ['-S'] });
        expect(row).toMatchObject({ state: 'paused' });
        const to = join(world.folder, 'memory.raw');
        await other.commands.json('restore', '--vm', 'guest', '--at', `@${BACK_TO}`, '--to', to);
        const memory = readFileSync(to);
        expect(memory.length).toBe(GUEST.memoryMib * 1024 * 1024);
        const scratch = join(world.folder, 'dump');
        const dumped = await dumpedMemory({ qmpPath, memoryBytes: memory.length, scratch });
        expect(pagesThatDiffer(dumped, memory)).toEqual([]);
        const [local] = readdirSync(cold.stateFolder);
        expect(readdirSync(join(cold.stateFolder, local!))).not.toContain('keys');
      },
      LONG_MS,
    );

    test(
      'is whole in the bucket and the log',
      async () => {
        const [summary, ...findings] = await other.commands.json('verify');
        expect([summary, findings]).toMatchObject([{ damaged: 0 }, []]);
      },
      LONG_MS,
    );
  });
});
