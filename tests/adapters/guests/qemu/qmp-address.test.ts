import { describe, expect, test } from '@jest/globals';
import {
  qmpAddressOf,
  qmpLabelOf,
  qmpOptionOf,
} from '../../../../adapters/guests/qemu/qmp-address.ts';

describe('an address of QMP', () => {
  test.each([
    ['/run/g.qmp', { kind: 'unix', path: '/run/g.qmp' }],
    ['g,1.qmp', { kind: 'unix', path: 'g,1.qmp' }],
    ['unix:/run/g.qmp', { kind: 'unix', path: '/run/g.qmp' }],
    ['unix:/run/g.qmp,server=on,wait=off', { kind: 'unix', path: '/run/g.qmp' }],
    ['unix:/run/g,,1.qmp,server', { kind: 'unix', path: '/run/g,1.qmp' }],
    ['tcp:localhost:4444', { kind: 'tcp', host: 'localhost', port: 4444 }],
    ['tcp::4444,server=on,wait=off', { kind: 'tcp', host: '127.0.0.1', port: 4444 }],
    ['tcp:[::1]:4444', { kind: 'tcp', host: '::1', port: 4444 }],
  ])('is read from %s', (text, address) => {
    expect(qmpAddressOf(text)).toEqual(address);
  });

  test.each(['tcp:localhost', 'tcp:localhost:0', 'tcp:a:99999', 'vsock:3:4', 'fd:3', 'stdio:'])(
    'is not %s',
    (text) => {
      expect(() => qmpAddressOf(text)).toThrow(
        expect.objectContaining({
          code: 'QMP_UNREACHABLE',
          message: expect.stringContaining(text),
        }),
      );
    },
  );

  test.each([
    ['unix:/run/g,,1.qmp', '/run/g,1.qmp', '-qmp unix:/run/g,,1.qmp,server=on,wait=off'],
    ['tcp:[::1]:4444', 'tcp:[::1]:4444', '-qmp tcp:[::1]:4444,server=on,wait=off'],
  ])('%s is shown as %s, and as an option of QEMU', (text, label, option) => {
    const address = qmpAddressOf(text);
    expect([qmpLabelOf(address), qmpOptionOf(address)]).toEqual([label, option]);
  });
});
