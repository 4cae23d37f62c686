// A guest that moves between hosts with one log: nothing is sent, and the log says who has it, whatever
// becomes of the link. And between hosts with a log each, over TCP, where the target is killed.

import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { openLink, readLinkKey } from '../../../adapters/faces/link/connection.ts';
import type { Link } from '../../../adapters/faces/link/frames.ts';
import { bodyOf } from '../../../adapters/faces/link/messages.ts';
import { moveGuest, resolveMove, type MoveRequest } from '../../../adapters/faces/link/move.ts';
import { greet, type Moved } from '../../../adapters/faces/link/source.ts';
import { listenAddressOf } from '../../../adapters/faces/sockets/listen-address.ts';
import { drawMigration, migrationNow } from '../../../adapters/wiring/hosts/migrations.ts';
import { runnerOf } from '../../../domain/migrations.ts';
import {
  exportGroup,
  hostsOf,
  importGroup,
  joinHost,
  openLedger,
  type Ledger,
} from '../../../index.ts';
import { LedgerCommands, type RunningCommand } from '../../support/command-line.ts';
import { makeImage } from '../../support/images.ts';
import {
  linkTo,
  reachLosingHandOver,
  taking,
  type TakingLedger,
} from '../../support/ledgers/linked-ledgers.ts';
import { itemsOf } from '../../support/logs/log-events.ts';
import { recordFiles, writeImages } from '../../support/ledgers/recorded-images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const PAGES = 300;
const MIX = { zero: 1, text: 2, random: 4, repeated: 0, duplicate: 1 };
const LONG_MS = 120_000;
const HARDWARE = { cores: 4, memoryBytes: 2 ** 30, cpu: '', features: [], qemu: '7.2.22' };

let folder: TemporaryFolder;
let source: Ledger;
beforeEach(async () => {
  folder = await makeTemporaryFolder();
  source = await openLedger({ url: `${folder.path}/one`, mode: 'create', threads: 0 });
  const images = [makeImage({ seed: 1, pages: PAGES, mix: MIX })];
  const files = writeImages({ folder: folder.path, name: 'web', images });
  await recordFiles(source, { vm: 'web', files });
});
afterEach(async () => {
  await source.close();
  await folder.remove();
});

/** A request to move the VM's point over links that `reach` makes, and what is told of it. */
function requestOf(reach: () => Promise<Link>, migration = drawMigration()) {
  const moved: Moved[] = [];
  const entry = source.vm('web');
  const request: MoveRequest = {
    ledger: source,
    vm: 'web',
    migration,
    from: 'one',
    to: 'two',
    point: { entry, row: source.resolve(entry, 'latest') },
    qmp: null,
    reach,
    onMoved: (one) => moved.push(one),
    onTold: () => undefined,
  };
  return { request, moved };
}

const runner = async (ledger: Ledger) => runnerOf(await migrationNow(ledger, 'web'));

/** What the log says of migrations, in its order. */
const said = async (): Promise<readonly string[]> =>
  (await itemsOf(source.log)).flatMap((item) =>
    item._tag === 'event' && item.event.stream.startsWith('migrations-') ? [item.event.type] : [],
  );

describe('hosts with one log', () => {
  let target: TakingLedger;
  beforeEach(async () => {
    const ledger = await openLedger({ url: `${folder.path}/one`, mode: 'write', threads: 0 });
    target = await taking(ledger, `${folder.path}/two.sock`);
  });
  afterEach(async () => {
    await target.close();
    await target.ledger.close();
  });

  const BEGUN = ['MigrationStarted', 'GuestHandedOver'];

  test('send nothing, and say once who has the guest', async () => {
    const links: Link[] = [];
    const { request, moved } = requestOf(async () => {
      const link = await linkTo(target.path);
      links.push(link);
      return link;
    });
    expect(await moveGuest(request)).toMatchObject({ phase: 'completed' });
    expect(moved).toEqual([]);
    expect(links.map(({ bytes }) => bytes < 2000)).toEqual([true]);
    expect(await said()).toEqual([...BEGUN, 'MigrationCompleted']);
    expect([await runner(source), await runner(target.ledger)]).toEqual(['target', 'target']);
    expect(source.vm('web').captures).toHaveLength(1);
  });

  test('keep the guest where it is while the target cannot read it', async () => {
    // What the target has at hand is nothing: it reads the packs as they lie there.
    for (const name of readdirSync(`${folder.path}/one/packs`, {
      recursive: true,
      encoding: 'utf8',
    })) {
      const path = `${folder.path}/one/packs/${name}`;
      if (statSync(path).isFile()) writeFileSync(path, readFileSync(path).fill(0xa5, 200));
    }
    const { request } = requestOf(() => linkTo(target.path));
    await expect(moveGuest(request)).rejects.toMatchObject({ code: 'LINK_REFUSED' });
    expect(await said()).toEqual(['MigrationStarted', 'MigrationFailed']);
    expect(await runner(source)).toBe('source');
  });

  test('know that the guest has moved where the link was lost with the answer', async () => {
    const { request } = requestOf(async () => {
      const link = await linkTo(target.path);
      const next = link.next.bind(link);
      link.next = async () => {
        const frame = await next();
        if (frame?.kind !== 'completed') return frame;
        throw new TypeError('the link is gone');
      };
      return link;
    });
    expect(await moveGuest(request)).toMatchObject({ phase: 'completed' });
    expect(await said()).toEqual([...BEGUN, 'MigrationCompleted']);
  });

  test('leave it where it was when the target is away, which cannot take it later', async () => {
    const { request } = requestOf(reachLosingHandOver(target.path));
    await expect(moveGuest(request)).rejects.toMatchObject({ code: 'LINK_LOST' });
    expect(await said()).toEqual([...BEGUN, 'MigrationFailed']);
    expect(await runner(source)).toBe('source');
    // The hand-over that was on its way arrives after all.
    const late = await linkTo(target.path);
    await greet(late, { from: 'one', to: 'two', ledger: source.id });
    await late.send('handOver', bodyOf({ vm: 'web', migration: request.migration }));
    expect(await late.next()).toMatchObject({ kind: 'refused' });
    late.close();
    expect(await said()).toEqual([...BEGUN, 'MigrationFailed']);
    expect(await runner(target.ledger)).toBe('source');
  });
});

