import { describe, expect, test } from '@jest/globals';
import { Btf, requiredField } from '../../../domain/guest/btf.ts';
import { INT, madeBtf, struct, type MadeType } from '../../support/guest/made-btf.ts';
import { MADE_TYPES } from '../../support/guest/made-kernel.ts';

const INVALID = expect.objectContaining({ code: 'GUEST_INVALID' });

describe('the types of a kernel', () => {
  const btf = new Btf(madeBtf(MADE_TYPES));

  test('have fields at their places, also in parts without a name', () => {
    expect(btf.offsetOf('task_struct', 'flags')).toBe(72);
    expect(btf.offsetOf('task_struct', 'mm')).toBe(56);
    expect(btf.offsetOf('task_struct', 'tasks', 'prev')).toBe(24);
    expect(btf.offsetOf('task_struct', 'absent')).toBeNull();
    expect(btf.offsetOf('absent')).toBeNull();
    expect(() => requiredField(btf, 'task_struct', 'absent')).toThrow(/no task_struct\.absent/u);
  });

  test('have sizes, elements of arrays and values of enumerations', () => {
    expect(btf.sizeOf('mm_struct')).toBe(64);
    expect(btf.elementBytes('mm_struct', 'rss_stat', 'count')).toBe(8);
    expect(btf.elementBytes('mm_struct', 'pgd')).toBeNull();
    expect(btf.enumerator('MM_SHMEMPAGES')).toBe(3);
    expect(btf.enumerator('MM_OTHERS')).toBeNull();
  });

  test('with fields of bits have others at whole bytes', () => {
    const bits: MadeType = {
      kind: 4,
      name: 'bits',
      size: 8,
      flag: true,
      members: [
        { name: 'few', type: 1, bits: (3 << 24) + 5 },
        { name: 'next', type: 1, bits: (8 << 24) + 32 },
      ],
    };
    expect(new Btf(madeBtf([INT, bits])).offsetOf('bits', 'next')).toBe(4);
  });

  test('that are part of themselves have no field, and end', () => {
    const self = struct('self', 8, { '?': [1, 0], '?2': [2, 0], last: [1, 8] });
    const other = struct(undefined, 8, { '?': [1, 0], '?2': [2, 0] });
    const round = new Btf(madeBtf([self, other]));
    expect(round.offsetOf('self', 'absent')).toBeNull();
    expect(round.offsetOf('self', 'last')).toBe(8);
  });

  test('that are other names for themselves are refused', () => {
    const alias: MadeType = { kind: 8, name: 'alias', size: 1 };
    const holder = struct('holder', 8, { inner: [1, 0] });
    const round = new Btf(madeBtf([alias, holder]));
    expect(() => round.offsetOf('holder', 'inner', 'more')).toThrow(INVALID);
  });

  test('of names longer than kernels have are refused, and never looked through to their end', () => {
    const long = madeBtf([INT, struct('n'.repeat(1024), 8, {})]);
    expect(() => new Btf(long)).toThrow(INVALID);
    expect(new Btf(madeBtf([INT, struct('n'.repeat(1023), 8, {})])).sizeOf('n'.repeat(1023))).toBe(
      8,
    );
  });

  test('of many names in one place are refused before they take much memory', () => {
    const enumerators = Object.fromEntries(Array.from({ length: 17_000 }, (_, i) => [`e${i}`, i]));
    const bytes = madeBtf([
      struct('n'.repeat(1023), 8, {}),
      { kind: 6, name: 'many', size: 4, enumerators },
    ]);
    const view = new DataView(bytes.buffer);
    for (let at = 48; at < 48 + 8 * 17_000; at += 8) view.setUint32(at, 1, true);
    expect(() => new Btf(bytes)).toThrow(/names in BTF are too long/u);
  });

  test('are refused where a part lies outside, a type is cut or of an unknown kind', () => {
    const whole = madeBtf(MADE_TYPES);
    const spoiled = (at: number, value: number): Uint8Array => {
      const bytes = whole.slice();
      new DataView(bytes.buffer).setUint32(at, value, true);
      return bytes;
    };
    const wrong = [
      new Uint8Array(0),
      whole.subarray(0, 100),
      spoiled(0, 7),
      spoiled(4, 0xffff_ffff),
      spoiled(12, 13),
      spoiled(20, 0xffff_ffff),
      spoiled(28, 30 << 24),
      spoiled(28, 0x0400_ffff),
    ];
    for (const bytes of wrong) expect(() => new Btf(bytes)).toThrow(INVALID);
  });
});
