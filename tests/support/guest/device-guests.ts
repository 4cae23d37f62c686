// Streams of guests with any device that QEMU can be built with here: stopped at their first
// instruction, so that no guest is needed inside.

import { spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const QEMU_TIMEOUT_MS = 30_000;

const DRIVE = ['-blockdev', 'driver=null-co,node-name=d0,size=1048576,read-zeroes=on'];
const CHARACTERS = ['-chardev', 'null,id=c0'];
const NET = ['-netdev', 'user,id=n0'];
const SOUND = ['-audiodev', 'none,id=a0'];
const MEMORY = ['-object', 'memory-backend-ram,id=m0,size=134217728'];

/** What a device may need beside it, and its own properties; the first that QEMU takes is used. */
const SURROUNDINGS: readonly (readonly [readonly string[], string])[] = [
  [[], ''],
  [NET, ',netdev=n0'],
  [DRIVE, ',drive=d0'],
  [DRIVE, ',drive=d0,serial=s0'],
  [CHARACTERS, ',chardev=c0'],
  [SOUND, ',audiodev=a0'],
  [['-device', 'qemu-xhci'], ''],
  [['-device', 'qemu-xhci', ...DRIVE], ',drive=d0'],
  [['-device', 'qemu-xhci', ...CHARACTERS], ',chardev=c0'],
  [['-device', 'qemu-xhci', ...NET], ',netdev=n0'],
  [['-device', 'qemu-xhci', ...SOUND], ',audiodev=a0'],
  [['-device', 'virtio-scsi-pci', ...DRIVE], ',drive=d0'],
  [['-device', 'virtio-serial-pci', ...CHARACTERS], ',chardev=c0'],
  [['-device', 'intel-hda', ...SOUND], ',audiodev=a0'],
  [['-device', 'sdhci-pci', ...DRIVE], ',drive=d0'],
  [['-device', 'nvme,id=v0,serial=s0', ...DRIVE], ',drive=d0'],
  [['-device', 'usb-ccid', ...CHARACTERS], ',chardev=c0'],
  [['-device', 'ipmi-bmc-sim,id=b0'], ',bmc=b0'],
  [['-m', '16,slots=2,maxmem=1G', ...MEMORY], ',memdev=m0'],
  [['-m', '16,slots=2,maxmem=1G', ...MEMORY], ',memdev=m0,memaddr=0x140000000'],
  [['-smp', '1,maxcpus=2'], ',socket-id=1,core-id=0,thread-id=0'],
  [['-object', 'cryptodev-backend-builtin,id=cr0'], ',cryptodev=cr0'],
];

const MACHINES = ['pc', 'q35'] as const;

/** Models of processors, which differ in nothing that is saved. */
const PROCESSOR = /-x86_64-cpu$/u;

/** Names of all devices that QEMU knows of, with one processor. */
export function deviceNames(qemu: string): string[] {
  const { stdout } = spawnSync(qemu, ['-device', 'help'], { encoding: 'utf8' });
  return [...stdout.matchAll(/^name "([^"]+)"/gmu)]
    .map((match) => match[1]!)
    .filter((name) => !PROCESSOR.test(name) || name.startsWith('qemu64'))
    .toSorted();
}

export interface DeviceStream {
  /** Null where QEMU does not start with the device, or does not migrate it. */
  readonly path: string | null;
  /** QEMU's last words where there is no stream. */
  readonly reason: string;
}

function words(device: string, machine: string, of: readonly [readonly string[], string]) {
  const [beside, properties] = of;
  const memory = beside.includes('-m') ? [] : ['-m', '16'];
  const plain = ['-nodefaults', '-no-user-config', '-display', 'none', '-S', '-monitor', 'stdio'];
  const added = ['-device', `${device}${properties}`];
  return ['-machine', machine, '-accel', 'tcg', ...plain, ...memory, ...beside, ...added];
}

/** The stream of a guest with this device; in this folder until the next one. */
export function deviceStream(qemu: string, folder: string, device: string): DeviceStream {
  const path = join(folder, 'stream');
  let reason = '';
  for (const machine of MACHINES)
    for (const surrounding of SURROUNDINGS) {
      rmSync(path, { force: true });
      const { stdout, stderr, status } = spawnSync(qemu, words(device, machine, surrounding), {
        input: `migrate "exec:cat > ${path}"\nquit\n`,
        encoding: 'utf8',
        timeout: QEMU_TIMEOUT_MS,
      });
      // One that waits for somebody else does so with everything beside it.
      if (status === null) return { path: null, reason: 'QEMU waits' };
      if (status !== 0) {
        reason = stderr.trim().split('\n').at(-1) ?? '';
        continue;
      }
      const refusal = /^Error: .*$/mu.exec(`${stdout}\n${stderr}`)?.[0];
      if (refusal === undefined && existsSync(path)) return { path, reason: '' };
      return { path: null, reason: refusal ?? 'no stream' };
    }
  return { path: null, reason };
}
