// Who reads a point page by page holds it: nothing that is forgotten or compacted takes pages from
// under him, for as long as he lives and has not let go.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  compact,
  copyLedger,
  dropVm,
  endDeadLeases,
  endLease,
  fingerprint,
  forgetHistory,
  forgetPoints,
  holdPoint,
  isRefused,
  leasesOf,
  recordRestored,
  verify,
  type HeldPoint,
  type Ledger,
  type OpenLedgerOptions,
  type VmPoint,
} from '../../../index.ts';
import { pointsStream } from '../../../domain/events/streams.ts';
import { decidePoints } from '../../../domain/points.ts';
import { fileFailure } from '../../../adapters/files/failures.ts';
import type { FilePort } from '../../../adapters/files/file-port.ts';
import { nodeFiles } from '../../../adapters/files/files.ts';
import { thisHolder } from '../../../adapters/files/processes.ts';
import type { Holder } from '../../../domain/values/lease.ts';
import { LedgerCommands } from '../../support/command-line.ts';
import { makeImage } from '../../support/images.ts';
import { holdInProcess } from '../../support/processes/point-holder.ts';
import {
  eventsOf,
  recordFiles,
  restored,
  withLedger,
  writeImages,
} from '../../support/ledgers/recorded-images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const MIX = { zero: 0, text: 0, random: 1, repeated: 0, duplicate: 0 };
const IMAGES = [1, 2, 3, 4].map((seed) => makeImage({ seed, pages: 64, mix: MIX }));
const NOW = { graceMs: 0, isDryRun: false } as const;
const KEEP_LAST = { keep: { last: 1 } } as const;

let folder: TemporaryFolder;
let url: string;
beforeEach(async () => {
  folder = await makeTemporaryFolder();
  url = join(folder.path, 'ledger');
  const files = writeImages({ folder: folder.path, name: 'image', images: IMAGES });
  await withLedger({ url, mode: 'create' }, (ledger) => recordFiles(ledger, { vm: 'web', files }));
});
afterEach(() => folder.remove());

const written = <A>(
  work: (ledger: Ledger) => Promise<A>,
  options: Partial<OpenLedgerOptions> = {},
) => withLedger<A>({ url, mode: 'write', ...options }, work);

const pointOf = (ledger: Ledger, at: string): VmPoint => {
  const entry = ledger.vm('web');
  return { entry, row: ledger.resolve(entry, at) };
};

const hold = (ledger: Ledger, at: string): Promise<HeldPoint> =>
  holdPoint(ledger, pointOf(ledger, at), { kind: 'mount' });

const keptOf = (ledger: Ledger): number[] => {
  const entry = ledger.vm('web');
  return entry.captures.flatMap(({ capture }) => (entry.isForgotten(capture) ? [] : [capture]));
};

const isWhole = async (ledger: Ledger, capture: number): Promise<boolean> => {
  const bytes = await restored(ledger, { vm: 'web', at: `@${capture}`, folder: folder.path });
  return bytes.equals(IMAGES[capture - 1]!);
};

/** Leases a point in the name of another process. */
const leaseFor = (ledger: Ledger, holder: Holder, lease: string): Promise<unknown> =>
  ledger.decide(pointsStream('web'), () =>
    decidePoints(ledger.vm('web').points)({
      _tag: 'LeasePoint',
      vm: 'web',
      capture: 2,
      newest: 4,
      lease,
      kind: 'server',
      ledger: ledger.id!,
      holder,
    }),
  );

const LEASE = 'aaaaaaaaaaaaaaaa';

