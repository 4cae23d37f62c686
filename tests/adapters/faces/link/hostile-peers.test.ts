// Peers that lie about lengths, counts, versions or content, that speak out of turn or flood: each is
// dropped with a reason, nothing that it sent is used, and the next one is served.

import { connect } from 'node:net';
import { deflateRawSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  FRAME_BYTES_MAX,
  frameBytes,
  KINDS,
  type Link,
} from '../../../../adapters/faces/link/frames.ts';
import { askTarget, greet } from '../../../../adapters/faces/link/source.ts';
import { moveGuest } from '../../../../adapters/faces/link/move.ts';
import {
  announcedBody,
  BODIES,
  bodyOf,
  LINK_MAGIC,
  pagesBody,
  patchesBody,
  readBody,
} from '../../../../adapters/faces/link/messages.ts';
import { UNKNOWN_ASKS_MAX } from '../../../../adapters/faces/link/unknown-asks.ts';
import { drawMigration } from '../../../../adapters/wiring/hosts/migrations.ts';
import { PAGE_BYTES } from '../../../../domain/values/page.ts';
import { flatMap } from '../../../../domain/values/memory-map.ts';
import { openLedger, type Ledger } from '../../../../index.ts';
import { makeImage } from '../../../support/images.ts';
import {
  linkTo,
  siblingOf,
  taking,
  type TakingLedger,
} from '../../../support/ledgers/linked-ledgers.ts';
import { recordFiles, writeImages } from '../../../support/ledgers/recorded-images.ts';
import { itemsOf } from '../../../support/logs/log-events.ts';
import {
  makeTemporaryFolder,
  type TemporaryFolder,
} from '../../../support/disks/temporary-folder.ts';

const PAGES = 8;
let folder: TemporaryFolder;
let source: Ledger;
let target: TakingLedger;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
  source = await openLedger({ url: 'memory:', mode: 'create', threads: 0 });
  const mix = { zero: 0, text: 0, random: 1, repeated: 0, duplicate: 0 };
  const images = [makeImage({ seed: 1, pages: PAGES, mix })];
  const files = writeImages({ folder: folder.path, name: 'web', images });
  await recordFiles(source, { vm: 'web', files });
  target = await taking(await siblingOf(source), `${folder.path}/two.sock`);
});
afterAll(async () => {
  await target.close();
  await target.ledger.close();
  await source.close();
  await folder.remove();
});

const hello = (version = 2) => bodyOf({ magic: LINK_MAGIC, version, host: 'one', ledger: null });

/** An offer of a VM that is to go from one to two, or not. */
function offer(
  of: { readonly pages?: number; readonly from?: string; readonly hasDevice?: boolean } = {},
) {
  const { pages = PAGES, from = 'one', hasDevice = false } = of;
  const { group } = source.vm('web').state.registered!;
  return bodyOf({
    migration: {
      vm: 'evil',
      migration: drawMigration(),
      capture: 1,
      from,
      to: 'two',
      kind: 'point',
    },
    offered: {
      vm: 'evil',
      capture: 1,
      group,
      keyCheck: source.state.catalogue.facts.groups.get(group),
      memoryMap: flatMap(PAGES),
      argv: null,
      timeMs: 0,
      pauseMs: null,
      mode: 'image',
      source: 'made up',
      pages,
      hasDevice,
    },
  });
}

const contents = (count: number, first = 0) =>
  announcedBody({
    firstPage: first,
    kinds: new Uint8Array(count).fill(1),
    identifiers: new Uint8Array(32 * count).fill(7),
  });
const PAGE = new Uint8Array(PAGE_BYTES).fill(1).map((_, i) => (i * 31) & 0xff);

const FACTS = bodyOf({
  host: 'one',
  address: null,
  cores: 1,
  memoryBytes: 1,
  cpu: 'any',
  features: [],
  qemu: null,
  distances: [],
});

type Sent = readonly [keyof typeof KINDS, Uint8Array | (() => Uint8Array)];

/** What the target answers at last to a peer that says hello and then this. */
async function answerTo(link: Link, sent: readonly Sent[]): Promise<string> {
  for (const [kind, body] of sent)
    await link.send(kind, typeof body === 'function' ? body() : body).catch(() => undefined);
  for (;;) {
    // One that was dropped while it sent may not hear why any more; the host says it as well.
    const frame = await link.next().catch(() => null);
    if (frame === null) return target.told.at(-1) ?? 'nothing was said';
    if (frame.kind !== 'refused') continue;
    const { code, message } = readBody(BODIES.refused, frame.body);
    return `${code}: ${message}`;
  }
}

const said = (...sent: readonly Sent[]): Promise<string> => saidTo(target.path, sent);

async function saidTo(path: string, sent: readonly Sent[]): Promise<string> {
  const link = await linkTo(path);
  try {
    return await answerTo(link, sent);
  } finally {
    link.close();
  }
}

