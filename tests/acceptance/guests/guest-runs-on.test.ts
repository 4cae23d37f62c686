// Whatever happens to a recorder while QEMU sends, and whatever stands still, the guest runs on, QEMU's
// settings are as they were, and the guest can be recorded again. A second guest of the same kind
// beside it is never recorded: what a busy machine does to both is seen in that one, and on both consoles
// the same lines come after each other, whose sums are of all memory that the guests write.
//
// PAGELEDGER_KILLS: how often, all kills together, and as often all freezes (`npm run test:long`: 200).
// PAGELEDGER_QEMU: the program to run as QEMU. PAGELEDGER_FAULTS_FILE: where the figures are written.

import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { programPath, QEMU_PROGRAM } from '../../../adapters/guests/demo-guest/tools.ts';
import { delay } from '../../../adapters/guests/qemu/migration-control.ts';
import { LedgerCommands, type RunningCommand } from '../../support/command-line.ts';
import { GuestWatch } from '../../support/guest/guest-watch.ts';
import { GUEST_TIMEOUT_MS } from '../../support/guest/real-guest.ts';
import { MonitorRelay } from '../../support/guest/monitor-relay.ts';
import { FREEZES, KILLS } from '../../support/guest/recorder-faults.ts';
import { BootSectorGuest } from '../../support/guest/ticking-guest.ts';
import { sampleOf } from '../../support/long-run.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';
import { testLong } from '../../support/test-long.ts';

const LONG = process.env['PAGELEDGER_KILLS'];
const QEMU = process.env['PAGELEDGER_QEMU'] ?? programPath(QEMU_PROGRAM);
/** Instants after QEMU was told where to send are spread over so many ms. */
const SPREAD_MS = 700;
/** A guard that has brought a capture to its end is not waited for any longer. */
const REMOVED_WITHIN_MS = 10_000;
/** Between the instant at which QEMU stops a guest, or its clock, and the one that it tells of. */
const TOLD_WITHIN_MS = 100;

/** A guest, and what a test sees of it by a second monitor. */
interface WatchedGuest {
  readonly guest: BootSectorGuest;
  readonly watch: GuestWatch;
}

let folder: TemporaryFolder;
let sockets: string;
let recorded: WatchedGuest;
let control: WatchedGuest;
let before: unknown;
/** Figures of each way, for people. */
const figures: Record<string, unknown>[] = [];

async function start(name: string): Promise<WatchedGuest> {
  const inside = join(folder.path, name);
  mkdirSync(inside);
  const monitor = join(inside, 'watch.qmp');
  const extra = ['-qmp', `unix:${monitor},server=on,wait=off`];
  const where = { qemu: QEMU ?? '', folder: inside };
  const guest = new BootSectorGuest({ ...where, sector: 'ticking', memoryMib: 128, extra });
  await guest.ticksOn(20);
  const watch = await GuestWatch.connect(monitor);
  await watch.look();
  return { guest, watch };
}

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  sockets = join(folder.path, 't');
  mkdirSync(sockets);
  if (QEMU === null) return;
  recorded = await start('recorded');
  control = await start('control');
  before = await recorded.guest.settings();
}, GUEST_TIMEOUT_MS);
afterAll(async () => {
  for (const { guest, watch } of QEMU === null ? [] : [recorded, control]) {
    watch.close();
    await guest.kill();
  }
  await folder.remove();
});

const isSending = (): boolean =>
  readdirSync(sockets).some((name) => existsSync(join(sockets, name, 'migration.sock')));

function record(qmp = recorded.guest.qmpPath): RunningCommand {
  const commands = new LedgerCommands(join(folder.path, 'ledger'));
  const words = ['--qmp', qmp, '--every', '100ms'];
  return commands.start(['record', 'qemu', '--vm', 'guest', ...words], {
    environment: { TMPDIR: sockets },
  });
}

/** Begins to record, and waits until so many ms after QEMU was told where to send. */
async function recordUntil(instant: number, qmp?: string): Promise<RunningCommand> {
  const recorder = record(qmp);
  while (!isSending()) await delay(1);
  await delay(instant);
  return recorder;
}

/** How long each took to tick on. */
interface Ticked {
  readonly recordedMs: number;
  readonly controlMs: number;
}

/** Waits until both have ticked on. */
async function bothTickOn(): Promise<Ticked> {
  const [recordedMs, controlMs] = await Promise.all([
    recorded.guest.ticksOn(),
    control.guest.ticksOn(),
  ]);
  return { recordedMs, controlMs };
}

async function lookAtClocks(): Promise<void> {
  await Promise.all([recorded.watch.look(), control.watch.look()]);
}

/** The instants of each way, one list of so many for all of them dealt out in turn. */
function dealt(names: readonly string[], wanted = Number(LONG ?? 0)): [string, number[]][] {
  const count = Math.max(names.length, wanted);
  const instants = Array.from({ length: count }, (_, i) => (i * SPREAD_MS) / count);
  return names.map((name, way) => [name, instants.filter((_, i) => i % names.length === way)]);
}

