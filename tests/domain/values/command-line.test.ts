import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isIncomplete, LEFT_OUT, recordedCommand } from '../../../domain/values/command-line.ts';

const SECRET = 'hunter2';

describe('a recorded command line', () => {
  test.each([
    ['-object', 'secret,id=s0,data=hunter2', '-object data'],
    ['-object', 'secret,id=s0,format=raw,data=hun,,hunter2', '-object data'],
    ['-object', '{"qom-type":"secret","id":"s0","data":"hunter2"}', '-object data'],
    ['-fw_cfg', 'name=opt/token,string=hunter2', '-fw_cfg string'],
    ['-smbios', 'type=11,value=io.systemd.credential:token=hunter2', '-smbios value'],
    ['-spice', 'port=1,password=hunter2,disable-ticketing=on', '-spice password'],
    ['-iscsi', 'user=me,password=hunter2', '-iscsi password'],
    ['-drive', 'file=https://me:hunter2@host/disk,if=virtio', '-drive'],
    ['-drive', 'file=https://hunter2@host/disk,if=virtio', '-drive'],
    ['-drive', 'file=https://me:a/hunter2@host/disk', '-drive'],
    ['-drive', 'file=iscsi://me%hunter2@host/iqn/0', '-drive'],
    ['-drive', 'file=https://host/disk?x=1&access_token=hunter2', '-drive access_token'],
    ['-drive', 'file=https://host/disk?X-Amz-Signature=hunter2', '-drive X-Amz-Signature'],
    ['-drive', 'file=rbd:pool/image:id=me:key=hunter2==', '-drive key'],
    ['-drive', 'driver=https,url=https://host,cookie=session=hunter2', '-drive cookie'],
    ['-drive', 'file=json:{"driver":"https","password":"hunter2"}', '-drive password'],
    ['-drive', 'file=json:{"driver":"https",,"password":"hunter2"}', '-drive json'],
    [
      '-blockdev',
      '{"driver":"luks","file":{"driver":"https","cookie":"hunter2"}}',
      '-blockdev cookie',
    ],
    ['-blockdev', '{"driver":"https","url":"https://me:hunter2@host/"', '-blockdev'],
    ['-append', 'console=ttyS0 token=hunter2 quiet', '-append token'],
    ['-append', 'root=/dev/vda admin_password="a hunter2" quiet', '-append admin_password'],
    ['-set', 'drive.d.password=hunter2', '-set drive.d.password'],
    ['-global', 'isa-applesmc.osk=hunter2', '-global isa-applesmc.osk'],
    ['--password', 'hunter2', '-password'],
    ['-name', 'https://me:hunter2@host', '-name'],
  ])('leaves out of %s %s what is secret, and says so', (option, value, name) => {
    const { argv, leftOut } = recordedCommand(['qemu-system-x86_64', option, value, '-m', '16']);
    expect(argv.join(' ')).not.toContain(SECRET);
    expect(argv[2]).toContain(LEFT_OUT);
    expect(argv.slice(3)).toEqual(['-m', '16']);
    expect(leftOut).toEqual([name]);
    expect(isIncomplete(argv)).toBe(true);
  });

  test.each([
    ['-vnc', ':0,password=on'],
    ['-vnc', ':0,password-secret=s0'],
    ['-object', 'secret,id=s0,file=/etc/secret,format=base64,keyid=s1,iv=AAAA'],
    ['-object', 'tls-creds-x509,id=t0,dir=/etc/pki,passwordid=s0'],
    ['-object', 'memory-backend-file,id=m,mem-path=/dev/shm/m,size=1G'],
    ['-drive', 'file=disk,,1.img,key-secret=s0,encrypt.format=luks'],
    ['-drive', 'file=ssh://me@host/disk.img'],
    ['-blockdev', '{ "driver": "luks", "key-secret": "s0", "file": "f" }'],
    ['-netdev', 'user,id=n0,hostfwd=tcp::2222-:22'],
    ['-append', 'console=ttyS0 root=/dev/vda keymap=us token='],
    ['-fw_cfg', 'name=opt/file,file=/run/config'],
    ['-smbios', 'type=1,serial=1234'],
    ['-k', 'en-us'],
  ])('keeps %s %s as it is', (option, value) => {
    const argv = ['qemu-system-x86_64', option, value];
    expect(recordedCommand(argv)).toEqual({ argv, leftOut: [] });
    expect(isIncomplete(argv)).toBe(false);
  });

  test('has as many words as there were, and is what it was when it is recorded again', () => {
    fc.assert(
      fc.property(fc.array(fc.string()), (argv) => {
        const once = recordedCommand(argv).argv;
        expect(once).toHaveLength(argv.length);
        expect(recordedCommand(once).argv).toEqual(once);
      }),
    );
  });
});
