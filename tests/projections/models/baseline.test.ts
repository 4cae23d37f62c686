// A baseline as bytes: of format 1 it is read (tests/golden/baseline-1), of format 2 it stays what is
// written (baseline-2), and its parts are joined again whatever was left behind them.

import assert from 'node:assert';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import * as either from 'fp-ts/lib/Either.js';
import { BASELINE_TYPE, encodeControl } from '../../../domain/events/control.ts';
import { HISTORY_STREAM } from '../../../domain/events/streams.ts';
import { contentOf, isContent } from '../../../domain/values/holding.ts';
import { createMemoryEventLog } from '../../../adapters/stores/event-log-memory/event-log-memory.ts';
import {
  baselineBytes,
  baselineOf,
  partsOf,
  readBaseline,
  type BaselineState,
} from '../../../projections/models/baseline.ts';
import { catalogueOf, catalogueText } from '../../../projections/models/catalogue-state.ts';
import { Contents, isWritten, type AnyPack } from '../../../projections/models/contents.ts';
import { MemoryIdentifierColumn } from '../../../projections/models/identifier-index.ts';
import { lossesOf } from '../../../projections/models/losses-state.ts';
import { sharingAt } from '../../../projections/models/sharing-baseline.ts';
import { StateReader, StateUnfit, StateWriter } from '../../../projections/models/state-bytes.ts';
import { GOLDEN_FOLDER } from '../../support/golden/golden-capture.ts';
import { goldenCatalogue } from '../../support/golden/golden-catalogue.ts';
import { makeEvent } from '../../support/logs/log-events.ts';
import { valueOf } from '../../support/outcomes.ts';
import { plainPacks } from '../../support/packs/plain-packs.ts';

const BASELINE: BaselineState = {
  position: 9_007_199_254_740_993n,
  timeMs: 1_790_000_000_000,
  leavesTo: 9_007_199_254_750_000n,
  from: {
    next: 9_007_199_254_741_000n,
    last: null,
    pending: [{ stream: 'vm-b', revision: 4, position: 9_007_199_254_740_000n }],
  },
  streams: new Map([
    ['vm-a', 12],
    ['history', 3],
  ]),
  catalogue: '{"a catalogue":1}',
  losses: '[]',
  contents: Uint8Array.of(1, 2, 3),
  kept: [
    {
      ordinal: 7,
      slots: Uint8Array.of(0b101),
      identifiers: Uint8Array.from({ length: 64 }, (_, i) => i),
      holders: Uint32Array.of(2, 0),
    },
  ],
  hidden: Uint32Array.of(300),
  tables: new Map([['a', Uint32Array.of(0, 1, 256, 4_294_967_295)]]),
  leaves: Uint8Array.of(0, 5, 0, 0, 0),
};

/** One that tells of few slots of a large pack, and of VMs. */
const BASELINE_2: BaselineState = {
  ...BASELINE,
  catalogue: catalogueText(goldenCatalogue()),
  kept: [
    ...BASELINE.kept,
    {
      ordinal: 9,
      slots: Uint8Array.from({ length: 512 }, (_, i) => (i === 2 ? 0b10 : i === 511 ? 0x80 : 0)),
      identifiers: Uint8Array.from({ length: 64 }, (_, i) => 255 - i),
      holders: Uint32Array.of(1),
    },
  ],
};

const bytesOf = (golden: string): Uint8Array =>
  Uint8Array.from(readFileSync(join(GOLDEN_FOLDER, golden)));

