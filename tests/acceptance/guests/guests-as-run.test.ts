// Guests as people run them, on a real QEMU: memory in several places, memory that is plugged in, command
// lines of libvirt and Proxmox, and memory files that an earlier run has filled. All of them stand at
// their first instruction, or halt after their firmware, so that none needs a kernel.

import {
  chmodSync,
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import * as t from 'io-ts';
import { programPath, QEMU_PROGRAM } from '../../../adapters/guests/demo-guest/tools.ts';
import { resumableCommand } from '../../../adapters/guests/qemu/recorded-command.ts';
import {
  addressHistoryOf,
  openLedger,
  PAGE_BYTES,
  readPages,
  recordGuest,
  restoreToFile,
  resumePoint,
  type CaptureRow,
  type Ledger,
} from '../../../index.ts';
import { pagesThatDiffer } from '../../support/guest/images.ts';
import { GUEST_TIMEOUT_MS } from '../../support/guest/real-guest.ts';
import { libvirtWords, proxmoxWords } from '../../support/guest/started-guests.ts';
import { StillGuest, withQmp } from '../../support/guest/still-guest.ts';
import { BootSectorGuest } from '../../support/guest/ticking-guest.ts';
import { dumpedMemory } from '../../support/guest/watched-guest.ts';
import { seededRandom } from '../../support/images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';
import { sampleOf } from '../../support/long-run.ts';

const QEMU = programPath(QEMU_PROGRAM);
const MIB = 2 ** 20;
const BARE = ['-accel', 'tcg', '-nodefaults', '-no-user-config', '-display', 'none'];
const CONTROL = ['-qmp', 'unix:QMP,server=on,wait=off'];
/** Guest-physical pages in which the guest sees firmware and video memory instead of its RAM. */
const SHADOWED = [0xa0, 0x100] as const;
const Dimms = t.array(t.type({ data: t.type({ addr: t.number }) }));

(QEMU === null ? describe.skip : describe)('a guest', () => {
  let folder: TemporaryFolder;
  let ledger: Ledger;
  const ending: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    ledger = await openLedger({ url: join(folder.path, 'ledger'), mode: 'create', threads: 0 });
  });
  afterEach(async () => {
    for (const end of ending.splice(0).toReversed()) await end();
  });
  afterAll(async () => {
    await ledger.close();
    await folder.remove();
  });

  async function start(words: readonly string[]): Promise<StillGuest> {
    const guest = await StillGuest.start({ qemu: QEMU ?? '', folder: folder.path, words });
    ending.push(() => guest.kill());
    return guest;
  }

  /** A guest that halts after its firmware. */
  function halting(extra: readonly string[]): BootSectorGuest {
    const where = { qemu: QEMU ?? '', folder: folder.path };
    const guest = new BootSectorGuest({ ...where, sector: 'halting', memoryMib: 16, extra });
    ending.push(() => guest.kill());
    return guest;
  }

  async function record(vm: string, qmp: string): Promise<CaptureRow> {
    const rows: CaptureRow[] = [];
    const { signal } = new AbortController();
    const request = { qmp, everyMs: 1000, count: 1, signal, folder: folder.path };
    await recordGuest(ledger, { vm, group: null }, request, {
      onCapture: (row) => rows.push(row),
      onSkip: () => undefined,
      onWarning: () => undefined,
    });
    return rows[0]!;
  }

  const point = (vm: string, at = 'latest') => {
    const entry = ledger.vm(vm);
    return { entry, row: ledger.resolve(entry, at) };
  };

  async function restored(vm: string, name: string): Promise<Buffer> {
    const path = join(folder.path, name);
    await restoreToFile(ledger, point(vm), { format: 'raw', path, isForced: true });
    return readFileSync(path);
  }

  /** A QEMU that has taken a point over; its control socket. */
  async function resume(vm: string, at: string, command: readonly string[]) {
    const qmpPath = join(folder.path, `resumed-${vm}.qmp`);
    const words = [...command, '-qmp', `unix:${qmpPath},server=on,wait=off`];
    const resumed = await resumePoint(ledger, point(vm, at), { command: words, isDiskOk: false });
    const gone = new Promise((resolve) => {
      resumed.process.once('exit', resolve);
    });
    ending.push(() => {
      resumed.process.kill('SIGKILL');
      return gone;
    });
    return { qmpPath, runState: resumed.runState };
  }

  const asRecorded = (vm: string, at = 'latest'): readonly string[] => {
    const { entry, row } = point(vm, at);
    return resumableCommand(entry.argvAt(row.capture) ?? []);
  };

  const filled = (name: string, bytes: number, seed: number): { path: string; content: Buffer } => {
    const random = seededRandom(seed);
    const content = Buffer.alloc(bytes);
    for (let page = 0; page < bytes / PAGE_BYTES; page += 1)
      content.writeUInt32LE(random(2 ** 31), page * PAGE_BYTES);
    const path = join(folder.path, name);
    writeFileSync(path, content);
    return { path, content };
  };

  test(
    'whose memory lies in several blocks is restored whole, in their order',
    async () => {
      const nodes = [filled('node0', 16 * MIB, 1), filled('node1', 16 * MIB, 2)];
      const backends = nodes.flatMap(({ path }, i) => [
        '-object',
        `memory-backend-file,id=m${i},size=16M,mem-path=${path},share=on`,
        '-numa',
        `node,nodeid=${i},cpus=${i},memdev=m${i}`,
      ]);
      const guest = await start([
        '-machine',
        'pc',
        '-m',
        '32',
        '-smp',
        '2',
        ...backends,
        ...BARE,
        ...CONTROL,
      ]);
      await record('numa', guest.qmpPath);
      const expected = Buffer.concat(nodes.map(({ content }) => content));
      expect(pagesThatDiffer(await restored('numa', 'numa.raw'), expected)).toEqual([]);
      const { content } = nodes[1]!;
      const [version] = await addressHistoryOf(
        ledger,
        ledger.vm('numa'),
        16 * MIB + 5 * PAGE_BYTES,
      );
      const page = await readPages(ledger, point('numa'), [version!.gfn]);
      expect(content.subarray(5 * PAGE_BYTES, 6 * PAGE_BYTES).equals(page)).toBe(true);
    },
    GUEST_TIMEOUT_MS,
  );

  test(
    'whose memory goes on above 4 GiB is restored with its hole',
    async () => {
      const { path, content } = filled('high', PAGE_BYTES, 5);
      // Of a small guest too: QEMU is told where the lower part ends.
      const belowMib = 32;
      const loader = `loader,file=${path},addr=0x100000000,force-raw=on`;
      const machine = [
        '-machine',
        `q35,max-ram-below-4g=${belowMib}M`,
        '-m',
        '48',
        '-device',
        loader,
      ];
      const guest = await start([...machine, ...BARE, ...CONTROL]);
      await record('high', guest.qmpPath);
      const [version] = await addressHistoryOf(ledger, ledger.vm('high'), 2 ** 32);
      expect(version!.gfn).toBe((belowMib * MIB) / PAGE_BYTES);
      const to = join(folder.path, 'high.raw');
      await restoreToFile(ledger, point('high'), { format: 'raw', path: to, isForced: false });
      const page = Buffer.alloc(PAGE_BYTES);
      const fd = openSync(to, 'r');
      readSync(fd, page, 0, PAGE_BYTES, 2 ** 32);
      closeSync(fd);
      expect(page.equals(content)).toBe(true);
      expect(statSync(to).size).toBe(2 ** 32 + (48 - belowMib) * MIB);
    },
    GUEST_TIMEOUT_MS,
  );

  test(
    'whose firmware moved its memory has at each address what QEMU has there',
    async () => {
      const guest = halting(['-S']);
      await guest.withQmp(() => Promise.resolve());
      await record('moved', guest.qmpPath);
      await guest.withQmp((qmp) => qmp.execute('cont'));
      await guest.ticksOn(1);
      // Interrupts write to the firmware's own pages, between the capture and the look at them too.
      await guest.withQmp((qmp) => qmp.execute('stop'));
      await record('moved', guest.qmpPath);
      const entry = ledger.vm('moved');
      expect(entry.maps.map(({ capture }) => capture)).toEqual([1, 2]);
      for (const address of [0x7000, 0xe0000, 0xe8000, 0xf0000, 0xf5000]) {
        const filename = join(folder.path, 'page');
        await guest.withQmp((qmp) =>
          qmp.execute('pmemsave', { val: address, size: PAGE_BYTES, filename }),
        );
        const { gfn } = (await addressHistoryOf(ledger, entry, address)).at(-1)!;
        const page = await readPages(ledger, point('moved'), [gfn]);
        expect([address, readFileSync(filename).equals(page)]).toEqual([address, true]);
      }
    },
    GUEST_TIMEOUT_MS,
  );

  test(
    'that memory is plugged in to is recorded on, and resumed with it and without',
    async () => {
      const { path, content } = filled('dimm', 32 * MIB, 3);
      const guest = halting(['-m', 'slots=2,maxmem=1G', '-device', 'VGA,vgamem_mb=1']);
      await guest.withQmp(() => Promise.resolve());
      const first = await record('grown', guest.qmpPath);
      const addr = await guest.withQmp(async (qmp) => {
        const backend = { 'qom-type': 'memory-backend-file', id: 'm1', size: 32 * MIB };
        await qmp.execute('object-add', { ...backend, 'mem-path': path, share: true });
        await qmp.execute('device_add', { driver: 'pc-dimm', id: 'd1', memdev: 'm1' });
        const [dimm] = await qmp.ask('query-memory-devices', Dimms);
        return dimm!.data.addr;
      });
      const second = await record('grown', guest.qmpPath);
      const pages = (row: CaptureRow): number => row.written + row.unchanged;
      expect(pages(second) - pages(first)).toBe((32 * MIB) / PAGE_BYTES);
      expect(second.written).toBeLessThan((33 * MIB) / PAGE_BYTES);
      // QEMU lists the larger block first; in the ledger it comes last.
      const entry = ledger.vm('grown');
      const before = entry.mapAt(1)!.blocks;
      expect(entry.mapAt(2)!.blocks).toEqual([...before, { name: 'm1', pages: 8192 }]);
      const [version] = await addressHistoryOf(ledger, entry, addr + 7 * PAGE_BYTES);
      expect(version).toMatchObject({ capture: 2, from: 2, gfn: pages(first) + 7 });
      const memoryOf = async (at: string) => {
        const { qmpPath, runState } = await resume('grown', at, asRecorded('grown', at));
        expect(runState).toBe('running');
        return withQmp(qmpPath, async (qmp) => {
          const dimms = await qmp.ask('query-memory-devices', Dimms);
          if (dimms.length === 0) return null;
          const filename = join(folder.path, 'dumped');
          await qmp.execute('pmemsave', { val: addr, size: 32 * MIB, filename });
          return readFileSync(filename);
        });
      };
      expect(await memoryOf('@1')).toBeNull();
      expect(pagesThatDiffer((await memoryOf('@2'))!, content)).toEqual([]);
    },
    GUEST_TIMEOUT_MS,
  );

  test.each(
    sampleOf(
      [
        ['nvdimm', { 'label-size': 131_072 }],
        ['virtio-mem-pci', { 'requested-size': 32 * MIB }],
        ['virtio-pmem-pci', {}],
      ] as const,
      3,
    ),
  )(
    'that a device %s is plugged in to is resumed with it by its recorded command line',
    async (driver, properties) => {
      const guest = halting(['-machine', 'nvdimm=on', '-m', 'slots=2,maxmem=1G']);
      const Listed = t.array(t.UnknownRecord);
      const devices = await guest.withQmp(async (qmp) => {
        await qmp.execute('object-add', {
          'qom-type': 'memory-backend-ram',
          id: 'm1',
          size: 128 * MIB,
        });
        await qmp.execute('device_add', { driver, id: 'd1', memdev: 'm1', ...properties });
        return qmp.ask('query-memory-devices', Listed);
      });
      await record(driver, guest.qmpPath);
      expect(devices).toHaveLength(1);
      const { qmpPath, runState } = await resume(driver, 'latest', asRecorded(driver));
      expect(runState).toBe('running');
      const resumed = await withQmp(qmpPath, (qmp) => qmp.ask('query-memory-devices', Listed));
      const place = ({ type, data }: { readonly [key: string]: unknown }): unknown => [
        type,
        { ...(data as object), hotplugged: null },
      ];
      expect(resumed.map(place)).toEqual(devices.map(place));
    },
    GUEST_TIMEOUT_MS,
  );

  test.each(sampleOf(['a start script', '-readconfig'], 2))(
    'is resumed by %s into a file of an earlier run, and has none of that',
    async (way) => {
      const guest = await start(['-machine', 'pc', '-m', '16', ...BARE, ...CONTROL]);
      await record('stale', guest.qmpPath);
      const wanted = await restored('stale', 'stale.raw');
      const { path } = filled('stale.ram', 16 * MIB, 4);
      let command: readonly string[];
      if (way === '-readconfig') {
        const configuration = join(folder.path, 'guest.cfg');
        writeFileSync(
          configuration,
          `[object "pc.ram"]\n  qom-type = "memory-backend-file"\n  size = "16M"\n  mem-path = "${path}"\n  share = "on"\n[machine]\n  type = "pc"\n  memory-backend = "pc.ram"\n`,
        );
        command = [QEMU ?? '', '-readconfig', configuration, '-m', '16', ...BARE, '-S'];
      } else {
        const script = join(folder.path, 'start');
        const object = `memory-backend-file,id=pc.ram,size=16M,mem-path=${path},share=on`;
        writeFileSync(
          script,
          `#!/bin/sh\nexec ${QEMU} -object ${object} -machine pc,memory-backend=pc.ram -m 16 ${BARE.join(' ')} -S "$@"\n`,
        );
        chmodSync(script, 0o755);
        command = [script];
      }
      const { qmpPath } = await resume('stale', 'latest', command);
      const scratch = join(folder.path, 'stale.dump');
      const memory = await dumpedMemory({ qmpPath, memoryBytes: 16 * MIB, scratch });
      const differing = pagesThatDiffer(memory, wanted);
      expect(differing.filter((page) => page < SHADOWED[0] || page >= SHADOWED[1])).toEqual([]);
    },
    GUEST_TIMEOUT_MS,
  );

  test.each(
    sampleOf(
      [
        ['libvirt', libvirtWords],
        ['Proxmox', proxmoxWords],
      ] as const,
      2,
    ),
  )(
    'that %s started is resumed by its recorded command line, beside it',
    async (name, words) => {
      const vm = name.toLowerCase();
      const guest = await start(words(folder.path));
      await record(vm, guest.qmpPath);
      const command = asRecorded(vm);
      expect(command.join(' ')).not.toContain(folder.path + '/still');
      const { qmpPath, runState } = await resume(vm, 'latest', command);
      expect(runState).toMatch(/paused|prelaunch/u);
      expect(existsSync(guest.qmpPath)).toBe(true);
      const scratch = join(folder.path, 'as-recorded.dump');
      const memory = await dumpedMemory({ qmpPath, memoryBytes: 32 * MIB, scratch });
      const differing = pagesThatDiffer(memory, await restored(vm, `${vm}.raw`));
      expect(differing.filter((page) => page < SHADOWED[0] || page >= SHADOWED[1])).toEqual([]);
    },
    GUEST_TIMEOUT_MS,
  );
});
