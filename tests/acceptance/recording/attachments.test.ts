// What is kept beside a capture: small files, given back byte
// for byte for as long as the capture is kept, whatever becomes of the rest; and notes.

import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  attachmentOfBytes,
  attachmentOfFile,
  attachmentsOf,
  compact,
  copyLedger,
  forgetHistory,
  forgetPoints,
  readyAttachments,
  recordImages,
  takeCheckpoint,
  verify,
  type Attachment,
  type Ledger,
} from '../../../index.ts';
import { repair } from '../../../adapters/wiring/verify/repair.ts';
import { ATTACHMENT_BYTES_MAX } from '../../../domain/values/attachment.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { damagedCaptures } from '../../../projections/questions/affected-points.ts';
import { LedgerCommands } from '../../support/command-line.ts';
import { changeImage, makeImage } from '../../support/images.ts';
import { eventsOf, withLedger, writeImages } from '../../support/ledgers/recorded-images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

let folder: TemporaryFolder;
let url: string;
beforeEach(async () => {
  folder = await makeTemporaryFolder();
  url = join(folder.path, 'ledger');
});
afterEach(() => folder.remove());

const IMAGE = makeImage({ seed: 1, pages: 20 });
/** A small one, one of several pages with zeros among them, and one without bytes. */
const FILES: ReadonlyMap<string, Uint8Array> = new Map([
  ['vmstate', Uint8Array.from(randomBytes(5000))],
  [
    'large',
    Uint8Array.from(
      Buffer.concat([randomBytes(6 * PAGE_BYTES), Buffer.alloc(9000), randomBytes(77)]),
    ),
  ],
  ['empty', new Uint8Array(0)],
]);
const ATTACHMENTS: readonly Attachment[] = [...FILES].map(([name, bytes]) =>
  attachmentOfBytes(name, bytes),
);

let images = 0;

async function record(
  ledger: Ledger,
  of: {
    readonly image: Uint8Array;
    readonly attachments?: readonly Attachment[];
    readonly note?: string;
    readonly vm?: string;
    readonly share?: 'pattern';
  },
): Promise<void> {
  const { image, vm = 'web', share, ...beside } = of;
  const name = `image-${(images += 1)}`;
  const files = writeImages({ folder: folder.path, name, images: [image] });
  const options = { vm, group: null, ...(share === undefined ? {} : { share }) };
  await recordImages(ledger, options, { files, timeMs: null, beside }, () => undefined);
}

async function attached(ledger: Ledger, at: string, vm = 'web'): Promise<Map<string, Uint8Array>> {
  const entry = ledger.vm(vm);
  const found = new Map<string, Uint8Array>();
  for await (const { name, bytes } of attachmentsOf(ledger, {
    entry,
    row: ledger.resolve(entry, at),
  }))
    found.set(name, bytes);
  return found;
}

/** Three captures, of which the second has attachments. */
async function recordThree(ledger: Ledger): Promise<void> {
  await record(ledger, { image: IMAGE });
  const next = changeImage(IMAGE, { seed: 2, changedPages: 5 });
  await record(ledger, { image: next, attachments: ATTACHMENTS, note: 'before the upgrade' });
  await record(ledger, { image: changeImage(next, { seed: 3, changedPages: 5 }) });
}

describe('files beside a capture that are lost', () => {
  const given = (name: string, bytes: Uint8Array): string => {
    const path = join(folder.path, name);
    writeFileSync(path, bytes);
    return path;
  };
  const repaired = (files: readonly string[]) =>
    withLedger({ url, mode: 'write' }, (ledger) =>
      repair(ledger, { from: null, images: files, isConfirmed: true, onProgress: () => undefined }),
    );

  beforeEach(async () => {
    await withLedger({ url, mode: 'create' }, async (ledger) => {
      await record(ledger, { image: IMAGE, attachments: ATTACHMENTS });
    });
    for (const name of readdirSync(join(url, 'packs')))
      rmSync(join(url, 'packs', name), { recursive: true });
  });

  test('are found in the same files, whole pages or not', async () => {
    const image = given('memory', IMAGE);
    const { summary } = await repaired([image]);
    expect(summary.damaged).toBeGreaterThan(0);
    const files = [...FILES].map(([name, bytes]) => given(name, bytes));
    const done = await repaired(files);
    expect(done.healed).toBeGreaterThan(0);
    expect(done.summary.damaged).toBe(0);
    await withLedger({ url, mode: 'read' }, async (ledger) => {
      expect(await attached(ledger, '@1')).toEqual(FILES);
    });
  });

  test('are not found in others of their length, which are refused', async () => {
    const other = Uint8Array.from(FILES.get('vmstate')!);
    other[77]! ^= 1;
    await expect(repaired([given('other', other)])).rejects.toMatchObject({ code: 'SOURCE_SIZE' });
  });
});

