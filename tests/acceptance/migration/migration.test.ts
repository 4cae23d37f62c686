// A VM's memory moved from one host's ledger to another's over the link: only what the target has not is
// sent, and whatever breaks off, one of them has the guest.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import * as either from 'fp-ts/lib/Either.js';
import type { FrameKind, Link } from '../../../adapters/faces/link/frames.ts';
import { moveGuest, resolveMove, type MoveRequest } from '../../../adapters/faces/link/move.ts';
import { bodyOf } from '../../../adapters/faces/link/messages.ts';
import {
  greet,
  sendCapture,
  type Moved,
  type Moving,
} from '../../../adapters/faces/link/source.ts';
import { advertise, advertisementOf } from '../../../adapters/wiring/hosts/contents.ts';
import { joinHost } from '../../../adapters/wiring/hosts/hosts.ts';
import { placeGuest } from '../../../adapters/wiring/hosts/placement.ts';
import {
  decideOnMigration,
  drawMigration,
  migrationNow,
  migrationOf,
} from '../../../adapters/wiring/hosts/migrations.ts';
import { decodeControl } from '../../../domain/events/control.ts';
import { runnerOf } from '../../../domain/migrations.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { openLedger, restoreToFile, verify, type Ledger } from '../../../index.ts';
import { makeImage } from '../../support/images.ts';
import {
  linkTo,
  reachLosingHandOver,
  siblingOf,
  taking,
  type TakingLedger,
} from '../../support/ledgers/linked-ledgers.ts';
import { sampleOf } from '../../support/long-run.ts';
import { recordFiles, writeImages } from '../../support/ledgers/recorded-images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const PAGES = 300;
const MIX = { zero: 1, text: 2, random: 4, repeated: 1, duplicate: 1 };
const FIRST = makeImage({ seed: 1, pages: PAGES, mix: MIX });
const OTHER = makeImage({ seed: 2, pages: PAGES, mix: MIX });
/** Half of the first. */
const SOME = FIRST.subarray(0, (PAGES / 2) * PAGE_BYTES);
/** The first, with its first pages from the other. */
const CHANGED = Buffer.concat([
  OTHER.subarray(0, 30 * PAGE_BYTES),
  FIRST.subarray(30 * PAGE_BYTES),
]);

let folder: TemporaryFolder;
let source: Ledger;
let target: TakingLedger;
beforeEach(async () => {
  folder = await makeTemporaryFolder();
  source = await openLedger({ url: 'memory:', mode: 'create', threads: 0 });
  const files = writeImages({ folder: folder.path, name: 'web', images: [FIRST, CHANGED] });
  await recordFiles(source, { vm: 'web', files });
  target = await taking(await siblingOf(source), `${folder.path}/two.sock`);
});
afterEach(async () => {
  await target.close();
  await target.ledger.close();
  await source.close();
  await folder.remove();
});

/** A request to move a point of the VM, and what is told of it. */
function requestOf(at = 'latest', of: Partial<MoveRequest> = {}) {
  const moved: Moved[] = [];
  const entry = source.vm('web');
  const request: MoveRequest = {
    ledger: source,
    vm: 'web',
    migration: drawMigration(),
    from: 'one',
    to: 'two',
    point: { entry, row: source.resolve(entry, at) },
    qmp: null,
    reach: () => linkTo(target.path),
    onMoved: (one) => moved.push(one),
    onTold: () => undefined,
    ...of,
  };
  return { request, moved };
}

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

async function memoryAt(ledger: Ledger, at: string): Promise<string> {
  const entry = ledger.vm('web');
  const path = `${folder.path}/restored`;
  const point = { entry, row: ledger.resolve(entry, at) };
  await restoreToFile(ledger, point, { format: 'raw', path, isForced: true });
  return digest(readFileSync(path));
}

/** What a ledger's log says was moved. */
async function movedIn({ log }: Ledger): Promise<unknown[]> {
  const moved: unknown[] = [];
  for await (const { items } of log.read({ from: 0n }))
    for (const item of items) {
      if (item._tag === 'damage') continue;
      const event = decodeControl(item.event);
      if (either.isRight(event) && event.right.type === 'RegionsMoved')
        moved.push(event.right.data);
    }
  return moved;
}