describe('a point that is held', () => {
  test('stays through forgetting, compaction without grace and history that goes', () =>
    written(async (ledger) => {
      const held = await hold(ledger, '@2');
      const { rows } = await forgetPoints(ledger, KEEP_LAST);
      expect(rows.map(({ capture, isKept }) => [capture, isKept])).toEqual([
        [1, false],
        [2, true],
        [3, false],
        [4, true],
      ]);
      expect(rows[1]!.reason).toMatch(
        new RegExp(`^leased for \\d+s by process ${process.pid} of .+ \\(mount\\)$`, 'u'),
      );
      const history = await forgetHistory(ledger, { isDryRun: false });
      expect(history.cuts).toEqual([{ vm: 'web', capture: 1 }]);
      expect(history.held).toEqual([{ vm: 'web', capture: 2, checkpoints: [], leases: [held.id] }]);
      await compact(ledger, NOW);
      expect(await isWhole(ledger, 2)).toBe(true);
      await held.release();
      expect((await forgetPoints(ledger, KEEP_LAST)).forgotten).toBe(1);
      expect(keptOf(ledger)).toEqual([4]);
      expect((await compact(ledger, NOW)).deleted.packs).toBeGreaterThan(0);
      expect((await verify(ledger, () => undefined)).findings).toEqual([]);
    }));

  test('stays when its VM is dropped, and is forgotten when it is let go', () =>
    written(async (ledger) => {
      const held = await hold(ledger, '@2');
      expect(await dropVm(ledger, 'web')).toEqual([1, 2, 3, 4]);
      await compact(ledger, NOW);
      expect(keptOf(ledger)).toEqual([2]);
      expect(await isWhole(ledger, 2)).toBe(true);
      await held.release();
      expect(keptOf(ledger)).toEqual([]);
      await compact(ledger, NOW);
      expect((await ledger.storedBytes()).storedBytes).toBe(0);
    }));

  test('is read on by who had it open, whoever forgets and compacts meanwhile', () =>
    withLedger({ url, mode: 'use' }, async (reader) => {
      await hold(reader, '@2');
      await written(async (other) => {
        await forgetPoints(other, KEEP_LAST);
        await compact(other, NOW);
      });
      expect(await isWhole(reader, 2)).toBe(true);
    }));

  test('twice is held until both have let go', () =>
    written(async (ledger) => {
      const [one, other] = [await hold(ledger, '@2'), await hold(ledger, '@2')];
      expect(one.id).not.toBe(other.id);
      await one.release();
      await one.release();
      await forgetPoints(ledger, KEEP_LAST);
      expect(keptOf(ledger)).toEqual([2, 4]);
      await other.release();
      await forgetPoints(ledger, KEEP_LAST);
      expect(keptOf(ledger)).toEqual([4]);
    }));

  test('cannot be one that was forgotten meanwhile', () =>
    withLedger({ url, mode: 'use' }, async (reader) => {
      const point = pointOf(reader, '@2');
      await written((other) => forgetPoints(other, KEEP_LAST));
      const refused = await holdPoint(reader, point, { kind: 'server' }).catch(
        (thrown: unknown) => thrown,
      );
      expect(isRefused(refused) && refused.refusal._tag).toBe('PointForgotten');
    }));

  test('is found again by who folds the log anew, and by who goes on from a state', async () => {
    const id = await withLedger(
      { url, mode: 'use' },
      async (ledger) => (await hold(ledger, '@2')).id,
    );
    const leases = () =>
      withLedger({ url, mode: 'read' }, async (ledger) =>
        leasesOf(ledger.vms()).map(({ lease, vm, capture, fate }) => [lease, vm, capture, fate]),
      );
    const expected = [[id, 'web', 2, 'alive']];
    expect(await leases()).toEqual(expected);
    await written((ledger) => ledger.state.rebuild());
    expect(await leases()).toEqual(expected);
    // A baseline stands for the events that said so.
    await written(async (ledger) => {
      await forgetPoints(ledger, KEEP_LAST);
      await forgetHistory(ledger, { isDryRun: false });
    });
    expect(await leases()).toEqual(expected);
  });
});

