// Which guest a QEMU runs, by its command line.

import { describe, expect, test } from '@jest/globals';
import { followedRefusal, secondNameDoubt, uuidOf } from '../../domain/same-guest.ts';

const [ONE, TWO] = ['1b4e28ba-2fa1-11d2-883f-0016d3cca427', '6fa459ea-ee8a-3ca4-894e-db77e160355e'];
const line = (...words: readonly string[]): readonly string[] => ['qemu', '-m', '64', ...words];

describe('the UUID of a command line', () => {
  test.each<[string | null, readonly string[]]>([
    [ONE, line('-uuid', ONE)],
    [ONE, line('--uuid', ONE.toUpperCase())],
    [ONE, line('-smbios', `type=1,manufacturer=x,uuid=${ONE}`)],
    [TWO, line('-uuid', ONE, '-smbios', `type=1,uuid=${TWO}`)],
    [null, line('-smbios', `type=2,uuid=${ONE}`)],
    [null, line('-uuid', '00000000-0000-0000-0000-000000000000')],
    [null, line('-uuid', 'none')],
    [null, line('-uuid')],
    [null, []],
  ])('is %s', (uuid, argv) => expect(uuidOf(argv)).toBe(uuid));
});

test('a guest that is followed is refused where both have a UUID, and another one', () => {
  const refused = (was: readonly string[] | null, now: readonly string[] | null): boolean =>
    followedRefusal('web', was, now) !== null;
  expect(refused(line('-uuid', ONE), line('-uuid', TWO))).toBe(true);
  expect(refused(line('-uuid', ONE), line('-m', '1', '-uuid', ONE))).toBe(false);
  expect(refused(line('-uuid', ONE), line())).toBe(false);
  expect(refused(line(), line('-uuid', TWO))).toBe(false);
  expect(refused(null, line('-uuid', TWO))).toBe(false);
  expect(refused(line('-uuid', ONE), null)).toBe(false);
});

describe('a guest under a second name', () => {
  const doubt = (
    argv: readonly string[] | null,
    other: readonly string[] | null,
    { vm = 'other', isOneHost = true } = {},
  ): string | null => secondNameDoubt('web', argv, [{ vm, argv: other }], isOneHost);

  test('is told of by its UUID, on any host', () => {
    const [argv, other] = [line('-uuid', ONE, '-S'), line('-uuid', ONE)];
    expect(doubt(argv, other, { isOneHost: false })).toContain(`UUID (${ONE}) of VM other`);
    expect(doubt(argv, line('-uuid', TWO))).toBeNull();
    expect(doubt(argv, other, { vm: 'web' })).toBeNull();
  });

  test('is told of by its command line, on the host that has it', () => {
    expect(doubt(line('-S'), line('-S'))).toContain('command line of VM other');
    expect(doubt(line('-S'), line('-S'), { isOneHost: false })).toBeNull();
    expect(doubt(line('-S'), line())).toBeNull();
  });

  test('is none where it began at a point of the other, or nothing is known', () => {
    const resumed = line('-uuid', ONE, '-incoming', 'defer');
    expect(doubt(resumed, line('-uuid', ONE))).toBeNull();
    expect(doubt(line('-uuid', ONE), resumed)).toBeNull();
    expect(doubt(null, null)).toBeNull();
    expect(doubt(line(), null)).toBeNull();
  });
});
