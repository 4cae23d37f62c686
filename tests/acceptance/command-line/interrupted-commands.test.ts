// What long work leaves that is interrupted: a line on what is done and what is left, no packs that no event
// names, and a ledger in which the same command goes on.

import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { repair } from '../../../adapters/wiring/verify/repair.ts';
import { forgetPoints, openLedger, takeCheckpoint, verify, type Ledger } from '../../../index.ts';
import { PACK_PAGES_MAX, PAGE_BYTES } from '../../../domain/values/page.ts';
import { LedgerCommands, type RunningCommand } from '../../support/command-line.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

jest.setTimeout(400_000);

const PAGES = 2 * PACK_PAGES_MAX + 256;
/** How often it is tried to interrupt a command before its end. */
const TRIES = 20;

let folder: TemporaryFolder;
let recorded: string;
const image = randomBytes(PAGES * PAGE_BYTES);

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  recorded = join(folder.path, 'recorded');
  const files = ['first.raw', 'second.raw'].map((name) => join(folder.path, name));
  writeFileSync(files[0]!, image);
  // Every second page is another one then: what the point holds lies apart.
  for (let gfn = 0; gfn < PAGES; gfn += 2) randomBytes(PAGE_BYTES).copy(image, gfn * PAGE_BYTES);
  writeFileSync(files[1]!, image);
  await new LedgerCommands(recorded).json('record', 'image', '--vm', 'vm', ...files);
});
afterAll(() => folder.remove());