/** Appends parts, and what commits them where that is said. */
async function appended(states: readonly (readonly [Uint8Array, 'committed' | 'left'])[]) {
  const log = createMemoryEventLog();
  let revision = -1;
  for (const [bytes, fate] of states) {
    const firstRevision = revision + 1;
    const parts = [...partsOf(bytes, null)];
    const events = parts.map((data) => ({ ...makeEvent(), type: BASELINE_TYPE, schema: 1, data }));
    const data = {
      begins: '1',
      parts: parts.length,
      firstRevision,
      from: '0',
      bytes: bytes.length,
      format: null,
    };
    const encoded = encodeControl({ type: 'HistoryForgotten', data });
    assert.ok(either.isRight(encoded));
    const last = encoded.right;
    if (fate === 'committed')
      events.push({ ...makeEvent(), type: 'HistoryForgotten', schema: 1, data: last });
    const request = { stream: HISTORY_STREAM, expectedRevision: revision, events };
    ({ revision } = await valueOf(log.append(request)));
  }
  return log;
}

describe('a baseline', () => {
  test('of format 1 is read as it was', () => {
    expect(baselineOf(bytesOf('baseline-1/baseline.bin'))).toEqual(BASELINE);
  });

  test('of format 2 is read, and written, as it was', () => {
    const golden = bytesOf('baseline-2/baseline.bin');
    const read = baselineOf(golden);
    expect(read).toEqual(BASELINE_2);
    expect(catalogueOf(read.catalogue)).toEqual(catalogueOf(catalogueText(goldenCatalogue())));
    expect(catalogueText(catalogueOf(read.catalogue))).toBe(read.catalogue);
    expect(Uint8Array.from(baselineBytes(BASELINE_2))).toEqual(golden);
  });

  test.each([
    ['baseline-1', [0, 0]],
    ['baseline-2', [40, 0]],
  ] as const)('of a ledger that was (%s) is begun with', (format, emptied) => {
    const of = baselineOf(bytesOf(`${format}/whole.bin`));
    const contents = Contents.load(new StateReader(of.contents));
    const sharing = sharingAt({ ...of, at: 0n, id: '00' }, new MemoryIdentifierColumn());
    expect(sharing.indexed).toBe(contents.count);
    expect([...contents.all].length).toBeGreaterThan(0);
    const isEmptied = (pack: AnyPack): boolean => pack.blocks.codecs.length === 0;
    const [written, rewritten] = [
      contents.packs,
      [...contents.all].filter((pack) => !isWritten(pack)),
    ];
    expect([written.filter(isEmptied).length, rewritten.filter(isEmptied).length]).toEqual(emptied);
    expect(lossesOf(of.losses).size).toBe(0);
    expect([...of.tables.keys()]).toEqual(['web', 'db']);
    expect([...catalogueOf(of.catalogue).vms.keys()]).toEqual(['web', 'db']);
    // What every page of a table holds lies somewhere, and has its identifier.
    for (const table of of.tables.values())
      for (const holding of table) {
        if (!isContent(holding)) continue;
        const place = contents.placeOf(holding);
        expect(isEmptied(contents.packAt(place))).toBe(false);
        expect(sharing.index.find(sharing.identifierAt(holding), 0)).toBe(contentOf(holding));
      }
    // It is stated as it was, also where it was stated otherwise before.
    const writer = new StateWriter();
    contents.save(writer);
    const again = Contents.load(new StateReader(writer.bytes()));
    expect(again.saved.places).toEqual(contents.saved.places);
    expect(plainPacks([...again.all])).toEqual(plainPacks([...contents.all]));
  });

  test('that ends anywhere is none', () => {
    const bytes = baselineBytes(BASELINE_2);
    for (let end = 0; end < bytes.length; end += 1)
      expect(() => baselineOf(bytes.slice(0, end))).toThrow(StateUnfit);
  });

  test('counts once it is committed, in as many parts as it needs', async () => {
    const large = { ...BASELINE, contents: new Uint8Array(600_000).fill(7) };
    const log = await appended([[baselineBytes(large), 'committed']]);
    expect(await readBaseline(log)).toMatchObject(large);
    expect(await readBaseline(createMemoryEventLog())).toBeNull();
    const left = await appended([[baselineBytes(large), 'left']]);
    expect(await readBaseline(left)).toBeNull();
  });
});
