// Guests with any device that QEMU can be built with here: stopped at their first instruction, so that no
// guest is needed inside. What a device needs beside it is told by its bus and its properties.

import { spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const QEMU_TIMEOUT_MS = 30_000;

/** What gives a device the bus that it sits on; the others are there in every machine. */
const BUSES: Readonly<Record<string, readonly string[]>> = {
  'usb-bus': ['-device', 'qemu-xhci'],
  SCSI: ['-device', 'virtio-scsi-pci'],
  'virtio-serial-bus': ['-device', 'virtio-serial-pci'],
  HDA: ['-device', 'intel-hda'],
  'sd-bus': ['-device', 'sdhci-pci'],
  'floppy-bus': ['-device', 'isa-fdc'],
  'nvme-bus': ['-device', 'nvme,serial=s0'],
  'ccid-bus': ['-device', 'qemu-xhci', '-device', 'usb-ccid'],
  IndustryPack: ['-device', 'tpci200'],
};
/** The only machine here with slots for virtio devices that are on no PCI. */
const MACHINES_OF_BUS: Readonly<Record<string, readonly string[]>> = { 'virtio-bus': ['microvm'] };
const MACHINES = ['pc', 'q35'] as const;

/** The other end that a property refers to, and what is said of it. */
interface End {
  readonly property: string;
  readonly words: readonly string[];
  readonly said: string;
}

const end = (property: string, words: string, said: string): End => ({
  property,
  words: words.split(' ').filter((word) => word !== ''),
  said,
});
const MEMORY = '-m 16,slots=2,maxmem=1G -object memory-backend-ram,id=m0,size=134217728';

const ENDS: readonly End[] = [
  end('netdev', '-netdev user,id=n0', 'netdev=n0'),
  end('drive', '-blockdev driver=null-co,node-name=d0,size=1048576,read-zeroes=on', 'drive=d0'),
  end('serial', '', 'serial=s0'),
  end('chardev', '-chardev null,id=c0', 'chardev=c0'),
  end('chardev1', '-chardev null,id=c1', 'chardev1=c1'),
  end('chardev2', '-chardev null,id=c2', 'chardev2=c2'),
  end('audiodev', '-audiodev none,id=a0', 'audiodev=a0'),
  end('memdev', MEMORY, 'memdev=m0'),
  end('memaddr', '', 'memaddr=0x140000000'),
  end('bmc', '-device ipmi-bmc-sim,id=b0', 'bmc=b0'),
  end('cryptodev', '-object cryptodev-backend-builtin,id=cr0', 'cryptodev=cr0'),
  end('fsdev', '-fsdev local,id=f0,path=/tmp,security_model=none,readonly=on', 'fsdev=f0'),
  end('mount_tag', '', 'mount_tag=t0'),
  end('canbus', '-object can-bus,id=can0', 'canbus=can0'),
  end('canbus0', '-object can-bus,id=can0', 'canbus0=can0'),
  end('canbus1', '-object can-bus,id=can1', 'canbus1=can1'),
  end('rootdir', '', 'rootdir=/tmp'),
  end('chassis_nr', '', 'chassis_nr=1'),
  end('bus_nr', '', 'bus_nr=4'),
  end('master', '', 'master=on'),
  end('data-len', '', 'addr=0x1000,data=1,data-len=4'),
  end('core-id', '-smp 1,sockets=2,maxcpus=2', 'socket-id=1,core-id=0,thread-id=0'),
];

/** Models of processors, which differ in nothing that is saved. */
const PROCESSOR = /-x86_64-cpu$/u;

export interface Device {
  readonly name: string;
  /** Null: none that `-device help` tells of. */
  readonly bus: string | null;
}

/** QEMU's version, as `7.2.22`. */
export const versionOf = (qemu: string): string =>
  / version (\S+)/u.exec(spawnSync(qemu, ['--version'], { encoding: 'utf8' }).stdout)?.[1] ?? '';

/** All devices that QEMU knows of, with one processor. */
export function devicesOf(qemu: string): readonly Device[] {
  const { stdout } = spawnSync(qemu, ['-device', 'help'], { encoding: 'utf8' });
  return [...stdout.matchAll(/^name "([^"]+)"(?:, bus ([^,\n]+))?/gmu)]
    .map((match) => ({ name: match[1]!, bus: match[2] ?? null }))
    .filter(({ name }) => !PROCESSOR.test(name) || name.startsWith('qemu64'))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** Ends for those properties that a device has. */
function endsOf(qemu: string, { name }: Device): readonly End[] {
  const { stdout } = spawnSync(qemu, ['-device', `${name},help`], { encoding: 'utf8' });
  const has = new Set([...stdout.matchAll(/^ {2}([\w-]+)=/gmu)].map((match) => match[1]));
  return ENDS.filter(({ property }) => has.has(property));
}

/** Sets of ends to try, the likeliest first. */
const choicesOf = (ends: readonly End[]): readonly (readonly End[])[] => [
  ends,
  ...(ends.length === 0 ? [] : [[]]),
  ...(ends.length > 1 ? ends.map((each) => [each]) : []),
];

function wordsOf(device: Device, machine: string, ends: readonly End[]): readonly string[] {
  const beside = [...(BUSES[device.bus ?? ''] ?? []), ...ends.flatMap(({ words }) => words)];
  const memory = beside.includes('-m') ? [] : ['-m', '16'];
  const plain = ['-nodefaults', '-no-user-config', '-display', 'none', '-S'];
  const added = ['-device', [device.name, ...ends.map(({ said }) => said)].join(',')];
  const type = device.name === 'nvdimm' ? `${machine},nvdimm=on` : machine;
  return ['-machine', type, '-accel', 'tcg', ...plain, ...memory, ...beside, ...added];
}

/** Why there is no stream: QEMU refuses to migrate, ends itself over it, or does not start like that. */
type NoStream = 'refused' | 'crashed' | 'untried';

/** A guest's stream, or why there is none. */
export type DeviceStream =
  | { readonly path: string; readonly command: readonly string[] }
  | { readonly path: null; readonly because: NoStream; readonly reason: string };

/** Runs QEMU until it has done what its monitor is told. */
const told = (command: readonly string[], input: string) =>
  spawnSync(command[0]!, [...command.slice(1), '-monitor', 'stdio'], {
    input: `${input}quit\n`,
    encoding: 'utf8',
    timeout: QEMU_TIMEOUT_MS,
  });

/** The stream of a guest with this device; in this folder until the next one. */
export function deviceStream(qemu: string, folder: string, device: Device): DeviceStream {
  const path = join(folder, 'stream');
  const choices = choicesOf(endsOf(qemu, device));
  let reason = '';
  for (const machine of MACHINES_OF_BUS[device.bus ?? ''] ?? MACHINES)
    for (const ends of choices) {
      rmSync(path, { force: true });
      const command = [qemu, ...wordsOf(device, machine, ends)];
      const { stdout, stderr, status, signal } = told(command, `migrate "exec:cat > ${path}"\n`);
      if (status === null) {
        // What waits for somebody else does so with everything beside it.
        const isMigrated = signal !== 'SIGTERM' && told(command, '').status === 0;
        return { path: null, because: isMigrated ? 'crashed' : 'untried', reason: String(signal) };
      }
      if (status !== 0) {
        reason ||= stderr.trim().split('\n').at(-1) ?? '';
        continue;
      }
      const refusal = /^Error: .*$/mu.exec(`${stdout}\n${stderr}`)?.[0];
      if (refusal === undefined && existsSync(path)) return { path, command };
      return { path: null, because: 'refused', reason: refusal ?? 'no stream' };
    }
  return { path: null, because: 'untried', reason };
}
