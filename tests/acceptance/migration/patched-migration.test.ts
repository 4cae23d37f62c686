// A VM's memory moved over the link to a host that has what is like it, or what cannot be read; and moved
// because another host asks for it.

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { moveGuest, type MoveRequest } from '../../../adapters/faces/link/move.ts';
import { askSource, greet, sendCapture, type Moved } from '../../../adapters/faces/link/source.ts';
import { joinHost } from '../../../adapters/wiring/hosts/hosts.ts';
import {
  decideOnMigration,
  drawMigration,
  migrationOf,
} from '../../../adapters/wiring/hosts/migrations.ts';
import { PAGE_BYTES, REGION_PAGES } from '../../../domain/values/page.ts';
import {
  exportGroup,
  importGroup,
  openLedger,
  restoreToFile,
  verify,
  type Ledger,
} from '../../../index.ts';
import type { Link } from '../../../adapters/faces/link/frames.ts';
import type { VmPoint } from '../../../adapters/wiring/ledger/vm-point.ts';
import { makeImage } from '../../support/images.ts';
import {
  linkTo,
  siblingOf,
  taking,
  type TakingLedger,
} from '../../support/ledgers/linked-ledgers.ts';
import { recordFiles, writeImages } from '../../support/ledgers/recorded-images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const PAGES = 300;
const MIX = { zero: 1, text: 2, random: 4, repeated: 1, duplicate: 1 };
const FIRST = makeImage({ seed: 1, pages: PAGES, mix: MIX });
const OTHER = makeImage({ seed: 2, pages: PAGES, mix: MIX });
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