describe('a holder', () => {
  test('that is killed holds nothing for whoever forgets next', async () => {
    const holder = await holdInProcess({ url, vm: 'web', at: '@2', kind: 'resume' });
    await written((ledger) => forgetPoints(ledger, KEEP_LAST));
    await written(async (ledger) => {
      expect(keptOf(ledger)).toEqual([2, 4]);
      const [lease] = leasesOf(ledger.vms());
      expect(lease).toMatchObject({ lease: holder.id, kind: 'resume', fate: 'alive' });
    });
    await holder.kill();
    await written(async (ledger) => {
      const dry = await forgetPoints(ledger, { ...KEEP_LAST, isDryRun: true });
      expect(dry.rows.find(({ capture }) => capture === 2)).toMatchObject({ isKept: false });
      expect(leasesOf(ledger.vms())).toHaveLength(1);
      const { rows } = await forgetPoints(ledger, KEEP_LAST);
      expect(rows.find(({ capture }) => capture === 2)).toMatchObject({ isKept: false });
      expect(leasesOf(ledger.vms())).toEqual([]);
      const [ended] = await eventsOf(ledger, { type: 'LeaseEnded' });
      expect(ended?.facts).toMatchObject({ lease: holder.id, why: 'died' });
    });
  });

  test('that is killed holds nothing of a dropped VM for whoever compacts next', async () => {
    const holder = await holdInProcess({ url, vm: 'web', at: '@2', kind: 'mount' });
    await written((ledger) => dropVm(ledger, 'web'));
    await holder.kill();
    await written(async (ledger) => {
      await compact(ledger, { ...NOW, isDryRun: true });
      expect(keptOf(ledger)).toEqual([2]);
      await compact(ledger, NOW);
      expect(keptOf(ledger)).toEqual([]);
      expect((await ledger.storedBytes()).storedBytes).toBe(0);
    });
  });

  test('that lets go ends its lease itself', async () => {
    const holder = await holdInProcess({ url, vm: 'web', at: '@2', kind: 'mount' });
    await holder.release();
    await withLedger({ url, mode: 'read' }, async (ledger) => {
      const [ended] = await eventsOf(ledger, { type: 'LeaseEnded' });
      expect(ended?.facts).toMatchObject({ lease: holder.id, why: 'released' });
    });
  });

  test('of another host holds, however long it is away, until somebody ends the lease', () =>
    written(
      async (ledger) => {
        const elsewhere = { ...thisHolder(), host: 'other', boot: 'another', machine: 'other' };
        await leaseFor(ledger, elsewhere, LEASE);
        expect(await endDeadLeases(ledger)).toEqual([]);
        await forgetPoints(ledger, KEEP_LAST);
        expect(keptOf(ledger)).toEqual([2, 4]);
        expect(await endLease(ledger, LEASE)).toMatchObject({ vm: 'web', fate: 'elsewhere' });
        await forgetPoints(ledger, KEEP_LAST);
        expect(keptOf(ledger)).toEqual([4]);
      },
      { clock: () => 4e12 },
    ));

  test('of this host before it started anew has died', () =>
    written(async (ledger) => {
      const before = { ...thisHolder(), boot: 'an earlier start', machine: 'm' };
      await leaseFor(ledger, before, LEASE);
      const here = leasesOf(ledger.vms())[0]!;
      const isKnown = thisHolder().machine !== null;
      expect(here.fate).toBe('elsewhere');
      await leaseFor(ledger, { ...before, machine: thisHolder().machine }, 'bbbbbbbbbbbbbbbb');
      expect((await endDeadLeases(ledger)).map(({ lease }) => lease)).toEqual(
        isKnown ? ['bbbbbbbbbbbbbbbb'] : [],
      );
    }));
});

describe('a copy', () => {
  test('holds nothing, and is the same otherwise', () =>
    written(async (ledger) => {
      await hold(ledger, '@2');
      await forgetPoints(ledger, KEEP_LAST);
      await withLedger({ url: join(folder.path, 'copy'), mode: 'create' }, async (copy) => {
        const { fingerprint: print } = await copyLedger({ from: ledger, to: copy });
        expect(print).toBe(await fingerprint(ledger));
        expect(leasesOf(copy.vms())).toEqual([]);
        await forgetPoints(copy, KEEP_LAST);
        expect(keptOf(copy)).toEqual([4]);
      });
    }));

  test('of a ledger whose history and VM went holds nothing either', () =>
    written(async (ledger) => {
      await hold(ledger, '@2');
      await forgetPoints(ledger, KEEP_LAST);
      await forgetHistory(ledger, { isDryRun: false });
      await dropVm(ledger, 'web');
      expect(keptOf(ledger)).toEqual([2]);
      await withLedger({ url: join(folder.path, 'copy'), mode: 'create' }, async (copy) => {
        const { fingerprint: print } = await copyLedger({ from: ledger, to: copy });
        expect(print).toBe(await fingerprint(ledger));
        expect(keptOf(copy)).toEqual([]);
        expect((await verify(copy, () => undefined)).findings).toEqual([]);
      });
    }));
});

