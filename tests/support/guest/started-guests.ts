// Command lines as libvirt and Proxmox start guests with, for one that needs neither. A descriptor that
// they pass is a path here; `QMP` stands for the path of the control socket.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

const device = (properties: Readonly<Record<string, unknown>>): readonly string[] => [
  '-device',
  JSON.stringify(properties),
];

/** As libvirt 9 does: devices and objects are JSON. */
export const libvirtWords = (folder: string): readonly string[] =>
  [
    '-name guest=web,debug-threads=on -no-user-config -nodefaults'.split(' '),
    ['-object', '{"qom-type":"memory-backend-ram","id":"pc.ram","size":33554432}'],
    '-machine pc-q35-7.2,usb=off,dump-guest-core=off,memory-backend=pc.ram'.split(' '),
    '-accel tcg -cpu qemu64 -m 32 -overcommit mem-lock=off'.split(' '),
    '-smp 1,sockets=1,cores=1,threads=1 -uuid 6f1ad9f2-2b5e-4c1a-9c55-0d3f6a1f7a10'.split(' '),
    '-display none -rtc base=utc,driftfix=slew -global kvm-pit.lost_tick_policy=delay'.split(' '),
    '-chardev socket,id=charmonitor,path=QMP,server=on,wait=off'.split(' '),
    '-mon chardev=charmonitor,id=monitor,mode=control -no-shutdown -boot strict=on'.split(' '),
    device({
      driver: 'pcie-root-port',
      port: 16,
      chassis: 1,
      id: 'pci.1',
      bus: 'pcie.0',
      addr: '0x2',
    }),
    device({ driver: 'qemu-xhci', p2: 15, p3: 15, id: 'usb', bus: 'pci.1', addr: '0x0' }),
    device({ driver: 'virtio-serial-pci', id: 'virtio-serial0', bus: 'pcie.0', addr: '0x3' }),
    '-chardev pty,id=charserial0'.split(' '),
    device({ driver: 'isa-serial', chardev: 'charserial0', id: 'serial0', index: 0 }),
    ['-chardev', `socket,id=charchannel0,path=${join(folder, 'agent')},server=on,wait=off`],
    device({
      driver: 'virtserialport',
      bus: 'virtio-serial0.0',
      nr: 1,
      chardev: 'charchannel0',
      id: 'channel0',
      name: 'org.qemu.guest_agent.0',
    }),
    device({ driver: 'usb-tablet', id: 'input0', bus: 'usb.0', port: '1' }),
    ['-audiodev', '{"id":"audio1","driver":"none"}'],
    '-netdev user,id=hostnet0,hostfwd=tcp:127.0.0.1:0-:22'.split(' '),
    device({ driver: 'virtio-net-pci', netdev: 'hostnet0', id: 'net0', addr: '0x4', romfile: '' }),
    device({ driver: 'virtio-balloon-pci', id: 'balloon0', bus: 'pcie.0', addr: '0x5' }),
    ['-object', '{"qom-type":"rng-random","id":"objrng0","filename":"/dev/urandom"}'],
    device({ driver: 'virtio-rng-pci', rng: 'objrng0', id: 'rng0', bus: 'pcie.0', addr: '0x6' }),
    '-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'.split(' '),
    '-msg timestamp=on'.split(' '),
  ].flat();

const PROXMOX_DEVICES = `
[device "ehci"]
  driver = "ich9-usb-ehci1"
  multifunction = "on"
  bus = "pcie.0"
  addr = "1d.7"

[device "ich9-pcie-port-1"]
  driver = "pcie-root-port"
  x-speed = "16"
  x-width = "32"
  multifunction = "on"
  bus = "pcie.0"
  addr = "1c.0"
  port = "1"
  chassis = "1"
`;

/** As Proxmox 8 does: detached, with some devices in a file of its own. */
export function proxmoxWords(folder: string): readonly string[] {
  const configuration = join(folder, 'pve.cfg');
  writeFileSync(configuration, PROXMOX_DEVICES);
  return [
    '-name web,debug-threads=on -no-shutdown -daemonize'.split(' '),
    '-chardev socket,id=qmp,path=QMP,server=on,wait=off -mon chardev=qmp,mode=control'.split(' '),
    '-smbios type=1,uuid=6f1ad9f2-2b5e-4c1a-9c55-0d3f6a1f7a10'.split(' '),
    '-smp 1,sockets=1,cores=1,maxcpus=1 -nodefaults'.split(' '),
    '-boot menu=on,strict=on,reboot-timeout=1000'.split(' '),
    ['-vnc', `unix:${join(folder, 'vnc')},password=on`],
    '-cpu qemu64 -m 32 -object iothread,id=iothread-virtioscsi0'.split(' '),
    ['-readconfig', configuration],
    '-device vmgenid,guid=6f1ad9f2-2b5e-4c1a-9c55-0d3f6a1f7a11'.split(' '),
    '-device usb-tablet,id=tablet,bus=ehci.0,port=1'.split(' '),
    ['-chardev', `socket,id=serial0,path=${join(folder, 'serial0')},server=on,wait=off`],
    '-device isa-serial,chardev=serial0'.split(' '),
    '-device VGA,id=vga,bus=pcie.0,addr=0x1,vgamem_mb=1'.split(' '),
    '-device virtio-balloon-pci,id=balloon0,bus=pcie.0,addr=0x3,free-page-reporting=on'.split(' '),
    '-device virtio-scsi-pci,id=virtioscsi0,bus=pcie.0,addr=0x5,iothread=iothread-virtioscsi0'.split(
      ' ',
    ),
    '-machine type=pc-q35-7.2 -accel tcg'.split(' '),
  ].flat();
}