const OFFERED: readonly Sent[] = [
  ['hello', hello()],
  ['offer', () => offer()],
];

describe('a peer', () => {
  test.each<readonly [string, readonly Sent[], RegExp]>([
    ['of another version', [['hello', hello(1)]], /version 1/u],
    ['that does not say who it is', [['offer', () => offer()]], /offer came where hello/u],
    ['that says hello in no words', [['hello', Uint8Array.of(0xff, 1)]], /not JSON/u],
    [
      'that speaks out of turn',
      [
        ['hello', hello()],
        ['pages', pagesBody(0, PAGE)],
      ],
      /out of turn/u,
    ],
    ['that answers what nobody asked', [...OFFERED, ['recorded', bodyOf({})]], /out of turn/u],
    [
      'that offers for another',
      [
        ['hello', hello()],
        ['offer', () => offer({ from: 'three' })],
      ],
      /offers what/u,
    ],
    [
      'whose memory has other pages',
      [
        ['hello', hello()],
        ['offer', () => offer({ pages: 9 })],
      ],
      /9 pages of a memory of 8/u,
    ],
    [
      'that announces from the middle',
      [...OFFERED, ['identifiers', contents(4, 3)]],
      /pages from 3/u,
    ],
    ['that announces too much', [...OFFERED, ['identifiers', contents(9)]], /9 pages from 0/u],
    [
      'that announces nothing',
      [...OFFERED, ['identifiers', Uint8Array.of(0, 0, 0, 0, 0, 0)]],
      /0 pages announced/u,
    ],
    [
      'whose identifiers are cut',
      [...OFFERED, ['identifiers', contents(8).subarray(0, 50)]],
      /bytes of identifiers/u,
    ],
    [
      'that announces a page of no kind',
      [
        ...OFFERED,
        [
          'identifiers',
          announcedBody({ firstPage: 0, kinds: Uint8Array.of(9), identifiers: new Uint8Array(0) }),
        ],
      ],
      /kind 9/u,
    ],
    [
      'that has sent nothing, and announces a page as it was',
      [
        ...OFFERED,
        [
          'identifiers',
          announcedBody({ firstPage: 0, kinds: Uint8Array.of(3), identifiers: new Uint8Array(0) }),
        ],
      ],
      /has sent nothing before/u,
    ],
    [
      'that sends what was not asked for',
      [...OFFERED, ['pages', pagesBody(0, PAGE)]],
      /not asked for/u,
    ],
    [
      'that sends other content than it announced',
      [...OFFERED, ['identifiers', contents(8)], ['pages', pagesBody(2, PAGE)]],
      /page 2 is not the content/u,
    ],
    [
      'that says it is done and is not',
      [...OFFERED, ['identifiers', contents(8)], ['sent', new Uint8Array(0)]],
      /page 0 was asked for/u,
    ],
    [
      'that announces less than it offered',
      [...OFFERED, ['identifiers', contents(4)], ['sent', new Uint8Array(0)]],
      /asked for|4 of 8/u,
    ],
    [
      'whose pages are more than they say',
      [
        ...OFFERED,
        ['identifiers', contents(8)],
        [
          'pages',
          Buffer.concat([Uint8Array.of(0, 0, 0, 0, 1, 1), deflateRawSync(new Uint8Array(2 ** 24))]),
        ],
      ],
      /inflated/u,
    ],
    [
      'whose pages cannot be inflated',
      [...OFFERED, ['pages', Uint8Array.of(0, 0, 0, 0, 1, 1, 255, 255)]],
      /inflated/u,
    ],
    [
      'that counts pages wrongly',
      [...OFFERED, ['pages', Uint8Array.of(0, 0, 0, 0, 200, 0, 1)]],
      /200 pages/u,
    ],
    [
      'that sends a patch of what none was asked for',
      [...OFFERED, ['identifiers', contents(8)], ['patches', patchesBody(Uint32Array.of(2), PAGE)]],
      /patch of page 2/u,
    ],
    [
      'that counts patches wrongly',
      [...OFFERED, ['patches', Uint8Array.of(65, 0, 1, 2, 3)]],
      /65 patches/u,
    ],
    [
      'whose patches are more than they say',
      [
        ...OFFERED,
        [
          'patches',
          Buffer.concat([Uint8Array.of(1, 1, 0, 0, 0, 0), deflateRawSync(new Uint8Array(2 ** 24))]),
        ],
      ],
      /inflated/u,
    ],
    [
      'that says more than that it is there',
      [...OFFERED, ['alive', Uint8Array.of(1)]],
      /that it is there/u,
    ],
    [
      'that floods with signs of life',
      [...OFFERED, ...Array.from({ length: 500 }, (): Sent => ['alive', new Uint8Array(0)])],
      /481 times/u,
    ],
    [
      'with a part of a device that there is not',
      [...OFFERED, ['device', Uint8Array.of(7, 1)]],
      /device state/u,
    ],
    [
      'that floods with device state',
      [
        ...OFFERED,
        ...Array.from({ length: 40 }, (): Sent => ['device', new Uint8Array(FRAME_BYTES_MAX)]),
      ],
      /a device state in/u,
    ],
    [
      'whose pieces of a device have nothing in them',
      [...OFFERED, ['device', Uint8Array.of(1)]],
      /a device state with nothing in it/u,
    ],
    [
      'whose pieces of what it holds have nothing in them',
      [
        ['hello', hello()],
        ['contents', FACTS],
        ['part', new Uint8Array(0)],
      ],
      /what it holds with nothing in it/u,
    ],
    [
      'that hands over what never came',
      [
        ['hello', hello()],
        ['handOver', bodyOf({ vm: 'evil', migration: 'a'.repeat(16) })],
      ],
      /nothing came|not under way/u,
    ],
  ])('%s is told why, and dropped', async (_what, sent, why) => {
    const answer = await said(...sent);
    expect(answer).toMatch(why);
    expect(target.ledger.vms()).toEqual([]);
  });

  test.each([
    ['a message without end', Uint8Array.of(0xff, 0xff, 0xff, 0x7f, KINDS.hello)],
    ['a message of no kind', Uint8Array.of(0, 0, 0, 0, 99)],
  ])('that sends %s is dropped before anything is read', async (_what, bytes) => {
    const socket = connect(target.path);
    const got: Buffer[] = [];
    socket.on('data', (data: Buffer) => got.push(data));
    socket.end(bytes);
    await new Promise((resolve) => {
      socket.once('close', resolve);
    });
    expect(Buffer.concat(got).toString()).toMatch(/LINK_INVALID/u);
  });

  test('that asks and asks has so many answers written down, and each of them once', async () => {
    const ask = async (migration: string): Promise<string> => {
      const link = await linkTo(target.path);
      try {
        await greet(link, { from: 'one', to: 'two', ledger: null });
        return await askTarget(link, { vm: 'evil', migration });
      } catch (thrown) {
        return String(thrown);
      } finally {
        link.close();
      }
    };
    const failed = async (): Promise<number> =>
      (await itemsOf(target.ledger.log)).filter(
        (item) => item._tag === 'event' && item.event.type === 'MigrationFailed',
      ).length;
    const before = await failed();
    const migrations = Array.from({ length: UNKNOWN_ASKS_MAX + 3 }, drawMigration);
    const answers: string[] = [];
    for (const migration of migrations) answers.push(await ask(migration));
    expect(await failed()).toBe(before + UNKNOWN_ASKS_MAX);
    expect(answers.map((answer) => answer !== 'failed' && /too many/u.test(answer))).toEqual(
      migrations.map((_, i) => i >= UNKNOWN_ASKS_MAX),
    );
    // What is known is answered, however often.
    for (let i = 0; i < 5; i += 1) expect(await ask(migrations[0]!)).toBe('failed');
    expect(await failed()).toBe(before + UNKNOWN_ASKS_MAX);
  });

  test('that sends now and then a byte is dropped, and holds nothing up for ever', async () => {
    const slow = await taking(await siblingOf(source), `${folder.path}/slow.sock`, {
      pace: { patienceMs: 2000, bytesASecond: 2 ** 14 },
    });
    const socket = connect(slow.path);
    socket.on('error', () => undefined);
    const closed = new Promise((resolve) => {
      socket.once('close', resolve);
    });
    socket.write(frameBytes('hello', hello()));
    socket.write(frameBytes('offer', offer()));
    // The head of a message of 1,000 bytes, which come one by one.
    socket.write(Uint8Array.of(0xe8, 3, 0, 0, KINDS.identifiers));
    const drip = setInterval(() => socket.write(Uint8Array.of(1)), 20);
    try {
      await closed;
      expect(await saidTo(slow.path, [...OFFERED, ['identifiers', contents(4, 3)]])).toMatch(
        /pages from 3/u,
      );
      expect(slow.told[0]).toMatch(/too slow/u);
    } finally {
      clearInterval(drip);
      await slow.close();
      await slow.ledger.close();
    }
  });

  test('that is honest is served afterwards', async () => {
    const entry = source.vm('web');
    const { phase } = await moveGuest({
      ledger: source,
      vm: 'web',
      migration: drawMigration(),
      from: 'one',
      to: 'two',
      point: { entry, row: source.resolve(entry, 'latest') },
      qmp: null,
      reach: () => linkTo(target.path),
      onMoved: () => undefined,
      onTold: () => undefined,
    });
    expect(phase).toBe('completed');
    expect(target.told.filter((sentence) => sentence.startsWith('failure'))).toEqual([]);
  });
});
