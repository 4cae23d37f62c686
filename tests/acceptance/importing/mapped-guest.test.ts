// What a newer QEMU than Debian 12 has writes of a guest that stands still: memory that lies plain in its
// file, also behind libvirt's header, and a stream with a bitmap of a disk. Each is recorded, restored, and
// goes on in that QEMU.

import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startGuest, type DemoGuest } from '../../../adapters/guests/demo-guest/start-guest.ts';
import type { QmpClient } from '../../../adapters/guests/qemu/qmp-client.ts';
import { recordImages, restoreToFile } from '../../../index.ts';
import { newerQemu } from '../../support/guest/debian-releases.ts';
import { pagesThatDiffer } from '../../support/guest/images.ts';
import { LIBVIRT_FORMS, libvirtHead } from '../../support/guest/libvirt-bytes.ts';
import {
  describeWithQemu,
  findTools,
  GUEST_TIMEOUT_MS,
  inLongRun,
  type FoundTools,
} from '../../support/guest/real-guest.ts';
import { withQmp } from '../../support/guest/still-guest.ts';
import {
  dumpedMemory,
  migrationOf,
  stopGuest,
  TICK_LINE,
  tickingGuest,
} from '../../support/guest/watched-guest.ts';
import { valueOf } from '../../support/outcomes.ts';
import { withLedger } from '../../support/ledgers/recorded-images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const MEMORY_MIB = 96;
const MEMORY_BYTES = MEMORY_MIB * 2 ** 20;
const SPECIFICATION = { seed: 4, memoryMib: MEMORY_MIB, tickMs: 50 };
/** Where video memory is seen instead of RAM. */
const VIDEO = { from: 0xa0, to: 0xc0 };
const POLL_MS = 50;
const NONE = { restored: [], resumed: [] };

const folder: TemporaryFolder = await makeTemporaryFolder();
const path = (name: string): string => join(folder.path, name);
afterAll(() => folder.remove());

/** The tools, with a newer QEMU. */
async function newerTools(): Promise<FoundTools> {
  const here = inLongRun(await findTools());
  if (here.tools === null) return here;
  const { tree: qemu, reason } = await newerQemu(folder.path);
  return qemu === null ? { tools: null, reason } : { tools: { ...here.tools, qemu }, reason: null };
}