describe('the command line', () => {
  test('shows who holds what, and what forgetting keeps for it', async () => {
    const commands = new LedgerCommands(url);
    const holder = await holdInProcess({ url, vm: 'web', at: '@2', kind: 'server' });
    const [row] = await commands.json('leases');
    expect(row).toMatchObject({ id: holder.id, vm: 'web', capture: 2, kind: 'server' });
    expect(row).toMatchObject({ process: holder.processId, host: thisHolder().host });
    expect(row!['since']).toMatch(/^20\d\d-.*Z$/u);
    const dry = await commands.run(['forget', '--keep-last', '1', '--dry-run']);
    expect(dry.stdout.toString()).toMatch(
      new RegExp(`stays +leased for \\d+\\w by process ${holder.processId} of`, 'u'),
    );
    const dropped = await commands.run(['drop', '--vm', 'web']);
    expect(dropped.stdout.toString()).toContain('web@2 is leased');
    await holder.kill();
    const after = await commands.run(['leases']);
    expect(after.stderr).toContain(`lease ${holder.id} of web@2 has ended`);
    expect(await commands.json('leases')).toEqual([]);
  });

  test('ends a lease by its name, and says of one whose holder goes on what that may do', async () => {
    const commands = new LedgerCommands(url);
    const holder = await holdInProcess({ url, vm: 'web', at: '@2', kind: 'mount' });
    const ended = await commands.run(['lease', '--end', holder.id]);
    expect(ended.exitCode).toBe(0);
    expect(ended.stderr).toContain(`process ${holder.processId} goes on`);
    const again = await commands.run(['lease', '--end', holder.id]);
    expect(again.exitCode).toBe(5);
    expect(again.stderr).toContain('no point is held by a lease');
    await holder.release();
  });

  test('says of memory that was given back who took it, when and how', async () => {
    const commands = new LedgerCommands(url);
    const path = join(folder.path, 'memory.raw');
    await commands.run(['restore', '--vm', 'web', '--at', '@3', '--to', path]);
    await commands.run(['restore', '--vm', 'web', '--at', '@1', '--to', '-']);
    const rows = await commands.json('log', '--type', 'CheckpointRestored');
    expect(rows.map(({ vm, capture, how, to }) => [vm, capture, how, to])).toEqual([
      ['web', 3, 'file', path],
      ['web', 1, 'pipe', null],
    ]);
    for (const row of rows) expect(row['by']).toMatchObject({ host: thisHolder().host });
    expect(readFileSync(path).equals(IMAGES[2]!)).toBe(true);
  });
});

describe('a ledger that is only read', () => {
  test('is read without a lease, which is said once, and takes no note of it', async () => {
    const notices: string[] = [];
    const onNotice = (sentence: string): void => void notices.push(sentence);
    await withLedger({ url, mode: 'read', onNotice }, async (ledger) => {
      for (const at of ['@2', '@3']) {
        const held = await hold(ledger, at);
        expect(held.id).toBeNull();
        await held.release();
      }
      expect(notices.filter((sentence) => sentence.includes('forgets or compacts'))).toHaveLength(
        1,
      );
      const untraced = () => notices.filter((sentence) => sentence.includes('--trace'));
      expect(untraced()).toEqual([]);
      for (const at of ['@2', '@3'])
        await holdPoint(ledger, pointOf(ledger, at), { kind: 'resume' });
      expect(untraced()).toEqual([expect.stringContaining('what guests ask for')]);
      expect(await isWhole(ledger, 2)).toBe(true);
      expect(await eventsOf(ledger, { type: 'CheckpointRestored' })).toEqual([]);
    });
  });

  test('by who may not write is read all the same, and says nothing', async () => {
    const files: FilePort = {
      ...nodeFiles,
      open: (path, mode) =>
        mode === 'read'
          ? nodeFiles.open(path, mode)
          : Promise.reject(fileFailure({ code: 'EACCES' }, { operation: 'open', path })),
    };
    await withLedger({ url, mode: 'use', files }, async (ledger) => {
      const { entry, row } = pointOf(ledger, '@3');
      await recordRestored(ledger, { entry, row }, { how: 'nbd' });
      expect((await hold(ledger, '@3')).id).toBeNull();
      expect(await eventsOf(ledger, { type: 'CheckpointRestored' })).toEqual([]);
      const table = await ledger.state.tables.at(entry, ledger.state.contents, row);
      expect(table).toHaveLength(64);
    });
  });
});
