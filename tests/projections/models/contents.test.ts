import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { NO_PATCHES, type PatchTable } from '../../../domain/events/patches.ts';
import { IDENTIFIER_BYTES } from '../../../domain/ports/page-engine.ts';
import { contentOf, holdingOfContent, type Holding } from '../../../domain/values/holding.ts';
import { placeAt } from '../../../domain/values/place.ts';
import { Contents } from '../../../projections/models/contents.ts';
import { StateReader, StateUnfit, StateWriter } from '../../../projections/models/state-bytes.ts';
import { inFile } from '../../support/disks/map-state-files.ts';
import { rawBlocks } from '../../support/hand-made-captures.ts';
import { plainPacks } from '../../support/packs/plain-packs.ts';

const nameOf = (number: number): string => number.toString(16).padStart(64, '0');

/** Takes in a pack of one content; gives what holds it. */
function add(contents: Contents, number: number, patches: PatchTable = NO_PATCHES): Holding {
  const pack = contents.add(
    {
      name: nameOf(number),
      capture: 1,
      group: 'default',
      sizeBytes: 4160,
      blocks: rawBlocks(1),
      identifiers: new Uint8Array(IDENTIFIER_BYTES).fill(number),
      patches,
    },
    { vm: 'a', position: BigInt(number), isLinked: true },
  );
  return contents.holdingOf(pack, 0);
}

/** A patch in slot 0 over slot 0 of a pack. */
const patchOver = (number: number): PatchTable => ({
  packs: [nameOf(number)],
  slots: Uint16Array.of(0),
  packIndexes: Uint16Array.of(0),
  references: Uint16Array.of(0),
});

/** The same as another process has them that loads them. */
function loaded(contents: Contents): Contents {
  const writer = new StateWriter();
  contents.save(writer);
  return Contents.load(new StateReader(writer.bytes()));
}

describe('the count of patches that refer to a content', () => {
  test('is of the content that stands for another', () => {
    const contents = new Contents();
    const old = add(contents, 1);
    const anew = add(contents, 2);
    const patch = add(contents, 3, patchOver(1));
    expect([...contents.referrers()]).toEqual([1, 0, 0]);
    contents.alias(contentOf(old), contentOf(anew));
    const second = add(contents, 4, patchOver(1));
    expect([...contents.referrers()]).toEqual([...loaded(contents).referrers()]);
    expect([...contents.referrers()]).toEqual([0, 2, 0, 0]);
    contents.release(patch, 1);
    contents.release(second, 2);
    expect([...contents.referrers()]).toEqual([0, 0, 0, 0]);
    expect([...loaded(contents).referrers()]).toEqual([0, 0, 0, 0]);
    expect(contents.firstOf(old)).toBe(holdingOfContent(contentOf(anew)));
  });
});

describe('the place of a content', () => {
  test('is nowhere once it was let go of, and where it was when it is used again', () => {
    const contents = new Contents();
    add(contents, 1);
    const second = add(contents, 2);
    const place = contents.placeOf(second);
    expect(place).toBe(placeAt(1, 0));
    expect(contents.placeOf(second)).toBe(place);
    contents.release(second, 1);
    expect(contents.placeOf(second)).toBeLessThan(0);
    expect(contents.placeOf(holdingOfContent(0))).toBe(placeAt(0, 0));
    contents.revive(second);
    expect(contents.placeOf(second)).toBe(place);
  });
});

