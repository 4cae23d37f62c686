// A parked clone that is woken while things go wrong: whatever becomes of who wakes it, it never runs twice,
// never runs unknown, and is parked still or awake. With real guests.

import { mkdirSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { consoleLines } from '../../../adapters/guests/demo-guest/start-guest.ts';
import { runStateNow } from '../../../adapters/guests/qemu/migration-control.ts';
import { connectQmp } from '../../../adapters/guests/qemu/qmp-client.ts';
import { clonesOf, startClone } from '../../../adapters/wiring/clones/clones.ts';
import { parkedNamed, wakingPoint } from '../../../adapters/wiring/clones/parking.ts';
import type { Ledger } from '../../../adapters/wiring/ledger/ledger.ts';
import { LedgerError, openLedger } from '../../../index.ts';
import { LedgerCommands, type RunningCommand } from '../../support/command-line.ts';
import { guestsIn } from '../../support/guest/guests-in-folder.ts';
import {
  describeWithQemu,
  findMountTools,
  GUEST_TIMEOUT_MS,
  inLongRun,
} from '../../support/guest/real-guest.ts';
import { firstTicks, tickingGuest, ticksOf } from '../../support/guest/watched-guest.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const GUEST = { seed: 29, memoryMib: 128 };
const LINES = 2;

describeWithQemu('a parked clone', inLongRun(await findMountTools()), (tools) => {
  let folder: TemporaryFolder;
  let commands: LedgerCommands;
  let id: string;
  let file: string;
  const { at, environment, wordsOf, consoleOf, run } = guestsIn(() => folder.path, {
    tools,
    ...GUEST,
  });
  const start = (...words: string[]): RunningCommand =>
    commands.start(['--json', ...words], { environment: environment() });
  const kindsNow = async (): Promise<unknown[]> =>
    (await commands.json('clones')).map(({ kind }) => kind);

  /** Starts a guest of the parked clone, as `wake` does, in this process. */
  function wokenHere(
    ledger: Ledger,
    name: string,
    wake: (lease: string) => Promise<void>,
  ): ReturnType<typeof startClone> {
    const point = wakingPoint(ledger, parkedNamed(ledger, id));
    return startClone(ledger, point, {
      base: { point, block: 'pc.ram', path: file },
      command: wordsOf(name),
      isDiskOk: false,
      isAccounted: false,
      wake,
    });
  }

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    commands = new LedgerCommands(at('ledger'));
    const guest = await tickingGuest({ tools, folder: folder.path, ...GUEST });
    await commands.json('record', 'qemu', '--vm', 'web', '--qmp', guest.qmpPath, '--count', '1');
    await guest.kill();
    const clone = start('clone', '--vm', 'web', '--', ...wordsOf('first'));
    await clone.until((command) => command.rows().length === 1);
    await firstTicks(consoleOf('first'), LINES);
    id = String(clone.rows()[0]!['id']);
    await commands.json('park', id);
    await clone.ended;
    const as = String((await commands.json('clones'))[0]!['as']);
    mkdirSync(at('m'));
    await run(commands, 'mount', '--vm', as, '--block', 'pc.ram', at('m'));
    file = at('m/memory');
  }, GUEST_TIMEOUT_MS);
  afterAll(async () => {
    await run(commands, 'unmount', at('m'));
    await folder.remove();
  }, GUEST_TIMEOUT_MS);

  test(
    'stands until it is said that it is awake, known by then, and ends where that cannot be said',
    async () => {
      const ledger = await openLedger({ url: at('ledger'), mode: 'write' });
      const seen: { kind: string; runState: string }[] = [];
      const waking = wokenHere(ledger, 'unsaid', async (lease) => {
        const clone = clonesOf(ledger, ledger.vms()).find((each) => each.lease === lease)!;
        const qmp = await connectQmp({ path: clone.qmp! });
        seen.push({ kind: clone.kind, runState: await runStateNow(qmp) });
        qmp.close();
        throw new RangeError('nothing can be said');
      });
      await expect(waking).rejects.toThrow('nothing can be said');
      await ledger.close();
      expect(seen).toEqual([{ kind: 'woken', runState: 'paused' }]);
      expect(ticksOf(consoleLines(consoleOf('unsaid')))).toEqual([]);
      expect(await kindsNow()).toEqual(['parked']);
    },
    GUEST_TIMEOUT_MS,
  );

  test(
    'is parked still where who wakes it is killed before it has sent it all',
    async () => {
      const ledger = await openLedger({ url: at('ledger'), mode: 'read' });
      const killed = start('wake', id, '--', ...wordsOf('killed'));
      const isBegun = async (): Promise<boolean> => {
        await ledger.state.catchUp({ heavy: false });
        return ledger.vms().some(({ clones }) => clones.length > 0);
      };
      while (!(await isBegun()));
      killed.signal('SIGKILL');
      await killed.ended;
      await ledger.close();
      expect(await kindsNow()).toEqual(['parked']);
      expect(ticksOf(consoleLines(consoleOf('killed')))).toEqual([]);
    },
    GUEST_TIMEOUT_MS,
  );

  test(
    'that somebody left standing is woken once: what stood is ended, and never ran',
    async () => {
      const ledger = await openLedger({ url: at('ledger'), mode: 'write' });
      let woken: RunningCommand | null = null;
      const left = wokenHere(ledger, 'left', async () => {
        woken = start('wake', id, '--over', at('m'), '--', ...wordsOf('woken'));
        await firstTicks(consoleOf('woken'), LINES);
      });
      await expect(left).rejects.toThrow(LedgerError);
      await ledger.close();
      expect(ticksOf(consoleLines(consoleOf('left')))).toEqual([]);
      expect(await kindsNow()).toEqual(['woken']);
      const { exitCode, stderr } = await commands.run(['wake', id, '--', ...wordsOf('twice')], {
        environment: environment(),
      });
      expect([exitCode, stderr]).toEqual([5, expect.stringContaining('is parked')]);
      woken!.signal('SIGINT');
      await woken!.ended;
      expect(await kindsNow()).toEqual([]);
    },
    GUEST_TIMEOUT_MS,
  );
});