describe('a point that is moved', () => {
  test('is whole at the target, and both know who has the guest', async () => {
    const { request, moved } = requestOf('@1');
    expect(await moveGuest(request)).toEqual({ phase: 'completed', downtimeMs: null });
    expect(await memoryAt(target.ledger, '@1')).toBe(digest(FIRST));
    for (const ledger of [source, target.ledger])
      expect(migrationOf(ledger, 'web')).toMatchObject({ phase: 'completed', to: 'two' });
    expect(moved).toHaveLength(1);
    expect(moved[0]!.held).toBe(0);
    expect(moved[0]!.bytes).toBeLessThan(moved[0]!.pages * PAGE_BYTES);
    const { findings } = await verify(target.ledger, () => undefined);
    expect(findings).toEqual([]);
  });

  test('takes from the target what that has, of an earlier capture or of another VM', async () => {
    const files = writeImages({ folder: folder.path, name: 'sibling', images: [FIRST] });
    await recordFiles(target.ledger, { vm: 'sibling', files });
    const { request, moved } = requestOf('@2');
    await moveGuest(request);
    expect(await memoryAt(target.ledger, '@1')).toBe(digest(CHANGED));
    // Of what differs contents are sent once for each page, and patterns always.
    const changed = source.resolve(source.vm('web'), '@2').stored;
    expect(moved[0]!.pages).toBeGreaterThanOrEqual(changed);
    expect(moved[0]!.held).toBeGreaterThan(100);
    expect(moved[0]!.pages).toBeLessThan(120);
  });

  test('is no other guest of that name, which the target has of its own', async () => {
    const files = writeImages({ folder: folder.path, name: 'own', images: [OTHER] });
    await recordFiles(target.ledger, { vm: 'web', files });
    await expect(moveGuest(requestOf().request)).rejects.toMatchObject({
      code: 'LINK_REFUSED',
      facts: { code: 'VM_REGISTERED_ALREADY' },
    });
    expect(await memoryAt(target.ledger, 'latest')).toBe(digest(OTHER));
  });

  test('is known to be there at once, without anything being told', async () => {
    await moveGuest(requestOf().request);
    for (const ledger of [source, target.ledger]) {
      const hardware = { cores: 4, memoryBytes: 2 ** 30, cpu: '', features: [], qemu: '7.2.22' };
      await joinHost(ledger, { host: 'two', address: null, distances: [], hardware });
      const entry = ledger.vm('web');
      const point = { entry, row: ledger.resolve(entry, 'latest') };
      const { hosts } = await placeGuest(ledger, point, { by: 'pages', from: 'one' });
      expect(hosts).toMatchObject([{ host: 'two', moveBytes: 0 }]);
      expect(hosts[0]!.pages).toBeGreaterThan(200);
    }
  });

  test('counts what its target was thought to have, and has not', async () => {
    const hardware = { cores: 4, memoryBytes: 2 ** 30, cpu: '', features: [], qemu: '7.2.22' };
    await joinHost(source, { host: 'two', address: null, distances: [], hardware });
    const entry = source.vm('web');
    const points = [{ entry, row: source.resolve(entry, '@1') }];
    await advertise(source, 'two', await advertisementOf(source, points));
    // Of what it told, the target has what the two captures have in common with the other VM.
    const files = writeImages({ folder: folder.path, name: 'some', images: [SOME] });
    await recordFiles(target.ledger, { vm: 'some', files });
    const { request, moved } = requestOf('@2');
    await moveGuest(request);
    const notes = await movedIn(source);
    expect(notes).toMatchObject([{ capture: 2, stale: moved[0]!.stale }]);
    expect(moved[0]!.stale).toBeGreaterThan(60);
    // What the target never told of was not to be had, and patterns never are.
    expect(moved[0]!.stale).toBeLessThan(moved[0]!.pages - 20);
  });

  test('moves on from where it is, and from nowhere else', async () => {
    await moveGuest(requestOf().request);
    await expect(moveGuest(requestOf().request)).rejects.toMatchObject({
      refusal: { _tag: 'GuestElsewhere', host: 'two' },
    });
  });

  test('is refused by a host that has not the key of its group, and stays', async () => {
    const stranger = await openLedger({ url: 'memory:', mode: 'create', threads: 0 });
    const other = await taking(stranger, `${folder.path}/three.sock`);
    try {
      const { request } = requestOf('latest', { reach: () => linkTo(other.path) });
      await expect(moveGuest(request)).rejects.toMatchObject({
        code: 'LINK_REFUSED',
        facts: { code: 'KEY_MISSING' },
      });
      expect(runnerOf(migrationOf(source, 'web'))).toBe('source');
      expect(stranger.vms()).toEqual([]);
      // Nor is anything written there of what could never come.
      expect(migrationOf(stranger, 'web')).toBeNull();
    } finally {
      await other.close();
      await stranger.close();
    }
  });
});

/** Cuts a link when so many messages were sent or received. */
function cutAfter(link: Link, messages: number): Link {
  let left = messages;
  const send = link.send.bind(link);
  const next = link.next.bind(link);
  const count = (): void => {
    left -= 1;
    if (left < 0) link.close();
  };
  return Object.assign(link, {
    send: (kind: FrameKind, body: Uint8Array) => {
      count();
      return send(kind, body);
    },
    next: () => {
      count();
      return next();
    },
  });
}

/** Messages of a whole migration, hello to completed. */
const MESSAGES = 15;