describeWithQemu('a newer QEMU', await newerTools(), (tools) => {
  const disk = `if=none,id=drive0,node-name=disk,format=qcow2,file=${path('disk')}`;
  let guest: DemoGuest;

  beforeAll(async () => {
    spawnSync('qemu-img', ['create', '-q', '-f', 'qcow2', path('disk'), '64M']);
    mkdirSync(path('guest'));
    const of = { ...SPECIFICATION, tools, folder: path('guest') };
    guest = await tickingGuest({ ...of, extra: ['-drive', disk] });
  }, GUEST_TIMEOUT_MS);
  afterAll(() => guest.kill());

  const told = <A>(work: (qmp: QmpClient) => Promise<A>): Promise<A> =>
    withQmp(guest.qmpPath, work);
  const dumped = (qmpPath: string): Promise<Buffer> =>
    dumpedMemory({ qmpPath, memoryBytes: MEMORY_BYTES, scratch: path('dumped') });
  const differing = (a: Buffer, b: Buffer): readonly number[] =>
    pagesThatDiffer(a.subarray(0, MEMORY_BYTES), b).filter(
      (page) => page < VIDEO.from || page >= VIDEO.to,
    );

  /** Lets it run until it ticks again, and has it stand. */
  async function letRun(): Promise<void> {
    const from = guest.lines().length;
    // What a migration has just left is not at once ready to go on.
    const goOn = (): Promise<boolean> =>
      told((qmp) => qmp.execute('cont')).then(
        () => true,
        () => false,
      );
    while (!(await goOn())) await sleep(POLL_MS);
    await guest.waitForLine(TICK_LINE, { from, timeoutMs: GUEST_TIMEOUT_MS });
    await stopGuest(guest.qmpPath);
  }

  /** Migrates it, standing, to a file; its memory by the way. */
  async function migrated(uri: string, capability: string): Promise<Buffer> {
    await letRun();
    const memory = await dumped(guest.qmpPath);
    const set = (state: boolean): Promise<unknown> =>
      told((qmp) =>
        qmp.execute('migrate-set-capabilities', { capabilities: [{ capability, state }] }),
      );
    await set(true);
    await told((qmp) => qmp.execute('migrate', { uri }));
    const ends = new Set<unknown>(['completed', 'failed']);
    let status = await migrationOf(guest.qmpPath);
    for (; !ends.has(status); status = await migrationOf(guest.qmpPath)) await sleep(POLL_MS);
    expect(status).toBe('completed');
    await set(false);
    return memory;
  }

  /** What another one has that goes on from a stream. */
  async function resumedFrom(stream: string, name: string): Promise<Buffer> {
    const words = ['-drive', `${disk},snapshot=on,file.locking=off`, '-S'];
    const extra = [...words, '-incoming', `exec:cat ${stream}`];
    const of = { ...SPECIFICATION, tools, folder: path('guest'), name };
    const second = await valueOf(startGuest({ ...of, extra }));
    const isComing = (): Promise<boolean> =>
      withQmp(second.qmpPath, async (qmp) => {
        const { status } = (await qmp.execute('query-status')) as { status?: unknown };
        return status === 'inmigrate';
      });
    while (await isComing()) await sleep(POLL_MS);
    const memory = await dumped(second.qmpPath);
    await second.kill();
    return memory;
  }

  /** Records a file: the pages that are others when restored, and as QEMU has them that goes on there. */
  async function othersOf(
    vm: string,
    { file, memory }: { readonly file: string; readonly memory: Buffer },
  ): Promise<Readonly<Record<'restored' | 'resumed', readonly number[]>>> {
    const raw = { path: path('restored'), format: 'raw', isForced: true } as const;
    const stream = { path: path('stream'), format: 'qemu', isForced: true } as const;
    const url = path('ledger');
    await withLedger({ url, mode: 'create' }, async (ledger) => {
      const request = { files: [file], timeMs: null };
      await recordImages(ledger, { vm, group: null }, request, () => undefined);
      const entry = ledger.vm(vm);
      const row = ledger.resolve(entry, 'latest');
      await restoreToFile(ledger, { entry, row }, raw);
      await restoreToFile(ledger, { entry, row }, stream);
    });
    rmSync(url, { recursive: true });
    rmSync(file);
    return {
      restored: differing(readFileSync(raw.path), memory),
      resumed: differing(await resumedFrom(stream.path, `second-${vm}`), memory),
    };
  }

  test(
    'writes memory plain into its file',
    async () => {
      const memory = await migrated(`file:${path('mapped')}`, 'mapped-ram');
      expect(await othersOf('mapped', { file: path('mapped'), memory })).toEqual(NONE);
    },
    GUEST_TIMEOUT_MS,
  );

  test(
    "writes it behind libvirt's header, as a sparse save has it",
    async () => {
      const head = libvirtHead({ form: LIBVIRT_FORMS.sparse });
      const file = path('sparse');
      const memory = await migrated(`file:${file},offset=${head.length}`, 'mapped-ram');
      const fd = openSync(file, 'r+');
      writeSync(fd, head, 0, head.length, 0);
      closeSync(fd);
      expect(await othersOf('sparse', { file, memory })).toEqual(NONE);
    },
    GUEST_TIMEOUT_MS,
  );

  test(
    'tells of a bitmap of its disk in the stream',
    async () => {
      await told((qmp) =>
        qmp.execute('block-dirty-bitmap-add', { node: 'disk', name: 'since-backup' }),
      );
      const memory = await migrated(`file:${path('bitmap')}`, 'dirty-bitmaps');
      expect(readFileSync(path('bitmap')).includes('since-backup')).toBe(true);
      expect(await othersOf('bitmap', { file: path('bitmap'), memory })).toEqual(NONE);
    },
    GUEST_TIMEOUT_MS,
  );
});
