import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  chosenOf,
  lacks,
  rank,
  type RankedBy,
  type Candidate,
  type Needs,
} from '../../domain/placement.ts';

const NEEDS: Needs = { cores: 2, memoryBytes: 1000, features: ['avx2'], qemu: '7.2.10' };
const facts = (host: string, has: Partial<Candidate['facts']> = {}): Candidate['facts'] => ({
  host,
  address: null,
  cores: 4,
  memoryBytes: 4000,
  cpu: 'a CPU',
  features: ['avx2', 'sse4_2'],
  qemu: '7.2.22',
  distances: [],
  ...has,
});
const candidate = (host: string, of: Partial<Candidate> = {}): Candidate => ({
  facts: facts(host),
  regions: 0,
  pages: 0,
  used: 0,
  moveBytes: 0,
  distance: null,
  ...of,
});
const namesBy = (by: RankedBy, ...candidates: readonly Candidate[]) =>
  rank(candidates, { needs: NEEDS, by }).map(({ host }) => host);

describe('a host', () => {
  test.each([
    [{}, []],
    [{ cores: 1 }, ['1 of 2 cores']],
    [{ memoryBytes: 999 }, ['999 of 1000 bytes of memory']],
    [{ features: [] }, ["the CPU's avx2"]],
    [{ qemu: null }, ['QEMU']],
    [{ qemu: '7.2.9' }, ['QEMU 7.2.10']],
    [{ qemu: '7.10' }, []],
    [{ qemu: '10.0.2' }, []],
    [{ qemu: '6.9.99' }, ['QEMU 7.2.10']],
    [{ cores: 1, qemu: null }, ['1 of 2 cores', 'QEMU']],
  ])('that has %j lacks %j', (has, lacking) => {
    expect(lacks(facts('one', has), NEEDS)).toEqual(lacking);
  });
});

describe('hosts', () => {
  test('are ranked by what they have in common, as it is asked to be counted', () => {
    const of = [
      candidate('a', { regions: 3, pages: 10, used: 5 }),
      candidate('b', { regions: 1, pages: 30, used: 4 }),
      candidate('c', { regions: 2, pages: 20, used: 6 }),
    ];
    expect(namesBy('regions', ...of)).toEqual(['a', 'c', 'b']);
    expect(namesBy('pages', ...of)).toEqual(['b', 'c', 'a']);
    expect(namesBy('used', ...of)).toEqual(['c', 'a', 'b']);
  });

  test('of equals the nearest comes first, one of which nobody says how far it is last', () => {
    const far = candidate('far', { pages: 5, distance: 9 });
    const near = candidate('near', { pages: 5, distance: 1 });
    const somewhere = candidate('a', { pages: 5 });
    expect(namesBy('pages', somewhere, far, near)).toEqual(['near', 'far', 'a']);
    expect(namesBy('pages', near, candidate('best', { pages: 6, distance: 99 }))[0]).toBe('best');
  });

  test('that lack something come last, and none of them is chosen', () => {
    const weak = candidate('weak', { facts: facts('weak', { cores: 1 }), pages: 99 });
    const ranked = rank([weak, candidate('able')], { needs: NEEDS, by: 'pages' });
    expect(ranked.map(({ host, eligible }) => [host, eligible])).toEqual([
      ['able', true],
      ['weak', false],
    ]);
    expect(chosenOf(ranked)).toBe('able');
    expect(chosenOf(rank([weak], { needs: NEEDS, by: 'pages' }))).toBeNull();
    expect(chosenOf([])).toBeNull();
  });

  test('are ranked the same by everybody, in whatever order they come', () => {
    const some = fc.uniqueArray(
      fc.record({
        host: fc.constantFrom('a', 'b', 'c', 'd'),
        pages: fc.nat(2),
        distance: fc.option(fc.nat(2)),
      }),
      { selector: ({ host }) => host },
    );
    fc.assert(
      fc.property(some, (rows) => {
        const of = rows.map(({ host, ...rest }) => candidate(host, rest));
        expect(namesBy('pages', ...of)).toEqual(namesBy('pages', ...of.toReversed()));
      }),
    );
  });
});
