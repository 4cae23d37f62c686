// A running guest that is moved by real processes, of which one is killed, or the link between them cut, at
// each step: it never runs twice, one of the hosts has it whole, and `migrate --resolve` ends the doubt.

import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { migrationNow } from '../../../adapters/wiring/hosts/migrations.ts';
import type { FrameKind } from '../../../adapters/faces/link/frames.ts';
import { delay } from '../../../adapters/guests/qemu/migration-control.ts';
import { runnerOf } from '../../../domain/migrations.ts';
import { exportGroup, importGroup, openLedger } from '../../../index.ts';
import { LedgerCommands, type RunningCommand } from '../../support/command-line.ts';
import { FrameRelay, type PassingFrame } from '../../support/clients/frame-relay.ts';
import {
  MachineAt,
  movedCommand,
  roundsAt,
  startMovingGuest,
} from '../../support/guest/moving-guest.ts';
import {
  describeWithQemu,
  findTools,
  GUEST_TIMEOUT_MS,
  inLongRun,
} from '../../support/guest/real-guest.ts';
import type { BootSectorGuest } from '../../support/guest/ticking-guest.ts';
import { processesWith } from '../../support/processes/processes.ts';
import { recordFiles, writeImages } from '../../support/ledgers/recorded-images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const found = await findTools();

/** QEMU's words for a guest that was stopped: the second behind a capture that it was sent out for. */
const STANDS = ['paused', 'postmigrate'];

type Victim = 'source' | 'target' | 'link';

/** A message at which something is killed. */
interface Step {
  readonly by: PassingFrame['by'];
  readonly kind: FrameKind;
  /** As the guest stands already: one of the last capture. */
  readonly isStanding?: true;
  /** Once it has come to the other side; absent: on its way. */
  readonly isBehind?: true;
  /** And once the target's QEMU is there. */
  readonly isBegun?: true;
  /** It never comes, whoever is killed. Absent: what a process has sent that is killed does come. */
  readonly isLost?: true;
}

const EACH: readonly Step[] = [
  { by: 'source', kind: 'hello' },
  { by: 'target', kind: 'hello' },
  { by: 'source', kind: 'offer' },
  { by: 'source', kind: 'identifiers' },
  { by: 'target', kind: 'wanted' },
  { by: 'source', kind: 'pages' },
  { by: 'source', kind: 'device' },
  { by: 'source', kind: 'sent' },
  { by: 'target', kind: 'recorded' },
  { by: 'source', kind: 'offer', isStanding: true },
  { by: 'target', kind: 'wanted', isStanding: true },
  { by: 'source', kind: 'sent', isStanding: true },
  { by: 'target', kind: 'recorded', isStanding: true },
  { by: 'source', kind: 'handOver' },
  { by: 'source', kind: 'handOver', isBehind: true },
  { by: 'target', kind: 'completed' },
  { by: 'target', kind: 'completed', isBehind: true },
];
const VICTIMS: readonly Victim[] = ['source', 'target', 'link'];
const CASES: readonly (readonly [string, Victim, Step])[] = [
  ...EACH.flatMap((step) => VICTIMS.map((victim) => [victim, step] as const)),
  ['source', { by: 'source', kind: 'handOver', isLost: true }] as const,
  ['target', { by: 'source', kind: 'handOver', isBehind: true, isBegun: true }] as const,
].map(([victim, step]) => {
  const { by, kind, isStanding, isBehind, isBegun, isLost } = step;
  const when = [
    isStanding === true ? 'as the guest stands' : '',
    isBehind === true ? 'once it came' : '',
    isBegun === true ? 'and QEMU began' : '',
    isLost === true ? 'and that is lost' : '',
  ].filter((word) => word !== '');
  return [[`${victim} at the ${by}'s ${kind}`, ...when].join(' '), victim, step];
});

