// What the servers of a shared ledger may have lost or been given by others: objects that are cut,
// altered or gone, streams with foreign events, with events of a later release, deleted ones. What is
// affected is named, everything else goes on, and where the damage is undone all is as it was.

import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Finding } from '../../../domain/values/finding.ts';
import { listEvents, verify, type Ledger } from '../../../index.ts';
import type { DoubleRecords } from '../../support/eventstoredb-double/eventstoredb-double.ts';
import { changeImage, makeImage } from '../../support/images.ts';
import { sampleOf } from '../../support/long-run.ts';
import {
  recordFiles,
  restored,
  withLedger,
  writeImages,
} from '../../support/ledgers/recorded-images.ts';
import { describeWithS3 } from '../../support/s3-server/s3-server.ts';
import {
  startSharedWorld,
  type Host,
  type SharedWorld,
} from '../../support/ledgers/shared-world.ts';
import { saying, toldBy, toldIn } from '../../support/told-failures.ts';

const LONG_MS = 240_000;
const RANDOM = { zero: 0, text: 0, random: 1, repeated: 0, duplicate: 0 };
const first = makeImage({ seed: 71, pages: 60, mix: RANDOM });
const second = changeImage(first, { seed: 72, changedPages: 10, mix: RANDOM });
const third = changeImage(second, { seed: 73, changedPages: 10, mix: RANDOM });
const REDS = [first, second, third];
const GREEN = makeImage({ seed: 74, pages: 60, mix: RANDOM });

/** A place with a ledger of two VMs: red of three captures, each with a pack of its own, and green. */
interface Recorded {
  readonly place: SharedWorld;
  readonly host: Host;
  /** A host that has nothing of it. */
  cold(): Host;
}