describe('a link that breaks off', () => {
  const messages = sampleOf(
    Array.from({ length: MESSAGES }, (_, n) => n),
    7,
  );
  test.each(messages)('at message %i leaves the guest with one host', async (message) => {
    let links = 0;
    const reach = async (): Promise<Link> => {
      const link = await linkTo(target.path);
      links += 1;
      return links > 1 ? link : cutAfter(link, message);
    };
    const sides = (): unknown[] =>
      [source, target.ledger].map((ledger) => runnerOf(migrationOf(ledger, 'web')));
    const thrown = await moveGuest(requestOf('latest', { reach }).request).then(
      () => null,
      (failure: unknown) => failure,
    );
    // A target that never heard of it says that the guest is where it was.
    expect([
      ['source', 'source'],
      ['target', 'target'],
    ]).toContainEqual(sides());
    expect(thrown === null).toBe(sides()[0] === 'target');
    if (thrown !== null) await moveGuest(requestOf().request);
    expect(sides()).toEqual(['target', 'target']);
    expect(await memoryAt(target.ledger, 'latest')).toBe(digest(CHANGED));
  });

  test('and a target that cannot be asked leave it in doubt, which asking ends', async () => {
    const reach = reachLosingHandOver(target.path);
    const { request } = requestOf('latest', { reach });
    await expect(moveGuest(request)).rejects.toMatchObject({
      refusal: { _tag: 'MigrationInDoubt' },
    });
    expect(runnerOf(migrationOf(source, 'web'))).toBeNull();
    const { migration } = request;
    const again = requestOf('latest', { migration }).request;
    expect(await resolveMove(again)).toMatchObject({ phase: 'failed' });
    expect(runnerOf(migrationOf(source, 'web'))).toBe('source');
    expect(migrationOf(target.ledger, 'web')).toMatchObject({ phase: 'failed' });
  });
});

test('what is interrupted before the guest was handed over leaves it where it is', async () => {
  const abort = new AbortController();
  const { request } = requestOf('latest', {
    signal: abort.signal,
    reach: async () => {
      const link = await linkTo(target.path);
      const send = link.send.bind(link);
      link.send = async (kind, body) => {
        if (kind === 'sent') abort.abort();
        return send(kind, body);
      };
      return link;
    },
  });
  await expect(moveGuest(request)).rejects.toMatchObject({ code: 'LINK_LOST' });
  expect((await migrationNow(source, 'web'))?.phase).toBe('failed');
  expect(runnerOf(migrationOf(target.ledger, 'web'))).toBe('source');
});

describe('a guest that is handed over', () => {
  /** Begins to move the point to a host, over a link that stays. */
  async function begun(to: string): Promise<{
    readonly link: Link;
    readonly of: { readonly vm: string; readonly migration: string };
  }> {
    const { request } = requestOf();
    const of = { vm: 'web', migration: request.migration };
    const moving = { ...of, capture: 2, from: 'one', to, kind: 'point' };
    const link = await linkTo(target.path);
    await greet(link, { from: 'one', to: 'two', ledger: null });
    if (to === 'two') await sendTo(link, moving);
    else await decideOnMigration(target.ledger, 'web', { _tag: 'StartMigration', ...moving });
    return { link, of };
  }

  const sendTo = async (link: Link, moving: Moving): Promise<void> => {
    await decideOnMigration(source, 'web', { _tag: 'StartMigration', ...moving });
    await sendCapture(source, link, { point: requestOf().request.point!, moving, promised: [] });
  };

  test('a second time while it is started is not started twice', async () => {
    const { link, of } = await begun('two');
    const other = await linkTo(target.path);
    await greet(other, { from: 'one', to: 'two', ledger: null });
    const { ledger } = target;
    const decide = ledger.decide.bind<Ledger['decide']>(ledger);
    let letGo = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    let isReached = (): void => undefined;
    const reached = new Promise<void>((resolve) => {
      isReached = resolve;
    });
    // The first stands still where it writes that it has the guest.
    ledger.decide = async (...args) => {
      isReached();
      await gate;
      return decide(...args);
    };
    await link.send('handOver', bodyOf(of));
    await reached;
    await other.send('handOver', bodyOf(of));
    const refusal = other.next();
    setTimeout(letGo, 200);
    expect(await refusal).toMatchObject({ kind: 'refused' });
    expect(await link.next()).toMatchObject({ kind: 'completed' });
    link.close();
  });

  test.each(['handOver', 'ask'] as const)(
    'to another host of the same log is none of this one (%s)',
    async (kind) => {
      const { link, of } = await begun('three');
      await link.send(kind, bodyOf(of));
      expect(await link.next()).toMatchObject({ kind: 'refused' });
      expect(target.told.at(-1)).toMatch(/to go to host three/u);
      expect((await migrationNow(target.ledger, 'web'))?.phase).toBe('started');
    },
  );
});