describe('files beside a capture', () => {
  test('come back byte for byte: after forgetting, compaction, with nothing derived, from a copy', async () => {
    const whole = async (ledger: Ledger): Promise<void> => {
      expect(await attached(ledger, '@2')).toEqual(FILES);
      expect((await verify(ledger, () => undefined)).findings).toEqual([]);
    };
    await withLedger({ url, mode: 'create' }, async (ledger) => {
      await recordThree(ledger);
      await whole(ledger);
      expect(await attached(ledger, '@1')).toEqual(new Map());
      const { note, attachments } = ledger.vm('web').capture(2)!;
      expect(note).toBe('before the upgrade');
      expect(attachments.map(({ name, bytes }) => [name, bytes])).toEqual(
        [...FILES].map(([name, bytes]) => [name, bytes.length]),
      );
      await forgetPoints(ledger, { vm: 'web', at: ['@1'] });
      await compact(ledger, { graceMs: 0, isDryRun: false });
      await whole(ledger);
    });
    rmSync(join(url, 'projections'), { recursive: true });
    await withLedger({ url, mode: 'write' }, async (ledger) => {
      await whole(ledger);
      await withLedger({ url: join(folder.path, 'copy'), mode: 'create' }, async (copy) => {
        await copyLedger({ from: ledger, to: copy });
        await whole(copy);
        expect(await eventsOf(copy)).toHaveLength((await eventsOf(ledger)).length);
      });
    });
  });

  test('come back when the history before them has gone, also where it had stored the same', async () => {
    const next = changeImage(IMAGE, { seed: 2, changedPages: 5 });
    await withLedger({ url, mode: 'create' }, async (ledger) => {
      await record(ledger, { image: IMAGE, attachments: ATTACHMENTS });
      await record(ledger, { image: next, attachments: ATTACHMENTS });
      await forgetPoints(ledger, { vm: 'web', at: ['@1'] });
      const { cuts } = await forgetHistory(ledger, { isDryRun: false });
      expect(cuts).toEqual([{ vm: 'web', capture: 1 }]);
      await compact(ledger, { graceMs: 0, isDryRun: false });
      expect(await attached(ledger, '@2')).toEqual(FILES);
    });
    rmSync(join(url, 'projections'), { recursive: true });
    await withLedger({ url, mode: 'write' }, async (ledger) => {
      expect(await attached(ledger, '@2')).toEqual(FILES);
      expect((await verify(ledger, () => undefined)).findings).toEqual([]);
      await withLedger({ url: join(folder.path, 'copy'), mode: 'create' }, async (copy) => {
        await copyLedger({ from: ledger, to: copy });
        expect(await attached(copy, '@2')).toEqual(FILES);
      });
    });
  });

  test('are stored once, go with their capture, and are stored anew then', () =>
    withLedger({ url, mode: 'create' }, async (ledger) => {
      const bytes = randomBytes(40 * PAGE_BYTES);
      const attachments = [attachmentOfBytes('state', bytes)];
      const stored = async (): Promise<number> => (await ledger.storedBytes()).storedBytes;
      await record(ledger, { image: IMAGE });
      const before = await stored();
      await record(ledger, { image: IMAGE, attachments });
      const once = await stored();
      expect(once - before).toBeGreaterThan(bytes.length);
      await record(ledger, { image: IMAGE, attachments });
      await record(ledger, { image: IMAGE });
      expect(await stored()).toBe(once);
      const [dry, other] = [['@2'], ['@2', '@3']].map((at) =>
        forgetPoints(ledger, { vm: 'web', at, isDryRun: true }),
      );
      expect((await dry!).bytes).toBe(0);
      expect((await other!).bytes).toBeGreaterThanOrEqual(bytes.length);
      await forgetPoints(ledger, { vm: 'web', at: ['@2', '@3'] });
      await compact(ledger, { graceMs: 0, isDryRun: false });
      expect(await stored()).toBeLessThan(before + PAGE_BYTES);
      await expect(attached(ledger, '@3')).rejects.toThrow(/was forgotten/u);
      await record(ledger, { image: IMAGE, attachments });
      expect((await attached(ledger, 'latest')).get('state')).toEqual(Uint8Array.from(bytes));
    }));

  test('are kept of a VM that shares nothing', () =>
    withLedger({ url, mode: 'create' }, async (ledger) => {
      for (let i = 0; i < 2; i += 1)
        await record(ledger, {
          image: IMAGE,
          vm: 'alone',
          share: 'pattern',
          attachments: ATTACHMENTS,
        });
      for (const at of ['@1', '@2']) expect(await attached(ledger, at, 'alone')).toEqual(FILES);
    }));

  test('are written durably, for the owner alone, and over nothing unless that is said', () =>
    withLedger({ url, mode: 'create' }, async (ledger) => {
      await recordThree(ledger);
      const entry = ledger.vm('web');
      const point = { entry, row: ledger.resolve(entry, '@2') };
      const target = join(folder.path, 'out', 'deep');
      const ready = await readyAttachments(ledger, point, { folder: target, isForced: false });
      expect(readdirSync(target).filter((name) => !name.startsWith('.'))).toEqual([]);
      await ready.place();
      for (const [name, bytes] of FILES) {
        expect(Uint8Array.from(readFileSync(join(target, name)))).toEqual(bytes);
        expect(statSync(join(target, name)).mode & 0o777).toBe(0o600);
      }
      await expect(
        readyAttachments(ledger, point, { folder: target, isForced: false }),
      ).rejects.toMatchObject({ code: 'TARGET_EXISTS' });
      expect(readdirSync(target).toSorted()).toEqual([...FILES.keys()].toSorted());
      writeFileSync(join(target, 'empty'), 'something');
      await (await readyAttachments(ledger, point, { folder: target, isForced: true })).place();
      expect(readFileSync(join(target, 'empty'))).toHaveLength(0);
    }));

  test('that are damaged are named with their capture, whose memory comes back', async () => {
    await withLedger({ url, mode: 'create' }, async (ledger) => {
      await record(ledger, { image: IMAGE });
      await record(ledger, { image: IMAGE, attachments: ATTACHMENTS });
    });
    const packs = await withLedger({ url, mode: 'read' }, (ledger) => eventsOf(ledger));
    const pack = packs.findLast(({ type }) => type === 'PackWritten')!.facts['name'] as string;
    const path = join(url, 'packs', pack.slice(0, 2), pack);
    const bytes = readFileSync(path);
    bytes[bytes.length - 20]! ^= 1;
    writeFileSync(path, bytes);
    await withLedger({ url, mode: 'read' }, async (ledger) => {
      const { findings } = await verify(ledger, () => undefined);
      expect(findings.flatMap(({ affects }) => affects)).toEqual(['web@2 (large)']);
      await expect(attached(ledger, '@2')).rejects.toMatchObject({ code: 'PACK_DAMAGED' });
    });
    // A recorder says in the log that it is lost.
    await withLedger({ url, mode: 'write' }, async (ledger) => {
      await record(ledger, { image: changeImage(IMAGE, { seed: 5, changedPages: 2 }) });
      expect((await damagedCaptures(ledger)).get('web')).toEqual(new Set([2]));
    });
  });

  test('are listed in the log between the device state and the commit', () =>
    withLedger({ url, mode: 'create' }, async (ledger) => {
      await recordThree(ledger);
      const rows = (await eventsOf(ledger)).filter(({ capture }) => capture === 2);
      expect(
        rows.slice(-2).map(({ type, facts }) => [type, facts['pages'] ?? facts['note']]),
      ).toEqual([
        ['AttachmentsWritten', 2 + 9],
        ['CaptureCommitted', 'before the upgrade'],
      ]);
      expect(rows.at(-2)!.place).toContain('/a0@');
    }));
});

