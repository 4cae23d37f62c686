import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { resumableCommand } from '../../../../adapters/guests/qemu/recorded-command.ts';

const QEMU = 'qemu-system-x86_64';
const WINDOWLESS = ['-display', 'none', '-monitor', 'none'];

const resumable = (...words: string[]): readonly string[] => {
  const command = resumableCommand([QEMU, ...words]);
  expect(command[0]).toBe(QEMU);
  expect(command.slice(-WINDOWLESS.length)).toEqual(WINDOWLESS);
  return command.slice(1, -WINDOWLESS.length);
};

describe('a recorded command line', () => {
  test('loses what belongs to the guest that was recorded', () => {
    expect(
      resumable(
        '-nodefaults',
        '-S',
        '-s',
        '-daemonize',
        '-pidfile',
        '/run/g.pid',
        '-m',
        '512',
        '-qmp',
        'unix:/run/g.qmp,server=on',
        '-mon',
        'chardev=monitor,mode=control',
        '--vnc',
        'unix:/run/g.vnc,password=on',
        '-incoming',
        'defer',
        '-loadvm',
        'one',
        '-nographic',
        '-D',
        '/var/log/g.log',
        '-machine',
        'pc-i440fx-7.2',
      ),
    ).toEqual(['-nodefaults', '-m', '512', '-machine', 'pc-i440fx-7.2']);
  });

  test('keeps character devices by their ids, and leads them nowhere', () => {
    expect(
      resumable(
        '-nodefaults',
        '-chardev',
        'socket,path=/run/agent,server=on,wait=off,id=agent',
        '-device',
        'virtserialport,chardev=agent,name=org.qemu.guest_agent.0',
        '-chardev',
        'file,path=/tmp/log,mux=on,id=log',
      ),
    ).toEqual([
      '-nodefaults',
      '-chardev',
      'null,id=agent',
      '-device',
      'virtserialport,chardev=agent,name=org.qemu.guest_agent.0',
      '-chardev',
      'null,id=log,mux=on',
    ]);
  });

  test('has as many serial ports as before, and the first is the console', () => {
    const ports = ['-serial', 'stdio', '-serial', 'null', '-serial', 'none'];
    const recorded = ['-serial', 'unix:/run/a,server', '-serial', 'file:b', '-serial', 'none'];
    expect(resumable('-nodefaults', ...recorded)).toEqual(['-nodefaults', ...ports]);
    expect(resumable('-m', '1')).toEqual(['-m', '1', '-serial', 'stdio']);
    expect(resumable('-nodefaults')).toEqual(['-nodefaults']);
    const device = '{"driver":"isa-serial","chardev":"charserial0","id":"serial0"}';
    expect(
      resumable('-no-user-config', '-chardev', 'pty,id=charserial0', '-device', device),
    ).toEqual([
      '-no-user-config',
      '-chardev',
      'stdio,signal=off,id=charserial0',
      '-device',
      device,
    ]);
  });

  test('has memory of its own where the guest had a file, but keeps folders of large pages', () => {
    expect(
      resumable(
        '-nodefaults',
        '-mem-path',
        '/dev/shm/guest',
        '-object',
        'memory-backend-file,id=pc.ram,size=16M,mem-path=/dev/shm/guest,share=on',
      ),
    ).toEqual(['-nodefaults', '-object', 'memory-backend-ram,id=pc.ram,size=16M']);
    const json =
      '{"qom-type":"memory-backend-file","id":"m","mem-path":"/dev/shm/guest","share":true,"size":4096}';
    expect(resumable('-nodefaults', '-object', json)).toEqual([
      '-nodefaults',
      '-object',
      '{"qom-type":"memory-backend-ram","id":"m","size":4096}',
    ]);
    const folder = mkdtempSync(join(tmpdir(), 'pageledger-test-'));
    const large = ['-object', `memory-backend-file,id=m,size=16M,mem-path=${folder}`];
    expect(resumable('-nodefaults', ...large)).toEqual(['-nodefaults', ...large]);
    rmSync(folder, { recursive: true });
  });

  test("loses forwarded ports, libvirt's key and sound that goes to a window", () => {
    expect(
      resumable(
        '-nodefaults',
        '-netdev',
        'user,id=n,hostfwd=tcp::2222-:22,hostfwd=tcp::80-:80',
        '-object',
        '{"qom-type":"secret","id":"masterKey0","file":"/var/lib/key"}',
        '-audiodev',
        '{"id":"audio1","driver":"spice"}',
      ),
    ).toEqual(['-nodefaults', '-netdev', 'user,id=n', '-audiodev', 'none,id=audio1']);
  });

  test.each([
    [['-device', 'vfio-pci,host=01:00.0,id=gpu'], 'vfio-pci (gpu)'],
    [['-device', '{"driver":"vhost-vsock-pci","id":"v"}'], 'vhost-vsock-pci (v)'],
    [['-device', 'vhost-user-fs-pci,chardev=c'], 'vhost-user-fs-pci'],
    [['-netdev', 'tap,fd=33,id=hostnet0'], 'tap (hostnet0)'],
    [['-netdev', 'vhost-user,id=n,chardev=c'], 'vhost-user (n)'],
  ])('with %j is refused by the name of the device', (words, named) => {
    expect(() => resumableCommand([QEMU, ...words])).toThrow(named);
  });
});