describe('a point that is moved', () => {
  /** A memory with some bytes of some pages changed, and others changed whole. */
  function edited(): Uint8Array {
    const pages = Buffer.from(FIRST);
    for (let gfn = 50; gfn < 90; gfn += 1)
      pages.fill(gfn, gfn * PAGE_BYTES + 8, gfn * PAGE_BYTES + 40);
    pages.set(OTHER.subarray(0, 10 * PAGE_BYTES));
    return pages;
  }

  test('goes as patches where the target has what is alike in its place', async () => {
    const image = edited();
    const images = writeImages({ folder: folder.path, name: 'edited', images: [image] });
    await recordFiles(source, { vm: 'web', files: images });
    const files = writeImages({ folder: folder.path, name: 'sibling', images: [FIRST] });
    await recordFiles(target.ledger, { vm: 'sibling', files });
    const { request, moved } = requestOf('@3');
    await moveGuest(request);
    expect(await memoryAt(target.ledger, '@1')).toBe(digest(image));
    expect(moved[0]!.patched).toBeGreaterThanOrEqual(20);
    expect(moved[0]!.pages - moved[0]!.patched).toBeGreaterThanOrEqual(5);
    // Forty pages with 32 bytes each that differ are far less than one of them.
    expect(moved[0]!.bytes).toBeLessThan(30 * PAGE_BYTES + 300 * 32);
    const { findings } = await verify(target.ledger, () => undefined);
    expect(findings).toEqual([]);
  });

  test('is not sent where the target holds it large', async () => {
    const mix = { zero: 1, text: 0, random: 8, repeated: 0, duplicate: 1 };
    const image = makeImage({ seed: 11, pages: REGION_PAGES + 20, mix });
    const files = writeImages({ folder: folder.path, name: 'large', images: [image] });
    await recordFiles(source, { vm: 'large', files });
    await recordFiles(target.ledger, { vm: 'sibling', files, large: 'all' });
    const entry = source.vm('large');
    const point = { entry, row: source.resolve(entry, 'latest') };
    const { request, moved } = requestOf('latest', { vm: 'large', point });
    await moveGuest(request);
    expect(moved).toMatchObject([{ pages: 0, patched: 0 }]);
    expect(moved[0]!.held).toBeGreaterThan(REGION_PAGES / 2);
    const { findings } = await verify(target.ledger, () => undefined);
    expect(findings).toEqual([]);
    const to = `${folder.path}/large.raw`;
    const arrived = target.ledger.vm('large');
    const row = target.ledger.resolve(arrived, 'latest');
    const as = { format: 'raw', path: to, isForced: true } as const;
    await restoreToFile(target.ledger, { entry: arrived, row }, as);
    expect(digest(readFileSync(to))).toBe(digest(image));
  });

  test('goes as patches of very many pages', async () => {
    const mix = { zero: 0, text: 0, random: 1, repeated: 0, duplicate: 0 };
    const first = makeImage({ seed: 7, pages: 1500, mix });
    const next = Uint8Array.from(first);
    // What is the same in its place tells which memory is like it.
    for (let page = 100; page < 1500; page += 1) next[page * PAGE_BYTES + 9]! ^= 0xff;
    const images = writeImages({ folder: folder.path, name: 'big', images: [first, next] });
    await recordFiles(source, { vm: 'big', files: images });
    await recordFiles(target.ledger, { vm: 'before', files: images.slice(0, 1) });
    const entry = source.vm('big');
    const point = { entry, row: source.resolve(entry, 'latest') };
    const { request, moved } = requestOf('latest', { vm: 'big', point });
    await moveGuest(request);
    expect(moved).toMatchObject([{ pages: 1400, patched: 1400, held: 100 }]);
    // An identifier each, twice, and a few bytes.
    expect(moved[0]!.bytes).toBeLessThan(1500 * 120);
  });

  describe('a second time over one link', () => {
    const [first, next] = [1, 2].map((capture) => () => {
      const entry = source.vm('web');
      return { entry, row: source.resolve(entry, `@${capture}`) };
    }) as [() => VmPoint, () => VmPoint];

    /** Sends the VM's first capture, then its second one. */
    async function sentTwice(before: (link: Link) => void): Promise<readonly [Moved, Moved]> {
      const of = { vm: 'web', migration: drawMigration(), capture: 1 };
      const moving = { ...of, from: 'one', to: 'two', kind: 'live' };
      await decideOnMigration(source, 'web', { _tag: 'StartMigration', ...moving });
      const link = await linkTo(target.path);
      try {
        await greet(link, { from: 'one', to: 'two', ledger: source.id });
        const one = await sendCapture(source, link, { point: first(), moving, promised: [] });
        before(link);
        const points = { point: next(), before: first() };
        return [one, await sendCapture(source, link, { ...points, moving, promised: [] })];
      } finally {
        link.close();
      }
    }

    test('goes as what has changed, and is recorded as that', async () => {
      const [one, two] = await sentTwice(() => undefined);
      expect(one.pages).toBeGreaterThan(200);
      // Of the pages that stayed neither contents nor patterns, nor what they are known by.
      expect(two.pages).toBeLessThanOrEqual(30);
      expect(two.bytes).toBeLessThan(30 * (PAGE_BYTES + 64) + PAGES + 2000);
      expect(target.ledger.vm('web').captures.at(-1)!.written).toBe(next().row.written);
      expect(await memoryAt(target.ledger, '@1')).toBe(digest(FIRST));
      expect(await memoryAt(target.ledger, '@2')).toBe(digest(CHANGED));
      const { findings } = await verify(target.ledger, () => undefined);
      expect(findings).toEqual([]);
    });

    test('is refused where the VM was recorded there meanwhile', async () => {
      const files = writeImages({ folder: folder.path, name: 'else', images: [OTHER] });
      const twice = sentTwice((link) => {
        const send = link.send.bind(link);
        link.send = async (kind, body) => {
          if (kind === 'sent') await recordFiles(target.ledger, { vm: 'web', files });
          return send(kind, body);
        };
      });
      await expect(twice).rejects.toMatchObject({ facts: { code: 'LINK_INVALID' } });
      expect(target.ledger.vm('web').captures).toHaveLength(2);
      expect(await memoryAt(target.ledger, '@2')).toBe(digest(OTHER));
    });
  });

  test('goes back as what has changed since it left', async () => {
    const files = writeImages({ folder: folder.path, name: 'before', images: [FIRST] });
    await recordFiles(target.ledger, { vm: 'web', files });
    const { state } = target.ledger;
    // It was there before, and went.
    for (const command of [
      { _tag: 'StartMigration', capture: 1, from: 'two', to: 'one', kind: 'point' },
      { _tag: 'HandOver', capture: 1 },
      { _tag: 'CompleteMigration', capture: 1, downtimeMs: null },
    ] as const)
      await decideOnMigration(target.ledger, 'web', {
        ...command,
        vm: 'web',
        migration: '00112233445566aa',
      });
    const { request, moved } = requestOf('@2');
    await moveGuest(request);
    expect(moved[0]!.held).toBeGreaterThan(100);
    expect(state.catalogue.vms.get('web')!.captures.at(-1)!.written).toBeLessThanOrEqual(30);
    expect(await memoryAt(target.ledger, '@2')).toBe(digest(CHANGED));
  });

  test('has sent what the target has, and cannot read', async () => {
    const path = `${folder.path}/two`;
    const ledger = await openLedger({ url: path, mode: 'create', threads: 0 });
    await importGroup(ledger, { text: await exportGroup(source, 'default'), where: 'one' });
    const files = writeImages({ folder: folder.path, name: 'sibling', images: [FIRST] });
    await recordFiles(ledger, { vm: 'sibling', files });
    for (const name of readdirSync(`${path}/packs`, { recursive: true, encoding: 'utf8' })) {
      const pack = `${path}/packs/${name}`;
      if (!statSync(pack).isFile()) continue;
      const bytes = readFileSync(pack);
      // One block of many.
      bytes.fill(0xa5, bytes.length >>> 1, (bytes.length >>> 1) + 64);
      writeFileSync(pack, bytes);
    }
    const other = await taking(ledger, `${folder.path}/damaged.sock`);
    try {
      const { request, moved } = requestOf('@1', { reach: () => linkTo(other.path) });
      await moveGuest(request);
      expect(moved[0]!.pages).toBeGreaterThan(0);
      expect(moved[0]!.held).toBeGreaterThan(0);
      expect(await memoryAt(ledger, 'latest')).toBe(digest(FIRST));
    } finally {
      await other.close();
      await ledger.close();
    }
  });
});