describe('what cannot be kept beside a capture', () => {
  test('is refused with nothing recorded: names, numbers, sizes, what is no file', () =>
    withLedger({ url, mode: 'create' }, async (ledger) => {
      const refused = (attachments: readonly Attachment[]): Promise<unknown> =>
        record(ledger, { image: IMAGE, attachments }).catch((thrown: unknown) => thrown);
      const one = attachmentOfBytes('a', new Uint8Array(1));
      for (const attachments of [
        [attachmentOfBytes('../a', new Uint8Array(1))],
        [one, one],
        Array.from({ length: 17 }, (_, i) => attachmentOfBytes(`a${i}`, new Uint8Array(1))),
        [attachmentOfBytes('a', new Uint8Array(ATTACHMENT_BYTES_MAX + 1))],
      ])
        expect(await refused(attachments)).toMatchObject({ refusal: { _tag: 'BadAttachment' } });
      await expect(record(ledger, { image: IMAGE, note: 'x'.repeat(1025) })).rejects.toThrow(
        /1 to 1024 were expected/u,
      );
      expect(ledger.vms()).toEqual([]);
      await expect(attachmentOfFile('a', folder.path)).rejects.toThrow(/no regular file/u);
      await expect(attachmentOfFile('a', join(folder.path, 'none'))).rejects.toThrow(/ENOENT/u);
    }));
});