describeWithQemu('a guest that moves between processes', inLongRun(found), ({ qemu }) => {
  let folder: TemporaryFolder;
  let one: LedgerCommands;
  let two: LedgerCommands;
  let guest: BootSectorGuest;
  let here: MachineAt;
  let there: MachineAt;
  let relay: FrameRelay;
  let serving: RunningCommand;
  const at = (name: string): string => join(folder.path, name);

  async function serve(): Promise<void> {
    const words = ['host', 'serve', '--listen', `unix:${at('two.sock')}`, '--host', 'two'];
    serving = two.start(['--json', ...words, '--start', movedCommand(qemu, folder.path, 'two')]);
    await serving.until((command) => command.rows().length > 0);
  }

  beforeEach(async () => {
    folder = await makeTemporaryFolder();
    one = new LedgerCommands(at('one'));
    two = new LedgerCommands(at('two'));
    const source = await openLedger({ url: one.ledger, mode: 'create', threads: 0 });
    const target = await openLedger({ url: two.ledger, mode: 'create', threads: 0 });
    // Makes the group, whose key the other host gets.
    const images = [Buffer.alloc(4096, 3)];
    const files = writeImages({ folder: folder.path, name: 'any', images });
    await recordFiles(source, { vm: 'any', files });
    await importGroup(target, { text: await exportGroup(source, 'default'), where: 'one' });
    await Promise.all([source.close(), target.close()]);
    [here, there] = [new MachineAt(folder.path, 'one'), new MachineAt(folder.path, 'two')];
    await serve();
    relay = await FrameRelay.open(at('relay.sock'), at('two.sock'));
    guest = await startMovingGuest(qemu, folder.path);
  }, GUEST_TIMEOUT_MS);
  afterEach(async () => {
    serving.signal('SIGKILL');
    await serving.ended;
    await relay.close();
    await guest.kill();
    for (const pid of processesWith(folder.path)) process.kill(Number(pid), 'SIGKILL');
    await folder.remove();
  });

  const migrate = (...words: readonly string[]): RunningCommand => {
    const where = ['--from', 'one', '--address', `unix:${at('relay.sock')}`];
    return one.start(['migrate', '--vm', 'web', ...where, '--live', guest.qmpPath, ...words]);
  };

  /** Kills somebody at a step of a migration; whether that was met. */
  async function killAt(victim: Victim, step: Step): Promise<boolean> {
    let isMet = false;
    const isIt = async ({ by, kind }: PassingFrame): Promise<boolean> => {
      if (isMet || by !== step.by || kind !== step.kind) return false;
      return step.isStanding !== true || STANDS.includes(await here.state());
    };
    const kill = async (): Promise<void> => {
      isMet = true;
      while (step.isBegun === true && !there.hasBegun) await delay(5);
      const process = victim === 'source' ? moving : serving;
      if (victim === 'link') return;
      process.signal('SIGKILL');
      await process.ended;
    };
    relay.watcher = {
      before: async (frame) => {
        if (step.isBehind === true || !(await isIt(frame))) return true;
        await kill();
        return victim === step.by && step.isLost !== true;
      },
      behind: async (frame) => {
        if (step.isBehind !== true || !(await isIt(frame))) return true;
        await kill();
        return false;
      },
    };
    const moving = migrate('--to', 'two');
    await moving.ended;
    relay.watcher = null;
    return isMet;
  }

  /** Looks at both all the time; how often both were seen to run. The one that came later is asked first. */
  function watching(): { readonly end: () => Promise<number> } {
    let both = 0;
    const over = new AbortController();
    const looking = (async () => {
      while (!over.signal.aborted) {
        const [later, first] = [await there.state(), await here.state()];
        if (later === 'running' && first === 'running') both += 1;
        await delay(20);
      }
    })();
    const end = async (): Promise<number> => {
      over.abort();
      await looking;
      return both;
    };
    return { end };
  }

  /** Who has the guest, as a ledger says. */
  async function runner({ ledger: url }: LedgerCommands): Promise<unknown> {
    const ledger = await openLedger({ url, mode: 'read', threads: 0 });
    try {
      return runnerOf(await migrationNow(ledger, 'web'));
    } finally {
      await ledger.close();
    }
  }

  test.each(CASES)(
    'is with one host that is whole: %s',
    async (_what, victim, step) => {
      const watch = watching();
      expect(await killAt(victim, step)).toBe(true);
      if (victim === 'target') await serve();
      const resolved = await migrate('--resolve').ended;
      expect([resolved.exitCode, resolved.stderr]).toEqual([0, resolved.stderr]);
      const sides = [await runner(one), await runner(two)];
      expect([
        ['source', 'source'],
        ['target', 'target'],
      ]).toContainEqual(sides);
      const [winner, other] = sides[0] === 'source' ? [here, there] : [there, here];
      // What a process left standing that was killed later than its log said who has the guest: docs/migration.md.
      if (sides[0] === 'target' && (await here.state()) !== 'gone') await here.tell('quit');
      if (STANDS.includes(await winner.state())) await winner.tell('cont');
      await winner.ticksOn();
      expect(await winner.state()).toBe('running');
      expect(['gone', 'paused', 'inmigrate', 'prelaunch']).toContain(await other.state());
      expect(await watch.end()).toBe(0);
      const rounds = [here, there].map(({ console }) => roundsAt(console));
      const [first, later] = rounds as [readonly number[], readonly number[]];
      // What it counted stands on one console or the other: it went on from where it was, once.
      const all = [...first, ...later];
      expect(new Set(all).size).toBe(all.length);
      const told = roundsAt(winner.console);
      expect(told.at(-1)! - told.at(-2)!).toBe(1);
    },
    GUEST_TIMEOUT_MS,
  );
});
