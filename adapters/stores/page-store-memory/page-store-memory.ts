// A page store that lives as long as its process: for trying things out, and for tests of what
// stands on the port. It keeps the port's whole contract but durability.

import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import type { LedgerError } from '../../../domain/values/ledger-error.ts';
import { atPort } from '../../../domain/ports/run.ts';
import type { PackEntry, PageStore } from '../../../domain/ports/page-store.ts';
import type { EventMark } from '../../../domain/ports/event-log.ts';
import { failureOf } from '../../files/failures.ts';
import { checkPackBytes, checkPackName, checkRange, packMissing } from '../page-requests.ts';
import type { PackRange } from '../page-requests.ts';

const WHERE = 'in memory';

interface HeldPack {
  readonly bytes: Uint8Array;
  readonly writtenAtMs: number;
}

/** Packs that several stores of one process may hold together. */
export type HeldPacks = Map<string, HeldPack>;

/** The marks beside packs, for as long as those are held. */
const MARKS = new WeakMap<HeldPacks, EventMark>();

const attempt = <A>(operation: string, work: () => A): TaskEither<LedgerError, A> =>
  atPort(
    // Asynchronous as every other store is, so that callers cannot come to rely on less.
    () => Promise.resolve().then(work),
    (thrown) => failureOf(thrown, { operation, path: WHERE }),
  );

/** A page store over `packs`; without any, over an empty one of its own. */
export function createMemoryPageStore(packs: HeldPacks = new Map()): PageStore {
  return {
    put: (pack) =>
      attempt('store a pack', () => {
        checkPackBytes(pack);
        packs.set(pack.name, { bytes: pack.bytes.slice(), writtenAtMs: Date.now() });
      }),
    putPart: ({ name, bytes }) =>
      attempt('store a part of a pack', () => {
        checkPackName(name);
        packs.set(name, { bytes: bytes.slice(), writtenAtMs: Date.now() });
      }),
    get: (range: PackRange) =>
      attempt('read a pack', () => {
        checkPackName(range.name);
        const held = packs.get(range.name);
        if (held === undefined) throw packMissing(range.name, WHERE);
        checkRange(range, { sizeBytes: held.bytes.length, where: WHERE });
        return held.bytes.slice(range.offsetBytes, range.offsetBytes + range.lengthBytes);
      }),
    // oxlint-disable-next-line typescript/require-await -- a flow is asynchronous by its port
    async *list(): AsyncGenerator<PackEntry> {
      for (const name of [...packs.keys()].toSorted()) {
        const held = packs.get(name);
        if (held === undefined) continue;
        yield { name, sizeBytes: held.bytes.length, writtenAtMs: held.writtenAtMs };
      }
    },
    has: ({ name, sizeBytes }) =>
      attempt('look for a pack', () => {
        checkPackName(name);
        return packs.get(name)?.bytes.length === sizeBytes;
      }),
    now: () => attempt('look at the clock', () => Date.now()),
    marks: () =>
      attempt('look for marks', () => {
        const mark = MARKS.get(packs);
        return mark === undefined ? [] : [mark];
      }),
    putMark: (mark) =>
      attempt('write a mark', () => {
        MARKS.set(packs, mark);
      }),
    delete: (name) =>
      attempt('delete a pack', () => {
        checkPackName(name);
        packs.delete(name);
      }),
  };
}