describe('the state of contents', () => {
  /** A written pack, a patch over it, and one whose page moved to a rewritten pack. */
  function several(): Contents {
    const contents = new Contents();
    add(contents, 1);
    add(contents, 2, patchOver(1));
    const moved = add(contents, 3);
    const tables = { ...contents.packs[0]!.tables, sizeBytes: 9000 };
    const held = { name: nameOf(9), group: 'default', position: 9n, tables };
    contents.insertRewritten({ ...held, holdings: Uint32Array.of(moved) });
    return contents;
  }

  function bytesOf(contents: Contents): Uint8Array {
    const writer = new StateWriter();
    contents.save(writer);
    return writer.bytes().slice();
  }

  test('is the same whether the tables of its packs were asked for or not', () => {
    const contents = several();
    const bytes = bytesOf(contents);
    const again = Contents.load(new StateReader(bytes));
    expect(bytesOf(again)).toEqual(bytes);
    expect(plainPacks([...again.all])).toEqual(plainPacks([...contents.all]));
    expect(bytesOf(again)).toEqual(bytes);
    expect(again.isPatch(holdingOfContent(1))).toBe(true);
  });

  test('with tables that are uneven is none, though nobody asked for them', () => {
    const bytes = bytesOf(several());
    // The first pack's table: its size, then a column of one codec.
    const size = new Uint8Array(new Uint32Array([4160, 1]).buffer);
    const at = Buffer.from(bytes).indexOf(size) + 4;
    expect(at).toBeGreaterThan(4);
    const load = (changed: Uint8Array): Contents => Contents.load(new StateReader(changed));
    const longer = (from: number): Uint8Array => {
      const one = Uint8Array.of(...bytes.subarray(0, from), 0, ...bytes.subarray(from));
      new DataView(one.buffer).setUint32(at, 2, true);
      return one;
    };
    expect(() => load(longer(at + 5))).toThrow('a table is uneven');
    const odd = bytes.slice();
    new DataView(odd.buffer).setUint32(at + 10, 3, true);
    expect(() => load(odd)).toThrow(StateUnfit);
    for (let length = 0; length < bytes.length; length += 1)
      expect(() => load(bytes.subarray(0, length))).toThrow(StateUnfit);
  });

  test('takes no memory by the numbers that it claims', () => {
    const claimed = { ordinal: 0x7fff_ffff, contents: 0x7fff_ffff, patterns: 0x7fff_ffff };
    const nothing = new Uint8Array();
    const writer = new StateWriter();
    writer.u32(0xffff_ffff).u32(2).u32(0).u32(0).u64(0n);
    writer.u32(claimed.ordinal).u32(claimed.contents).u32(claimed.patterns);
    // Aliases of contents and of patterns, packs, what moved, and what was emptied.
    writer.column(nothing).column(nothing).u32(0).u32(0).column(nothing);
    const before = process.memoryUsage().arrayBuffers;
    const { numbers } = Contents.load(new StateReader(writer.bytes()));
    expect(numbers.next).toEqual({
      ordinal: claimed.ordinal,
      firstContent: claimed.contents,
      firstPattern: claimed.patterns,
    });
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 24);
  });
});