describe('hosts with a log each', () => {
  let serving: RunningCommand;
  const key = (): string => `${folder.path}/workgroup.key`;

  /** Serves the other ledger in a process of its own: links to it, over TCP with the key. */
  async function serve(): Promise<() => Promise<Link>> {
    const words = ['--json', 'host', 'serve', '--host', 'two', '--key', key()];
    serving = new LedgerCommands(`${folder.path}/two`).start([
      ...words,
      '--listen',
      'tcp:127.0.0.1:0',
    ]);
    await serving.until((command) => command.rows().length > 0);
    const address = listenAddressOf(String(serving.rows()[0]!['address']));
    return () => openLink(address, readLinkKey(key()));
  }
  afterEach(async () => {
    serving.signal('SIGKILL');
    await serving.ended;
  });

  test(
    'leave the guest in doubt where the target is killed, which ends when it is asked again',
    async () => {
      const there = await openLedger({ url: `${folder.path}/two`, mode: 'create', threads: 0 });
      const text = await exportGroup(source, 'default');
      await importGroup(there, { text, where: 'the other host' });
      await there.close();
      writeFileSync(key(), 'a key of the workgroup, of both hosts');
      chmodSync(key(), 0o600);

      const reach = await serve();
      const { request, moved } = requestOf(async () => {
        const link = await reach();
        const send = link.send.bind(link);
        link.send = async (kind, body) => {
          if (kind === 'handOver') {
            serving.signal('SIGKILL');
            await serving.ended;
          }
          return send(kind, body);
        };
        return link;
      });
      await expect(moveGuest(request)).rejects.toMatchObject({
        refusal: { _tag: 'MigrationInDoubt' },
      });
      expect(moved).toMatchObject([{ held: 0 }]);
      expect(await runner(source)).toBeNull();

      const again = await serve();
      const asked = requestOf(again, request.migration).request;
      expect(await resolveMove(asked)).toMatchObject({ phase: 'failed' });
      expect(await runner(source)).toBe('source');
      const second = requestOf(again);
      expect(await moveGuest(second.request)).toMatchObject({ phase: 'completed' });
      expect(second.moved).toMatchObject([{ pages: 0 }]);
      expect(await runner(source)).toBe('target');
    },
    LONG_MS,
  );

  test(
    'tell each other what they hold, and move a guest that a third host asks for',
    async () => {
      const there = await openLedger({ url: `${folder.path}/two`, mode: 'create', threads: 0 });
      const text = await exportGroup(source, 'default');
      await importGroup(there, { text, where: 'the other host' });
      writeFileSync(key(), 'a key of the workgroup, of both hosts');
      chmodSync(key(), 0o600);
      await serve();
      const address = String(serving.rows()[0]!['address']);
      const two = { host: 'two', address, distances: [], hardware: HARDWARE };
      await joinHost(source, two);
      await joinHost(source, { ...two, host: 'one', address: null });
      const listen = ['host', 'serve', '--host', 'one', '--listen', 'tcp:127.0.0.1:0'];
      const telling = ['--advertise-every', '200ms', '--peer', address, '--give', 'web'];
      const words = ['--json', ...listen, '--key', key(), ...telling];
      const giving = new LedgerCommands(`${folder.path}/one`).start(words);
      try {
        await giving.until((command) => command.rows().length > 0);
        const heard = (): number =>
          hostsOf(there).find(({ host }) => host === 'one')?.advertised?.pages ?? 0;
        while (heard() < 100) {
          await there.state.catchUp({ heavy: false });
          await new Promise((resolve) => {
            setTimeout(resolve, 50);
          });
        }
        const third = new LedgerCommands(`${folder.path}/three`);
        await third.json('init');
        const one = String(giving.rows()[0]!['address']);
        const ask = ['migrate', '--ask', one, '--key', key()];
        expect(await third.errorOf(...ask, '--vm', 'other')).toEqual([1, 'LINK_REFUSED']);
        const [moved] = await third.json(...ask, '--vm', 'web', '--to', 'two');
        expect(moved).toMatchObject({ summary: 'migrate', vm: 'web', to: 'two', captures: 1 });
        expect(await runner(there)).toBe('target');
      } finally {
        giving.signal('SIGKILL');
        await giving.ended;
        await there.close();
      }
    },
    LONG_MS,
  );
});
