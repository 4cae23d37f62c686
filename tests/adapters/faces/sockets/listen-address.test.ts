import { describe, expect, test } from '@jest/globals';
import { uriOf } from '../../../../adapters/faces/nbd/uri.ts';
import {
  isOpenToOthers,
  listenAddressOf,
} from '../../../../adapters/faces/sockets/listen-address.ts';

describe('where to listen', () => {
  test.each([
    ['unix:/run/a.sock', { kind: 'unix', path: '/run/a.sock' }],
    ['./a.sock', { kind: 'unix', path: './a.sock' }],
    ['10809', { kind: 'tcp', host: '127.0.0.1', port: 10809 }],
    [':0', { kind: 'tcp', host: '127.0.0.1', port: 0 }],
    ['tcp:0.0.0.0:10809', { kind: 'tcp', host: '0.0.0.0', port: 10809 }],
    ['[::1]:10809', { kind: 'tcp', host: '::1', port: 10809 }],
  ])('%s is understood', (text, address) => {
    expect(listenAddressOf(text)).toEqual(address);
  });

  test.each(['', 'unix:', 'tcp:host', '70000', 'a:b:c', `/${'x'.repeat(200)}`])(
    '%j is refused, with what was expected',
    (text) => {
      expect(() => listenAddressOf(text)).toThrow(/was expected/u);
    },
  );

  test('is loopback unless it is told otherwise', () => {
    const open = [
      '9',
      'tcp:localhost:9',
      '[::1]:9',
      '/a/b',
      '0.0.0.0:9',
      '[::]:9',
      'host.example:9',
    ];
    expect(open.filter((text) => isOpenToOthers(listenAddressOf(text)))).toEqual(open.slice(4));
  });

  test('is written as NBD clients take it', () => {
    expect(uriOf(listenAddressOf('/run/a b&c.sock'))).toBe(
      'nbd+unix:///?socket=/run/a%20b%26c.sock',
    );
    expect(uriOf(listenAddressOf('[::1]:9'), 'web/@3')).toBe('nbd://[::1]:9/web/@3');
  });
});
