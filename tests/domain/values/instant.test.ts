// Instants and durations as people write them, against the calendar of the platform.

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  calendarDayOf,
  dayNumberOf,
  durationMs,
  instantMs,
  instantText,
  UTC,
  type Zone,
} from '../../../domain/values/instant.ts';

const HOUR = 3_600_000;
const NOW = Date.parse('2026-03-01T00:30:00Z');
const at = (text: string, zone: Zone = UTC) => instantMs(text, { nowMs: NOW, zone });
/** Two hours ahead of UTC. */
const EAST: Zone = { wallMs: (ms) => ms + 2 * HOUR, instantMs: (ms) => ms - 2 * HOUR };
/** Two hours behind. */
const WEST: Zone = { wallMs: (ms) => ms - 2 * HOUR, instantMs: (ms) => ms + 2 * HOUR };

describe('an instant', () => {
  test.each([
    ['2026-11-28', '2026-11-28T00:00:00Z'],
    ['2026-11-28T12:25', '2026-11-28T12:25:00Z'],
    ['2026-11-28T12:25:30', '2026-11-28T12:25:30Z'],
    ['2026-11-28T12:25:30.5', '2026-11-28T12:25:30.500Z'],
    ['2026-11-28T12:25Z', '2026-11-28T12:25:00Z'],
    ['2026-11-28T12:25+02:00', '2026-11-28T10:25:00Z'],
    ['2026-11-28T12:25-0930', '2026-11-28T21:55:00Z'],
    ['2024-02-29', '2024-02-29T00:00:00Z'],
    ['2000-02-29', '2000-02-29T00:00:00Z'],
    ['12:25', '2026-03-01T12:25:00Z'],
    ['00:10+02:00', '2026-02-28T22:10:00Z'],
    ['yesterday', '2026-02-28T00:00:00Z'],
  ])('%s is %s', (text, iso) => {
    expect(at(text)).toBe(Date.parse(iso));
  });

  test.each([
    '2026-02-30',
    '2026-02-30T10:00:00Z',
    '2026-04-31',
    '2025-02-29T00:00:00Z',
    '1900-02-29',
    '2026-00-10',
    '2026-13-10',
    '2026-01-00',
    '2026-11-28T24:00',
    '2026-11-28T12:60',
    '2026-11-28T12:25:60',
    '2026-11-28T12:25+24:00',
    '2026-11-28T',
    '2026-11-28T12',
    '2026-11-28 12:25',
    '26-11-28',
    '1:25',
    'Yesterday',
    'T12:25',
    '',
  ])('%j is none, and it is said why', (text) => {
    expect(at(text)).toEqual(expect.any(String));
  });

  test('without a zone is of the one that is said, and so are today and yesterday', () => {
    expect(at('2026-11-28T12:25', EAST)).toBe(Date.parse('2026-11-28T10:25:00Z'));
    expect(at('12:25', WEST)).toBe(Date.parse('2026-02-28T14:25:00Z'));
    expect(at('yesterday', WEST)).toBe(Date.parse('2026-02-27T02:00:00Z'));
    expect(at('2026-11-28T12:25Z', WEST)).toBe(Date.parse('2026-11-28T12:25:00Z'));
  });

  test('is shown and read as the platform does', () => {
    const days = fc.integer({ min: -100_000_000, max: 100_000_000 });
    fc.assert(
      fc.property(days, fc.integer({ min: 0, max: 86_399_999 }), (day, rest) => {
        const ms = Math.max(-8.64e15, Math.min(8.64e15, day * 24 * HOUR + rest));
        const iso = new Date(ms).toISOString();
        expect(instantText(ms)).toBe(iso);
        expect(dayNumberOf(calendarDayOf(day))).toBe(day);
        // Years of more than four digits are shown, and not read.
        expect(Number(at(iso))).toBe(iso.length === 24 ? ms : Number.NaN);
      }),
    );
  });
});

test('durations are a number and a unit', () => {
  expect(durationMs('0s')).toBe(0);
  expect(durationMs('0.5s')).toBe(500);
  expect(durationMs('s')).toBeNull();
  expect(durationMs('1 s')).toBeNull();
});
