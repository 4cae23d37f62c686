import { describe, expect, test } from '@jest/globals';
import {
  areBlocksSalted,
  decideLedger,
  evolveLedger,
  LEDGER_FORMAT,
  initialLedger,
  recordedCompression,
  type CreateGroup,
  type CreateLedger,
  type LedgerEvent,
} from '../../domain/ledger.ts';
import { CODEC_PACKED, CODEC_ZSTD } from '../../domain/values/pack.ts';
import { events, refusal, specify } from '../support/given-when-then.ts';

const given = specify({ initial: initialLedger, decide: decideLedger, evolve: evolveLedger });

const create = (ledger: string, pageStore: string | null = null): CreateLedger => ({
  _tag: 'CreateLedger',
  ledger,
  pageStore,
});
const created = (
  ledger: string,
  pageStore: string | null = null,
  format = LEDGER_FORMAT,
): LedgerEvent => ({
  type: 'LedgerCreated',
  data: { ledger, format, pageStore },
});
const make = (group: string, keyCheck: string): CreateGroup => ({
  _tag: 'CreateGroup',
  group,
  keyCheck,
});
const made = (group: string, keyCheck: string): LedgerEvent => ({
  type: 'GroupCreated',
  data: { group, keyCheck },
});

describe('the format of a ledger', () => {
  const factsAfter = (...past: readonly LedgerEvent[]) => past.reduce(evolveLedger, initialLedger);

  test('says whether blocks are salted: from 2 on', () => {
    const old = created('one', null, 1);
    expect(areBlocksSalted(factsAfter())).toBe(false);
    expect(areBlocksSalted(factsAfter(old))).toBe(false);
    expect(areBlocksSalted(factsAfter(old, created('one')))).toBe(true);
    expect(areBlocksSalted(factsAfter(created('one')))).toBe(true);
  });

  test('says how pages are compressed: packed from 2 on, as earlier releases read them before', () => {
    const old = created('one', null, 1);
    const zstd = { codec: CODEC_ZSTD, level: 1 };
    expect(recordedCompression(factsAfter())).toEqual(zstd);
    expect(recordedCompression(factsAfter(old))).toEqual(zstd);
    const packed = { codec: CODEC_PACKED };
    expect(recordedCompression(factsAfter(old, created('one')))).toEqual(packed);
    expect(recordedCompression(factsAfter(created('one')))).toEqual(packed);
  });
});

describe('creating a ledger', () => {
  test('gives it its identity and the place of its packs', () => {
    expect(given().when(create('one'))).toEqual(events(created('one')));
    expect(given().when(create('one', 's3://packs/x'))).toEqual(
      events(created('one', 's3://packs/x')),
    );
  });

  test('that another process has created brings nothing about', () => {
    expect(given(created('one')).when(create('other'))).toEqual(events());
  });

  test('twice at once makes the first, whatever the second says', () => {
    const state = [created('one', '/packs'), created('other', '/else')].reduce(
      evolveLedger,
      initialLedger,
    );
    expect(state.ledger).toEqual({ id: 'one', pageStore: '/packs', format: LEDGER_FORMAT });
  });
});

describe('raising the format', () => {
  const raise = { _tag: 'RaiseFormat', format: LEDGER_FORMAT } as const;

  test('says once more who the ledger is, in the newest format', () => {
    const old = created('one', '/packs', 1);
    expect(given(old).when(raise)).toEqual(events(created('one', '/packs')));
    expect(given(old, created('one', '/packs')).when(raise)).toEqual(events());
  });

  test('goes no further than is asked, so that releases of that format go on with the ledger', () => {
    const old = created('one', '/packs', 1);
    const second = { ...raise, format: 2 };
    expect(given(old).when(second)).toEqual(events(created('one', '/packs', 2)));
    expect(given(created('one', '/packs', 2)).when(second)).toEqual(events());
    expect(given(created('one', '/packs', 2)).when(raise)).toEqual(
      events(created('one', '/packs', LEDGER_FORMAT)),
    );
  });

  test('of a new ledger, or of one that nobody knows, brings nothing about', () => {
    expect(given(created('one')).when(raise)).toEqual(events());
    expect(given().when(raise)).toEqual(events());
  });

  test('in the name of another ledger raises nothing', () => {
    const state = [created('one', null, 1), created('other')].reduce(evolveLedger, initialLedger);
    expect(state.ledger).toEqual({ id: 'one', pageStore: null, format: 1 });
  });
});

describe('creating a group', () => {
  test('notes what its key is told from others by', () => {
    expect(given(created('one')).when(make('prod', 'a1'))).toEqual(events(made('prod', 'a1')));
  });

  test('that is there already brings nothing about, though the key be another', () => {
    expect(given(made('prod', 'a1')).when(make('prod', 'b2'))).toEqual(events());
    expect(given(made('prod', 'a1')).when(make('test', 'b2'))).toEqual(events(made('test', 'b2')));
  });

  test('twice at once keeps the first key', () => {
    const state = [made('prod', 'a1'), made('prod', 'b2')].reduce(evolveLedger, initialLedger);
    expect([...state.groups]).toEqual([['prod', 'a1']]);
  });

  test.each(['', '.x', 'a/b', 'g'.repeat(64)])('under the name %j is refused', (group) => {
    expect(given().when(make(group, 'a1'))).toEqual(refusal({ _tag: 'BadGroupName', group }));
  });
});