describeWithS3('a shared ledger', () => {
  let world: SharedWorld;
  let reds: string[];
  let green: string;
  beforeAll(async () => {
    world = await startSharedWorld('double');
    reds = writeImages({ folder: world.folder, name: 'red', images: REDS });
    green = writeImages({ folder: world.folder, name: 'green', images: [GREEN] })[0]!;
  }, LONG_MS);
  afterAll(() => world.remove(), LONG_MS);

  async function record(): Promise<Recorded> {
    const place = world.another();
    const host = place.host('recorder');
    await withLedger({ ...host.options, mode: 'create' }, async (ledger) => {
      await recordFiles(ledger, { vm: 'red', files: reds });
      await recordFiles(ledger, { vm: 'green', files: [green] });
    });
    let hosts = 0;
    return { place, host, cold: () => place.host(`cold-${(hosts += 1)}`) };
  }

  const reading = <T>(host: Host, work: (ledger: Ledger) => Promise<T>): Promise<T> =>
    withLedger({ ...host.options, mode: 'read' }, work);
  const recordMore = (host: Host, file: string): Promise<unknown> =>
    withLedger({ ...host.options, mode: 'write' }, (ledger) =>
      recordFiles(ledger, { vm: 'red', files: [file] }),
    );
  /** Points whose memory is given back as it was recorded. */
  async function expectRestored(host: Host, points: readonly string[]): Promise<void> {
    await reading(host, async (ledger) => {
      for (const point of points) {
        const [vm, at] = point.split('@') as [string, string];
        const image = vm === 'red' ? REDS[(Number(at) - 1) % REDS.length]! : GREEN;
        const found = await restored(ledger, { vm, at: `@${at}`, folder: world.folder });
        expect([point, found.equals(image)]).toEqual([point, true]);
      }
    });
  }
  const toldOfRestoring = (host: Host, vm: string, at: string) =>
    toldBy(reading(host, (ledger) => restored(ledger, { vm, at, folder: world.folder })));
  const findingsOf = (host: Host): Promise<readonly Finding[]> =>
    reading(host, async (ledger) => (await verify(ledger, () => undefined)).findings);
  const ALL = ['red@1', 'red@2', 'red@3', 'green@1'];

  describe('whose object of a pack', () => {
    let recorded: Recorded;
    let pack: string;
    let path: string;
    let whole: Buffer;
    const raw = (method: 'GET' | 'PUT' | 'DELETE', body?: Uint8Array) =>
      world.s3.raw.request(body === undefined ? { method, path } : { method, path, body });

    async function recordAndFind(): Promise<void> {
      recorded = await record();
      const { place, host } = recorded;
      await reading(host, async (ledger) => {
        const { packs } = ledger.state.contents;
        const changed = packs.filter(({ vm, capture }) => vm === 'red' && capture === 2);
        expect([packs.length, changed.length]).toEqual([4, 1]);
        pack = changed[0]!.name;
        await Promise.resolve();
      });
      const { host: bucket, pathname } = new URL(place.pageStore);
      path = `/${bucket}${pathname}/packs/${pack.slice(0, 2)}/${pack}`;
      whole = (await raw('GET')).body;
      expect(whole.length).toBeGreaterThan(10 * 4096);
      // What this host has of it already is no reason for it to overlook what the store has lost.
      await expectRestored(host, ALL);
    }
    beforeAll(recordAndFind, LONG_MS);

    const altered = (): Buffer => {
      const bytes = Buffer.from(whole);
      bytes[20_000]! ^= 0x10;
      return bytes;
    };
    const DAMAGES = [
      ['was cut', 'PACK_DAMAGED', () => raw('PUT', whole.subarray(0, whole.length / 2))],
      ['was emptied', 'PACK_DAMAGED', () => raw('PUT', new Uint8Array())],
      ['was altered in one bit', 'PACK_DAMAGED', () => raw('PUT', altered())],
      ['is foreign', 'PACK_DAMAGED', () => raw('PUT', Buffer.alloc(whole.length, 'foreign '))],
      ['was deleted', 'PACK_MISSING', () => raw('DELETE')],
    ] as const;
    test.each(sampleOf(DAMAGES, 4))(
      '%s: verify names what it affects, the rest goes on, and putting it back mends it',
      async (_name, code, damage) => {
        await damage();
        try {
          const cold = recorded.cold();
          await expectRestored(cold, ['red@1', 'green@1']);
          expect(await toldOfRestoring(cold, 'red', '@3')).toEqual(
            saying(3, pack.slice(0, 16), `[${code}]`),
          );
          for (const host of [cold, recorded.host]) {
            const findings = await findingsOf(host);
            const affects = findings.flatMap((finding) => finding.affects);
            // Some blocks hold only what one of them needs.
            expect(affects).toContain('red@2..3');
            expect(new Set([...affects, 'red@2'])).toEqual(new Set(['red@2', 'red@2..3']));
            expect(findings.map(({ where }) => where).join()).toContain(pack);
          }
          const checked = await cold.commands.run(['verify']);
          expect([checked.exitCode, checked.stdout.toString()]).toEqual([
            3,
            expect.stringContaining(pack),
          ]);
          const restoring = await cold.commands.run(['restore', '--vm', 'red', '--to', '-']);
          expect(toldIn(restoring)).toEqual(saying(3, pack.slice(0, 16), `[${code}]`));
          await raw('PUT', whole);
          // What the host kept of the damaged one is not what it goes on with.
          await expectRestored(cold, ALL);
          expect(await findingsOf(cold)).toEqual([]);
        } finally {
          await raw('PUT', whole);
        }
      },
      LONG_MS,
    );
  });

  const server = (): DoubleRecords => world.double!.records;
  const streamOf = ({ place }: Recorded, stream: string): string =>
    `${new URL(place.host('recorder').options.url).searchParams.get('ledger')}.${stream}`;

  describe('whose stream', () => {
    test(
      'has events and links of others passes over them, names them, and is recorded on',
      async () => {
        const recorded = await record();
        const stream = streamOf(recorded, 'vm-red');
        const before = await reading(recorded.host, rowsOf);
        server().addForeign(
          { stream, type: 'OrderPlaced', data: '{"order":5}', contentType: 'application/json' },
          { stream, type: '$>', data: `0@${streamOf(recorded, 'vm-green')}` },
          { stream, type: 'CaptureCommitted', data: '{}', contentType: 'application/json' },
          { stream: streamOf(recorded, 'vm-ghost'), type: 'Ghost', data: 'boo' },
        );
        for (const host of [recorded.host, recorded.cold()]) {
          await expectRestored(host, ALL);
          expect(await reading(host, rowsOf)).toEqual(before);
          const findings = await findingsOf(host);
          expect(findings.map(({ kind }) => kind)).toEqual(Array(4).fill('foreign-event'));
          expect(findings.flatMap(({ affects }) => affects)).toEqual([]);
          expect(findings.every(({ isNote }) => isNote)).toBe(true);
        }
        await recordMore(recorded.host, reds[0]!);
        await expectRestored(recorded.cold(), [...ALL, 'red@4']);
        const vms = await recorded.cold().commands.json('vms');
        expect(vms.map(({ vm }) => vm)).toEqual(['red', 'green']);
      },
      LONG_MS,
    );

    test(
      'has events of a later release is closed and says so, and no other VM is',
      async () => {
        const recorded = await record();
        const stream = streamOf(recorded, 'vm-red');
        const metadata = JSON.stringify({ schema: 99, timeMs: 1 });
        const data = '{"more":1}';
        const contentType = 'application/json';
        server().addForeign({ stream, type: 'CaptureCommitted', data, metadata, contentType });
        const before = server().all.length;
        for (const host of [recorded.host, recorded.cold()]) {
          const newer = 'a CaptureCommitted of schema 99, which this version does not know';
          expect(await toldOfRestoring(host, 'red', 'latest')).toEqual(saying(3, newer));
          expect(await toldBy(recordMore(host, reds[0]!))).toEqual(saying(3, newer));
          await expectRestored(host, ALL);
        }
        expect(server().all).toHaveLength(before);
      },
      LONG_MS,
    );

    test(
      'has events of a kind that only a later release knows goes on without them',
      async () => {
        const recorded = await record();
        const stream = streamOf(recorded, 'vm-red');
        const metadata = JSON.stringify({ schema: 1, timeMs: 1 });
        server().addForeign({ stream, type: 'PagesDreamt', data: 'of', metadata });
        await recordMore(recorded.host, reds[0]!);
        await expectRestored(recorded.cold(), [...ALL, 'red@4']);
        const [note, ...others] = await findingsOf(recorded.cold());
        expect(others).toEqual([]);
        expect(note).toMatchObject({ kind: 'newer-event', isNote: true, affects: [] });
        expect(note!.reason).toContain('PagesDreamt');
      },
      LONG_MS,
    );

    test(
      'was deleted is named, and recorded into no more until the server gives it back',
      async () => {
        const recorded = await record();
        const stream = streamOf(recorded, 'vm-red');
        server().softDelete(stream);
        const events = server().list(stream).length;
        // Until it is scavenged the server has its events, and whoever asks for all of them gets them.
        await expectRestored(recorded.cold(), ALL);
        expect(await toldBy(recordMore(recorded.host, reds[0]!))).toEqual(
          saying(3, stream, '[LOG_DAMAGED]'),
        );
        expect(server().list(stream)).toHaveLength(events);
        const checked = await recorded.cold().commands.run(['verify']);
        expect([checked.exitCode, checked.stdout.toString()]).toEqual([
          3,
          expect.stringContaining(stream),
        ]);
        server().setStreamMetadata(stream, { $tb: 0 });
        await recordMore(recorded.host, reds[0]!);
        await expectRestored(recorded.cold(), [...ALL, 'red@4']);
        expect(await findingsOf(recorded.cold())).toEqual([]);
      },
      LONG_MS,
    );

    test(
      'was deleted for good is named, and never recorded into again',
      async () => {
        const recorded = await record();
        const stream = streamOf(recorded, 'vm-red');
        server().tombstone(stream);
        await expectRestored(recorded.cold(), ALL);
        expect(await toldBy(recordMore(recorded.host, reds[0]!))).toEqual(
          saying(3, 'stream vm-red deleted for good', '[LOG_DAMAGED]'),
        );
        const findings = await findingsOf(recorded.cold());
        expect(findings.map(({ where }) => where).join()).toContain(stream);
      },
      LONG_MS,
    );

    test(
      'was cut off at its start and scavenged is damage of its VM only',
      async () => {
        const recorded = await record();
        const stream = streamOf(recorded, 'vm-red');
        const cut = 3;
        server().setStreamMetadata(stream, { $tb: cut });
        const { all } = server();
        const kept = all.filter((event) => event.stream !== stream || event.revision >= cut);
        expect(all.length - kept.length).toBe(cut);
        all.splice(0, all.length, ...kept);
        const cold = recorded.cold();
        await expectRestored(cold, ['green@1']);
        expect(await toldOfRestoring(cold, 'red', '@1')).toEqual(saying(3, 'red', 'verify'));
        expect((await toldBy(recordMore(cold, reds[0]!))).exitCode).not.toBe(0);
        const checked = await cold.commands.run(['verify']);
        expect([checked.exitCode, checked.stdout.toString()]).toEqual([
          3,
          expect.stringContaining(stream),
        ]);
      },
      LONG_MS,
    );

    test(
      'that says what the ledger is was deleted: it does not open, and no other is made in its place',
      async () => {
        const recorded = await record();
        const stream = streamOf(recorded, 'ledger');
        server().softDelete(stream);
        const before = server().all.length;
        for (const mode of ['read', 'write', 'create'] as const)
          expect(
            await toldBy(
              withLedger({ ...recorded.host.options, mode }, (ledger) =>
                recordFiles(ledger, { vm: 'blue', files: [green] }),
              ),
            ),
          ).toEqual(saying(3, stream, '[LOG_DAMAGED]'));
        expect(server().all).toHaveLength(before);
        server().setStreamMetadata(stream, { $tb: 0 });
        await expectRestored(recorded.cold(), ALL);
      },
      LONG_MS,
    );

    test(
      'that says what the ledger is is somebody else’s is no ledger, and is left alone',
      async () => {
        const place = world.another();
        const stream = `${new URL(place.host('one').options.url).searchParams.get('ledger')}.ledger`;
        const metadata = JSON.stringify({ schema: 1, timeMs: 1, id: randomUUID() });
        for (const event of [
          { type: 'OrderPlaced', data: '{}' },
          { type: 'GroupCreated', data: '{"group":"a","keyCheck":"b"}', metadata },
        ])
          server().addForeign({ stream, contentType: 'application/json', ...event });
        const before = server().all.length;
        const opening = withLedger({ ...place.host('one').options, mode: 'create' }, (ledger) =>
          recordFiles(ledger, { vm: 'red', files: reds }),
        );
        expect((await toldBy(opening)).exitCode).not.toBe(0);
        expect(server().all).toHaveLength(before);
      },
      LONG_MS,
    );
  });
});

/** Every row of the log, as text. */
async function rowsOf(ledger: Ledger): Promise<string[]> {
  const rows: string[] = [];
  const filter = { vm: null, type: null, isExpanded: true, from: null, to: null };
  await listEvents(ledger, filter, (row) => {
    rows.push(`${row.place} ${row.vm} ${row.type}`);
    return Promise.resolve();
  });
  return rows;
}
