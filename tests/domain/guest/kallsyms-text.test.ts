import { describe, expect, test } from '@jest/globals';
import { misplacedSymbol, parseKallsymsText } from '../../../domain/guest/kallsyms-text.ts';
import { parseVmcoreinfo } from '../../../domain/guest/vmcoreinfo.ts';

const STEXT = 0xffff_ffff_8140_0000n;
const parse = (text: string, stext = STEXT) =>
  parseKallsymsText(new TextEncoder().encode(text), stext);

const LIST = [
  '0000000000031980 A runqueues',
  'ffffffff81400000 T _stext',
  'ffffffff81400040 t helper',
  'ffffffff8140c000 D init_task',
  'ffffffffc0010000 t of_module\t[module]',
  '',
].join('\n');

describe('a list of symbols', () => {
  test('has each at its address, but those of modules', () => {
    const symbols = parse(LIST);
    expect(Array.from({ length: symbols.count }, (_, i) => symbols.at(i))).toEqual([
      { name: 'runqueues', kind: 'A', address: 0x31980n },
      { name: '_stext', kind: 'T', address: STEXT },
      { name: 'helper', kind: 't', address: STEXT + 0x40n },
      { name: 'init_task', kind: 'D', address: STEXT + 0xc000n },
    ]);
  });

  test('of another boot is moved to where the kernel lies, but for what each CPU has', () => {
    const symbols = parse(LIST, STEXT + 0x20_0000n);
    expect(symbols.addressOf('init_task')).toBe(STEXT + 0x20_c000n);
    expect(symbols.addressOf('runqueues')).toBe(0x31980n);
  });

  test('is of another kernel where VMCOREINFO has a symbol elsewhere', () => {
    const told = (lines: string) =>
      parseVmcoreinfo(
        new TextEncoder().encode(
          `OSRELEASE=5.10.0\nNUMBER(phys_base)=0\nSYMBOL(swapper_pg_dir)=ffffffff81a00000\n${lines}`,
        ),
      );
    const symbols = parse(`${LIST}ffffffff81400090 t helper\n`);
    for (const [lines, misplaced] of [
      ['', null],
      ['SYMBOL(init_task)=ffffffff8140c000', null],
      // It may be any of several of that name.
      ['SYMBOL(helper)=ffffffff81400090', null],
      // It points elsewhere.
      ['SYMBOL(runqueues)=ffff888000000000', null],
      ['SYMBOL(init_task)=ffffffff8140c040', 'init_task'],
      ['SYMBOL(helper)=ffffffff814000a0', 'helper'],
    ] as const)
      expect(misplacedSymbol(symbols, told(lines))).toBe(misplaced);
  });

  const wrong = [
    ['has no `_stext`', 'ffffffff81400040 t helper\n', /no `_stext`/u],
    ['was read without rights', LIST.replaceAll(/[0-9a-f]{16}/gu, '0'.repeat(16)), /hidden/u],
    ['is something else', 'BEGIN\n', /line 1 is no line of kallsyms/u],
    ['has a name that is none', `${LIST}ffffffff81400040 t ${'n'.repeat(600)}`, /line 6 is/u],
  ] as const;
  for (const [title, text, why] of wrong)
    test(`is refused where it ${title}`, () => {
      expect(() => parse(text)).toThrow(why);
    });
});