describe('a guest that another host asks for', () => {
  const hardware = { cores: 4, memoryBytes: 2 ** 30, cpu: '', features: [], qemu: '7.2.22' };
  let giving: TakingLedger;
  beforeEach(async () => {
    giving = await taking(source, `${folder.path}/one.sock`, {
      host: 'one',
      give: {
        isGiven: (vm) => vm === 'web',
        qmpOf: () => null,
        reach: (address) => linkTo(address.replace('unix:', '')),
      },
    });
    const address = `unix:${target.path}`;
    await joinHost(source, { host: 'two', address, distances: [], hardware });
  });
  afterEach(() => giving.close());

  async function asked(
    of: { readonly vm: string; readonly to: string | null },
    path = giving.path,
  ) {
    const link = await linkTo(path);
    try {
      await greet(link, { from: 'three', to: null, ledger: null });
      return await askSource(link, of);
    } finally {
      link.close();
    }
  }

  test.each(['two', null])('goes where that says, or where it is best (%s)', async (to) => {
    const moved = await asked({ vm: 'web', to });
    expect(moved).toMatchObject({ vm: 'web', to: 'two', captures: 1, downtimeMs: null });
    expect(await memoryAt(target.ledger, 'latest')).toBe(digest(CHANGED));
    expect(migrationOf(source, 'web')).toMatchObject({
      phase: 'completed',
      from: 'one',
      to: 'two',
    });
  });

  test.each<readonly [string, string, string | null, string]>([
    ['that is not given', 'other', null, 'GUEST_NOT_GIVEN'],
    ['that is to go to a host that nobody knows', 'web', 'nine', 'HOST_UNKNOWN'],
    ['that is to go where it is', 'web', 'one', 'HOST_UNKNOWN'],
  ])('%s is refused by name, and stays', async (_what, vm, to, code) => {
    await expect(asked({ vm, to })).rejects.toMatchObject({
      code: 'LINK_REFUSED',
      facts: { code },
    });
    expect(migrationOf(source, 'web')).toBeNull();
  });

  test('is refused by a host that gives none', async () => {
    await expect(asked({ vm: 'web', to: null }, target.path)).rejects.toMatchObject({
      code: 'LINK_REFUSED',
      facts: { code: 'GUEST_NOT_GIVEN' },
    });
  });
});
