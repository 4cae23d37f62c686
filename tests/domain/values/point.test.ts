import { describe, expect, test } from '@jest/globals';
import * as either from 'fp-ts/lib/Either.js';
import fc from 'fast-check';
import { UTC } from '../../../domain/values/instant.ts';
import { parsePoint, splitPoint, type Point } from '../../../domain/values/point.ts';
import { refusalText } from '../../../domain/values/refusal-texts.ts';

const NOW = Date.parse('2026-11-20T10:00:00Z');
const parse = (text: string) => parsePoint(text, { nowMs: NOW, zone: UTC });

describe('a point', () => {
  test.each<[string, Point]>([
    ['latest', { _tag: 'latest' }],
    ['@1', { _tag: 'capture', capture: 1 }],
    ['@12345', { _tag: 'capture', capture: 12_345 }],
    ['pos:0', { _tag: 'position', position: 0n }],
    ['pos:18446744073709551615', { _tag: 'position', position: 18_446_744_073_709_551_615n }],
    ['time:2026-11-20T10:00:00Z', { _tag: 'time', timeMs: NOW }],
    ['time:2026-11-20T10:00:00.250Z', { _tag: 'time', timeMs: NOW + 250 }],
    ['time:2026-11-20T12:00:00+02:00', { _tag: 'time', timeMs: NOW }],
    ['time:2026-11-20T10:00:00', { _tag: 'time', timeMs: NOW }],
    ['time:2026-11-20T10:00', { _tag: 'time', timeMs: NOW }],
    ['time:2026-11-20', { _tag: 'time', timeMs: NOW - 10 * 3_600_000 }],
    ['time:yesterday', { _tag: 'time', timeMs: NOW - 34 * 3_600_000 }],
    ['time:08:30', { _tag: 'time', timeMs: NOW - 1.5 * 3_600_000 }],
    ['ago:10s', { _tag: 'time', timeMs: NOW - 10_000 }],
    ['ago:500ms', { _tag: 'time', timeMs: NOW - 500 }],
    ['ago:1.5h', { _tag: 'time', timeMs: NOW - 5_400_000 }],
    ['ago:2d', { _tag: 'time', timeMs: NOW - 172_800_000 }],
    ['ago:3m', { _tag: 'time', timeMs: NOW - 180_000 }],
    ['cp:booted', { _tag: 'checkpoint', name: 'booted' }],
    ['cp:v1.2_x-3', { _tag: 'checkpoint', name: 'v1.2_x-3' }],
  ])('%s', (text, point) => {
    expect(parse(text)).toEqual(either.right(point));
  });

  test.each([
    '',
    'Latest',
    'latest ',
    '@',
    '@0',
    '@-1',
    '@1.5',
    '@1x',
    '@9999999999999999',
    '5',
    'pos:',
    'pos:-1',
    'pos:0x10',
    'pos:1e3',
    `pos:${'9'.repeat(40)}`,
    'time:',
    'time:tomorrow',
    'time:2026-13-01',
    'time:2026-02-30',
    'time:2025-02-29T00:00:00Z',
    'time:24:00',
    'time:2026-11-20 10:00:00',
    'time:1790000000000',
    'ago:',
    'ago:10',
    'ago:-10s',
    'ago:10w',
    'ago:1e3s',
    'cp:',
    'cp:a/b',
    'cp:..',
    'web/latest',
    'when:now',
    ':',
  ])('%j is none, and the refusal says why', (text) => {
    const parsed = parse(text);
    expect(either.isLeft(parsed)).toBe(true);
    if (either.isRight(parsed)) return;
    expect(parsed.left).toMatchObject({ _tag: 'BadPoint', text });
    expect(refusalText(parsed.left)).toContain('points are latest, @N');
  });

  test('of any text is a point or a refusal', () => {
    const forms = fc.tuple(fc.constantFrom('', '@', 'pos:', 'time:', 'ago:', 'cp:'), fc.string());
    fc.assert(
      fc.property(forms, ([form, rest]) => {
        const parsed = parse(form + rest);
        const isTime = either.isRight(parsed) && parsed.right._tag === 'time';
        expect(isTime && Number.isNaN(parsed.right.timeMs)).toBe(false);
      }),
    );
  });
});

test.each([
  ['web@3', 'web', '@3'],
  ['web/@3', 'web', '@3'],
  ['web/cp:a-name', 'web', 'cp:a-name'],
  ['web/time:12:25', 'web', 'time:12:25'],
  ['@3', null, '@3'],
  ['cp:a@3', null, 'cp:a@3'],
  ['latest', null, 'latest'],
  ['/@3', null, '/@3'],
  ['we b@3', null, 'we b@3'],
  ['web@x', null, 'web@x'],
])('%s names the VM %s and the point %s', (text, vm, point) => {
  expect(splitPoint(text)).toEqual({ vm, point });
});
