// A state that is loaded for its catalogue alone: contents, most of a large ledger's state, are loaded
// when somebody needs them, and what is known then is what a whole state knows.

import { beforeEach, describe, expect, test } from '@jest/globals';
import { catalogueText } from '../../../projections/models/catalogue-state.ts';
import type { LedgerState } from '../../../projections/models/ledger-state.ts';
import { damagedCaptures } from '../../../projections/questions/affected-points.ts';
import { HandMadeLedger } from '../../support/hand-made-captures.ts';
import { MapStateFiles } from '../../support/disks/map-state-files.ts';
import { plainPacks } from '../../support/packs/plain-packs.ts';

const WITHOUT = { isWithoutContents: true };

const known = (state: LedgerState): unknown => ({
  catalogue: catalogueText(state.catalogue),
  packs: plainPacks(state.contents.packs),
  next: state.next,
});

describe('a state without contents', () => {
  let ledger: HandMadeLedger;
  let files: MapStateFiles;
  beforeEach(async () => {
    ledger = new HandMadeLedger();
    files = new MapStateFiles();
    await ledger.record({ vm: 'a', pages: [7, 8, 0] });
    await ledger.record({ vm: 'a', pages: [7, 9, 0] });
    const kept = ledger.open(files);
    await kept.catchUp({ heavy: true });
    await kept.save();
  });

  /** What a state that folded everything knows. */
  const all = async (): Promise<unknown> => {
    await ledger.state.catchUp({ heavy: true });
    return known(ledger.state);
  };

  const opened = async (): Promise<LedgerState> => {
    const state = ledger.open(files);
    await state.load(WITHOUT);
    await state.catchUp({ heavy: false });
    return state;
  };

  test('has the catalogue, and nothing where contents are asked for', async () => {
    const state = await opened();
    await ledger.state.catchUp({ heavy: true });
    expect(catalogueText(state.catalogue)).toBe(catalogueText(ledger.state.catalogue));
    expect(state.next).toBe(ledger.state.next);
    expect(() => state.contents).toThrow('the model contents is loaded before it is used');
    const replay = () => Promise.reject(new RangeError('nothing is damaged, so nothing is read'));
    expect(await damagedCaptures({ state, replay })).toEqual(new Map());
    expect(() => state.contents).toThrow('the model contents is loaded before it is used');
    expect(await state.save()).toBe(false);
  });

  test('becomes whole when that is asked for, once', async () => {
    const state = await opened();
    await state.whole();
    const { contents } = state;
    await state.whole();
    expect(state.contents).toBe(contents);
    expect(known(state)).toEqual(await all());
  });

  test('becomes whole where there is something to fold', async () => {
    await ledger.record({ vm: 'b', pages: [9, 5] });
    const state = await opened();
    expect(known(state)).toEqual(await all());
    expect(await state.save()).toBe(true);
  });

  test('becomes whole for who records', async () => {
    const state = await opened();
    await state.catchUp({ heavy: true });
    expect(known(state)).toEqual(await all());
    expect(state.sharing.indexed).toBe(state.contents.count);
  });

  test.each(['whole', 'catchUp'] as const)(
    'is folded anew where the file is gone when %s needs it',
    async (how) => {
      const state = ledger.open(files);
      await state.load(WITHOUT);
      files.kept.clear();
      await ledger.record({ vm: 'b', pages: [9, 5] });
      if (how === 'whole') await state.whole();
      else await state.catchUp({ heavy: false });
      expect(known(state)).toEqual(await all());
    },
  );

  test('is empty where nothing was kept', async () => {
    files.kept.clear();
    const state = await opened();
    expect(known(state)).toEqual(await all());
  });

  test('takes in what only the catalogue tells of, and contents stay as they are kept', async () => {
    await ledger.checkpoint('a', 'here', 2);
    files.saved.length = 0;
    const state = await opened();
    expect(state.catalogue.vms.get('a')!.checkpoints.map(({ name }) => name)).toEqual(['here']);
    expect(() => state.contents).toThrow('the model contents is loaded before it is used');
    expect(await state.save()).toBe(true);
    expect(files.saved).toEqual(['catalogue']);
    const again = await opened();
    expect(again.next).toBe(state.next);
    expect(await again.save()).toBe(false);
    await again.whole();
    expect(known(again)).toEqual(await all());
  });

  test('is not written anew for the few events that came since, where captures are very many', async () => {
    for (let capture = 3; capture <= 520; capture += 1)
      await ledger.record({ vm: 'a', pages: [7, capture, 0] });
    const kept = ledger.open(files);
    await kept.catchUp({ heavy: true });
    await kept.save();
    for (const [name, isSaved] of [
      ['first', false],
      ['second', false],
      ['third', true],
    ] as const) {
      await ledger.checkpoint('a', name, 2);
      files.saved.length = 0;
      const state = await opened();
      expect(state.catalogue.vms.get('a')!.checkpoints.at(-1)!.name).toBe(name);
      expect(await state.save()).toBe(isSaved);
      expect(files.saved).toEqual(isSaved ? ['catalogue'] : []);
    }
    expect(await (await opened()).save()).toBe(false);
  });

  test('and one that was whole write contents only where they changed', async () => {
    const whole = async (): Promise<LedgerState> => {
      const state = ledger.open(files);
      await state.load();
      await state.catchUp({ heavy: true });
      files.saved.length = 0;
      return state;
    };
    await ledger.checkpoint('a', 'here', 2);
    await (await whole()).save();
    expect(files.saved).toEqual(['catalogue']);
    const [before] = await files.list('contents/');
    await ledger.record({ vm: 'a', pages: [7, 9, 3] });
    await (await whole()).save();
    const [after, ...others] = await files.list('contents/');
    expect(files.saved).toEqual([after, 'catalogue']);
    expect(after).not.toBe(before);
    expect(others).toEqual([]);
    expect(known(await whole())).toEqual(await all());
  });

  test('is read again where another process kept a later one and dropped its contents', async () => {
    const early = ledger.open(files);
    await early.load(WITHOUT);
    await ledger.record({ vm: 'a', pages: [7, 9, 3] });
    const other = ledger.open(files);
    await other.load();
    await other.catchUp({ heavy: true });
    await other.save();
    files.loaded.length = 0;
    await early.whole();
    expect(files.loaded).toContain((await files.list('contents/'))[0]);
    expect(known(early)).toEqual(await all());
  });

  test('is folded anew where its contents are gone', async () => {
    const [file] = await files.list('contents/');
    await files.drop(file!);
    const state = ledger.open(files);
    await state.load();
    await state.catchUp({ heavy: false });
    expect(known(state)).toEqual(await all());
  });
});