describe('notes of checkpoints', () => {
  test('stay, with everything derived made anew', async () => {
    await withLedger({ url, mode: 'create' }, async (ledger) => {
      await record(ledger, { image: IMAGE });
      await takeCheckpoint(ledger, { vm: 'web', name: 'one', capture: 1, note: 'why' });
      await takeCheckpoint(ledger, { vm: 'web', name: 'two', capture: 1 });
    });
    for (let i = 0; i < 2; i += 1) {
      await withLedger({ url, mode: 'read' }, (ledger) => {
        const notes = ledger.vm('web').checkpoints.map(({ name, note }) => [name, note]);
        expect(notes).toEqual([
          ['one', 'why'],
          ['two', null],
        ]);
        return Promise.resolve();
      });
      rmSync(join(url, 'projections'), { recursive: true });
    }
  });
});

test('the command line keeps a file and a note beside a capture, shows them, and gives the file back', async () => {
  const commands = new LedgerCommands(url);
  const [image] = writeImages({ folder: folder.path, name: 'image', images: [IMAGE] });
  const state = join(folder.path, 'state=1');
  writeFileSync(state, FILES.get('vmstate')!);
  const words = ['record', 'image', '--vm', 'web', '--with', `vmstate=${state}`];
  const two = await commands.run([...words, image!, image!]);
  expect([two.exitCode, two.stderr]).toEqual([2, expect.stringContaining('one capture')]);
  await commands.json(...words, '--note', 'a\u001b[2Jb', image!);
  const shown = (await commands.bytes('captures', '--vm', 'web')).toString('utf8');
  expect(shown).toMatch(/vmstate {2}a\\u001b\[2Jb/u);
  const to = join(folder.path, 'back.raw');
  const back = join(folder.path, 'back');
  const [summary] = await commands.json('restore', '--vm', 'web', '--to', to, '--with', back);
  expect(summary!['attachments']).toEqual([join(back, 'vmstate')]);
  expect(Uint8Array.from(readFileSync(join(back, 'vmstate')))).toEqual(FILES.get('vmstate'));
  expect(Uint8Array.from(readFileSync(to))).toEqual(IMAGE);
  const again = await commands.run(['restore', '--vm', 'web', '--to', `${to}2`, '--with', back]);
  expect([again.exitCode, again.stderr]).toEqual([1, expect.stringContaining('--force')]);
}, 120_000);
