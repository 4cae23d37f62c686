import { describe, expect, test } from '@jest/globals';
import {
  beginsVmcoreinfo,
  parseVmcoreinfo,
  physicalOf,
  requiredOffset,
  requiredSymbol,
} from '../../../domain/guest/vmcoreinfo.ts';

const pageOf = (text: string): Uint8Array => {
  const page = new Uint8Array(4096);
  page.set(new TextEncoder().encode(text));
  return page;
};
const TEXT =
  'OSRELEASE=6.1.0-56-cloud-amd64\nBUILD-ID=00FFee1122\nPAGESIZE=4096\n' +
  'SYMBOL(swapper_pg_dir)=ffffffff8d60a000\nKERNELOFFSET=b400000\n' +
  'NUMBER(phys_base)=-94371840\nNUMBER(pgtable_l5_enabled)=1\nSIZE(page)=64\n' +
  'OFFSET(page.flags)=5000\nNUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-129\n';

describe('VMCOREINFO', () => {
  const info = parseVmcoreinfo(pageOf(TEXT));

  test('tells release, build, levels of page tables and how far the kernel was moved', () => {
    expect(info).toMatchObject({
      release: '6.1.0-56-cloud-amd64',
      buildId: '00ffee1122',
      kernelOffset: 0xb40_0000n,
      physBase: -94_371_840n,
      levels: 5,
    });
  });

  test('leads from an address in the image to where it lies', () => {
    expect(physicalOf(info, 0xffff_ffff_8d60_a000n)).toBe(0xd60_a000 - 94_371_840);
    expect(physicalOf(info, 0x1000n)).toBeNull();
  });

  test('has offsets that a structure can have', () => {
    expect(requiredOffset(info, 'SIZE(page)')).toBe(64);
    expect(() => requiredOffset(info, 'OFFSET(page.flags)')).toThrow(/OFFSET\(page\.flags\)=5000/u);
    expect(() => requiredOffset(info, 'SIZE(absent)')).toThrow(/does not say SIZE\(absent\)/u);
  });

  test('of a kernel before 6.0 says that it does not say where kallsyms are', () => {
    expect(() => requiredSymbol(info, 'kallsyms_names')).toThrow(
      expect.objectContaining({ code: 'GUEST_UNDESCRIBED' }),
    );
  });

  test('is told from other pages by its beginning, and is none without page tables', () => {
    expect(beginsVmcoreinfo(pageOf('OSRELEASE'))).toBe(false);
    const moved = (by: string): string => TEXT.replace('-94371840', by);
    for (const text of ['nothing', 'OSRELEASE=5\n', moved('7x'), moved('-2048')])
      expect(() => parseVmcoreinfo(pageOf(text))).toThrow(
        expect.objectContaining({ code: 'GUEST_INVALID' }),
      );
  });
});