const packs = (url: string): string[] =>
  existsSync(join(url, 'packs'))
    ? readdirSync(join(url, 'packs'), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map(({ name }) => name)
        .toSorted()
    : [];

async function opened<A>(url: string, work: (ledger: Ledger) => Promise<A>): Promise<A> {
  const ledger = await openLedger({ url, mode: 'write', threads: 0 });
  try {
    return await work(ledger);
  } finally {
    await ledger.close();
  }
}

/** Packs that no event names. */
const unnamed = (url: string): Promise<string[]> =>
  opened(url, async ({ state }) => {
    await state.catchUp({ heavy: true });
    const { contents, catalogue } = state;
    return packs(url).filter(
      (name) => contents.named(name) === undefined && !catalogue.isOfCheckpoint(name),
    );
  });

const STOP = new Error('it is interrupted');

test('a checkpoint that is interrupted deletes what it had copied', async () => {
  const url = recorded;
  const before = packs(url);
  await opened(url, async (ledger) => {
    // A pack is put by then, or under way.
    const onPages = ({ pages }: { readonly pages: number }): void => {
      if (pages > PACK_PAGES_MAX) throw STOP;
    };
    const request = { vm: 'vm', name: 'named', capture: 2, onPages };
    await expect(takeCheckpoint(ledger, request)).rejects.toBe(STOP);
    expect(ledger.vm('vm').checkpoints).toEqual([]);
  });
  expect(packs(url)).toEqual(before);
});

/** Whether a process has a pack of a ledger open. */
function hasPackOpen(pid: number, url: string): boolean {
  try {
    const open = readdirSync(`/proc/${pid}/fd`);
    return open.some((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith(`${url}/packs/`));
  } catch {
    return false;
  }
}

/** Interrupts a command as soon as something holds; tries again where it had come to its end before. */
async function interrupted(
  start: (attempt: number) => RunningCommand,
  holds: (command: RunningCommand, attempt: number) => boolean,
): Promise<{ readonly stderr: string; readonly attempt: number }> {
  for (let attempt = 1; attempt <= TRIES; attempt += 1) {
    const command = start(attempt);
    const ended = { is: false };
    void command.ended.then(() => (ended.is = true));
    while (!ended.is && !holds(command, attempt)) await sleep(1);
    command.signal('SIGINT');
    const { exitCode, stderr } = await command.ended;
    if (exitCode === 130) return { stderr, attempt };
    expect([exitCode, stderr]).toEqual([0, '']);
  }
  throw new Error('it was never interrupted');
}

test('a copy says how much is copied, and goes on from there', async () => {
  const of = new LedgerCommands(recorded);
  const target = (attempt: number): string => join(folder.path, `copy-${attempt}`);
  const { stderr, attempt } = await interrupted(
    (n) => of.start(['copy', recorded, target(n)]),
    (_, n) => packs(target(n)).length > 0,
  );
  expect(stderr).toMatch(
    /\d MiB of \d+\.\d MiB of packs are copied, which stays; the rest is left/u,
  );
  const again = await of.run(['copy', recorded, target(attempt)]);
  expect([again.exitCode, again.stdout.toString()]).toEqual([
    0,
    expect.stringContaining('the fingerprint of both ledgers is'),
  ]);
});

test('a checkpoint has no name then, and its packs are gone', async () => {
  const url = recorded;
  const of = new LedgerCommands(url);
  let before = 0;
  const { stderr } = await interrupted(
    (n) => {
      before = packs(url).length;
      return of.start(['checkpoint', '--vm', 'vm', '--name', `n${n}`]);
    },
    () => packs(url).length > before,
  );
  expect(stderr).toContain('vm@2 has no name yet: what was copied for it is deleted');
  expect(await unnamed(url)).toEqual([]);
});

test('verify and restore say that nothing was changed, or written', async () => {
  const of = new LedgerCommands(recorded);
  const isReading = (command: RunningCommand): boolean => hasPackOpen(command.pid, recorded);
  const verifying = await interrupted(() => of.start(['verify']), isReading);
  expect(verifying.stderr).toMatch(
    /\d of \d packs are checked, the rest is not, and nothing was changed/u,
  );
  const to = (attempt: number): string => join(folder.path, `back-${attempt}.raw`);
  const restoring = await interrupted((n) => {
    return of.start(['restore', '--vm', 'vm', '--to', to(n)]);
  }, isReading);
  expect(restoring.stderr).toContain('nothing was written to');
  expect(existsSync(to(restoring.attempt))).toBe(false);
  await opened(recorded, async (ledger) => {
    expect((await verify(ledger, () => undefined)).summary.damaged).toBe(0);
  });
});

test('a repair that is interrupted leaves no packs that no event names, and goes on', async () => {
  const url = recorded;
  for (const name of packs(url)) rmSync(join(url, 'packs', name.slice(0, 2), name));
  const of = {
    from: null,
    images: [join(folder.path, 'first.raw'), join(folder.path, 'second.raw')],
    isConfirmed: true,
    onProgress: () => undefined,
  };
  await opened(url, async (ledger) => {
    const onStep = (): void => {
      if (packs(url).length > 0) throw STOP;
    };
    await expect(repair(ledger, { ...of, onStep })).rejects.toBe(STOP);
  });
  expect(packs(url).length).toBeGreaterThan(0);
  expect(await unnamed(url)).toEqual([]);
  await opened(url, async (ledger) => {
    expect((await repair(ledger, of)).summary.damaged).toBe(0);
  });
});

test('forgetting is whole for each VM that it came to', async () => {
  const url = recorded;
  const of = new LedgerCommands(url);
  const first = join(folder.path, 'small.raw');
  for (const byte of [1, 2]) {
    writeFileSync(first, Buffer.alloc(PAGE_BYTES, byte));
    expect((await of.run(['record', 'image', '--vm', 'other', first])).exitCode).toBe(0);
  }
  await opened(url, async (ledger) => {
    const onVm = (forgotten: number): void => {
      if (forgotten > 0) throw STOP;
    };
    const request = { keep: { last: 1 }, onVm };
    await expect(forgetPoints(ledger, request)).rejects.toBe(STOP);
    const [one, two] = ledger.vms();
    expect([one!.isForgotten(1), two!.isForgotten(1)]).toEqual([true, false]);
  });
});