/** Writes what was measured so far, where that was asked for. */
async function writeFigures(): Promise<void> {
  const file = process.env['PAGELEDGER_FAULTS_FILE'];
  if (file === undefined) return;
  const qemu = await recorded.guest.withQmp((qmp) => Promise.resolve(qmp.version));
  const clocks = { recorded: recorded.watch.drift, control: control.watch.drift };
  const stoodMs = { recorded: recorded.watch.stoodMs, control: control.watch.stoodMs };
  const lines = { recorded: recorded.guest.lines().length, control: control.guest.lines().length };
  const found = { qemu, load: loadavg()[0], stoodMs, clocks, lines, faults: figures };
  writeFileSync(file, `${JSON.stringify(found, null, 2)}\n`);
}

const worst = (all: readonly number[]): number => Math.round(Math.max(0, ...all));

/** The guest is as it was before, and what came of one way to harm it is kept. */
async function expectUnharmed(what: string, ticked: readonly Ticked[]): Promise<void> {
  expect(await recorded.guest.runState()).toBe('running');
  expect(await recorded.guest.settings()).toEqual(before);
  // A guard puts QEMU's settings back first, and removes its folder then.
  for (let ms = 0; readdirSync(sockets).length > 0 && ms < REMOVED_WITHIN_MS; ms += 10)
    await delay(10);
  expect(readdirSync(sockets)).toEqual([]);
  const pauses = recorded.watch.takePauses();
  figures.push({
    what,
    times: ticked.length,
    tickedWithin2s: ticked.filter(({ recordedMs }) => recordedMs < 2_000).length,
    controlTickedWithin2s: ticked.filter(({ controlMs }) => controlMs < 2_000).length,
    tickedAfterMsMax: worst(ticked.map(({ recordedMs }) => recordedMs)),
    controlTickedAfterMsMax: worst(ticked.map(({ controlMs }) => controlMs)),
    pauses: pauses.length,
    pauseMsMax: worst(pauses),
  });
  await writeFigures();
}

const describeWhere = QEMU === null ? describe.skip : describe;

describeWhere('a guest that is recorded runs on after', () => {
  test.each([
    ...dealt(sampleOf(Object.keys(KILLS), 6)),
    ...dealt(sampleOf(Object.keys(FREEZES), 6)),
  ])(
    '%s',
    async (name, instants) => {
      const fault = (KILLS[name] ?? FREEZES[name])!;
      const ticked: Ticked[] = [];
      recorded.watch.takePauses();
      for (const instant of instants) {
        const recorder = await recordUntil(instant);
        await fault({ recorder, guest: recorded.guest });
        ticked.push(await bothTickOn());
        await lookAtClocks();
      }
      expect(ticked).toHaveLength(instants.length);
      await expectUnharmed(name, ticked);
    },
    GUEST_TIMEOUT_MS + Number(LONG ?? 0) * 15_000,
  );

  // It takes half a minute until a monitor is taken for silent: the long run waits for it.
  testLong.each(dealt(['a monitor that fell silent'], Number(LONG ?? 0) / 20))(
    '%s',
    async (name, instants) => {
      const ticked: Ticked[] = [];
      recorded.watch.takePauses();
      const path = join(folder.path, 'relay.qmp');
      const relay = await MonitorRelay.start(path, recorded.guest.qmpPath);
      for (const instant of instants) {
        const recorder = await recordUntil(instant, path);
        relay.silence();
        ticked.push(await bothTickOn());
        const { exitCode, stderr } = await recorder.ended;
        const said = /no answer to \S+ within 30000 ms; is QEMU stopped\?.*QMP_UNREACHABLE/u;
        expect([exitCode, stderr]).toEqual([6, expect.stringMatching(said)]);
        ticked.push(await bothTickOn());
        await lookAtClocks();
        relay.speak();
        // Its guard puts QEMU back to what it was once it is answered.
        while (!isDeepStrictEqual(await recorded.guest.settings(), before)) await delay(50);
      }
      await relay.close();
      await expectUnharmed(name, ticked);
    },
    GUEST_TIMEOUT_MS + Number(LONG ?? 0) * 5_000,
  );

  test('all of these, with the lines of the control: none is missing, changed or told again', () => {
    const consoles = [recorded.guest.lines(), control.guest.lines()] as const;
    const common = Math.min(...consoles.map((lines) => lines.length));
    expect(common).toBeGreaterThan(20);
    const [found, expected] = consoles.map((lines) => lines.slice(0, common));
    expect(found!.find((line, i) => line !== expected![i])).toBeUndefined();
    for (const lines of consoles)
      expect(lines.find((line, i) => Number.parseInt(line, 16) !== i)).toBeUndefined();
  });

  test('all of these, its clock as far behind as it stood still, and the control not at all', async () => {
    await lookAtClocks();
    const pauses = { recordedMs: recorded.watch.stoodMs, controlMs: control.watch.stoodMs };
    const clocks = { recorded: recorded.watch.drift, control: control.watch.drift };
    expect(pauses.controlMs).toBe(0);
    const unseenMs = ({ withinMs }: { withinMs: number }): number => withinMs + TOLD_WITHIN_MS;
    expect(Math.abs(clocks.control.behindMs)).toBeLessThan(unseenMs(clocks.control));
    const told = figures.reduce((sum, figure) => sum + Number(figure['pauses']), 0);
    expect(Math.abs(clocks.recorded.behindMs - pauses.recordedMs)).toBeLessThan(
      unseenMs(clocks.recorded) + told * TOLD_WITHIN_MS,
    );
  });
});