describe('the state file of contents', () => {
  const stateOf = (contents: Contents): Uint8Array => {
    const writer = new StateWriter();
    contents.saveState(writer);
    return writer.bytes().slice();
  };
  const readAgain = (contents: Contents): Contents =>
    Contents.loadState(new StateReader(inFile(stateOf(contents))));
  const baselineOf = (contents: Contents): Uint8Array => {
    const writer = new StateWriter();
    contents.save(writer);
    return writer.bytes().slice();
  };

  type Step = { readonly what: number; readonly of: number };
  const someSteps = fc.array(fc.record({ what: fc.nat(6), of: fc.nat(40) }), { maxLength: 40 });

  /** Does something with contents that are there; what a step does depends on it and nothing else. */
  function take(contents: Contents, { what, of }: Step, step: number): void {
    const holding = holdingOfContent(of % Math.max(1, contents.count));
    const isThere = contents.count > 0;
    if (what <= 1) add(contents, 1000 + step);
    else if (what === 2 && isThere) {
      const { pack } = contents.reference(holding);
      add(contents, 1000 + step, { ...patchOver(0), packs: [pack] });
    } else if (what === 3 && isThere) contents.release(holding, step);
    else if (what === 4 && isThere) contents.revive(holding);
    else if (what === 5 && isThere) {
      const { tables } = contents.packOf(contentOf(holding));
      const held = { name: nameOf(5000 + step), group: 'default', position: 9n, tables };
      contents.insertRewritten({ ...held, holdings: Uint32Array.of(holding) });
    } else if (what === 6 && contents.count > 1) contents.alias(0, contents.count - 1);
  }

  test('brings all back, whatever of it was asked for, and goes on as before', () => {
    fc.assert(
      fc.property(someSteps, fc.nat(40), fc.array(fc.nat(40)), (steps, cut, asked) => {
        const plain = new Contents();
        let kept = new Contents();
        for (const [i, step] of steps.entries()) {
          if (i === cut) kept = readAgain(kept);
          take(plain, step, i);
          take(kept, step, i);
        }
        for (const content of asked) {
          const holding = holdingOfContent(content);
          expect(kept.homePackOf(holding)?.name).toBe(plain.homePackOf(holding)?.name);
          expect(kept.placeOf(holding)).toBe(plain.placeOf(holding));
          expect(kept.leftAt(holding)).toBe(plain.leftAt(holding));
        }
        const again = readAgain(kept);
        expect(again.numbers).toEqual(plain.numbers);
        for (let packs = 0; packs <= plain.written + 1; packs += 1) {
          expect(again.numbering(packs)).toBe(plain.numbering(packs));
          expect(again.countOf(packs)).toBe(plain.countOf(packs));
        }
        for (const { name, ordinal } of plain.all) {
          expect(again.named(name)?.ordinal).toBe(ordinal);
          expect(again.lyingIn(again.named(name)!)).toBe(plain.lyingIn(plain.named(name)!));
          expect(again.emptiedAtMs(again.named(name)!)).toBe(plain.emptiedAtMs(plain.named(name)!));
        }
        expect(again.named(nameOf(9999))).toBeUndefined();
        expect(again.packsTo(1010n)).toBe(plain.packs.filter((of) => of.position <= 1010n).length);
        expect(baselineOf(again)).toEqual(baselineOf(plain));
        expect(stateOf(again)).toEqual(stateOf(readAgain(plain)));
      }),
    );
  });

  test('makes no pack that nobody asks for', () => {
    const contents = new Contents();
    for (let i = 0; i < 3; i += 1) add(contents, 100 + i);
    const bytes = stateOf(contents);
    const at = Buffer.from(bytes).indexOf(new Uint8Array(new Uint32Array([4160, 1]).buffer));
    // The first pack's table is uneven: who asks for another one does not find out.
    bytes[at + 4] = 2;
    const again = Contents.loadState(new StateReader(bytes));
    expect(again.packOf(2).name).toBe(nameOf(102));
    expect(again.byName(nameOf(101))?.firstContent).toBe(1);
    expect(() => [...again.all]).toThrow(StateUnfit);
  });

  test('that is cut off, or whose packs are numbered otherwise, is none', () => {
    const contents = new Contents();
    for (let i = 0; i < 3; i += 1) add(contents, 100 + i);
    contents.release(holdingOfContent(1), 5);
    const bytes = stateOf(contents);
    expect(Contents.loadState(new StateReader(bytes)).count).toBe(3);
    for (let length = 0; length < bytes.length; length += 1)
      expect(() => Contents.loadState(new StateReader(bytes.subarray(0, length)))).toThrow(
        StateUnfit,
      );
    const spoiledAt = (at: number): Contents => {
      const spoiled = bytes.slice();
      spoiled[at]! += 1;
      return Contents.loadState(new StateReader(spoiled));
    };
    // The ordinals, and the first contents: columns of three numbers.
    const column = new Uint8Array(Uint32Array.of(12, 0, 1, 2).buffer);
    const ordinalsAt = Buffer.from(bytes).indexOf(column);
    const firstsAt = Buffer.from(bytes).indexOf(column, ordinalsAt + 1);
    expect(firstsAt).toBe(ordinalsAt + column.length);
    for (const at of [ordinalsAt, firstsAt + 8])
      expect(() => spoiledAt(at + 4)).toThrow(StateUnfit);
    const nameAt = Buffer.from(bytes).indexOf(Buffer.from(nameOf(101), 'hex')) + 32;
    // Behind the name: kind, contents, patterns. Who asks for another pack does not find out.
    for (const field of [4, 8]) {
      const otherwise = spoiledAt(nameAt + field);
      expect(otherwise.packOf(2).name).toBe(nameOf(102));
      expect(() => otherwise.byName(nameOf(101))).toThrow(StateUnfit);
    }
  });
});
