// What kept points need of what is stored: one pass over the kept captures of every VM, and one over
// the tables of all packs. Memory: four bits a content, and one page table at a time.

import type { ContentReleased } from '../../domain/events/control.ts';
import { LedgerError } from '../../domain/values/ledger-error.ts';
import { arePacked, slotsOf } from '../../domain/values/pack.ts';
import { UNKNOWN, type Holding } from '../../domain/values/holding.ts';
import type { Position } from '../../domain/ports/event-log.ts';
import type { Survey, SurveyedPack } from '../../domain/use-cases/compact/models.ts';
import type { Catalogue } from '../models/catalogue.ts';
import { besideOf, decodeBatches } from '../commits.ts';
import { isWritten, type AnyPack, type Contents } from '../models/contents.ts';
import type { LedgerState } from '../models/ledger-state.ts';
import { holdingsOf } from '../table.ts';
import { HoldingSet } from '../../domain/values/holding-set.ts';
import { keptCaptures, type CaptureFilter } from './kept-captures.ts';

/** What of a history is lost, as a sentence, or null. */
export function lossIn(catalogue: Catalogue): string | null {
  if (catalogue.lostStore !== null) return `where content lies: ${catalogue.lostStore}`;
  for (const entry of catalogue.vms.values()) {
    const { vm, captures, lostTail } = entry;
    const damaged = captures.find(({ damage }) => damage !== null);
    if (lostTail !== null) return `the end of VM ${vm}: ${lostTail}`;
    if (damaged !== undefined) return `capture ${damaged.capture} of VM ${vm}: ${damaged.damage}`;
    if (entry.gaps().length > 0) return `captures of VM ${vm}`;
    if (entry.isMapLost) return `the memory map of VM ${vm}`;
  }
  return null;
}

class LedgerSurvey implements Survey {
  readonly #state: LedgerState;
  readonly #held = new HoldingSet();
  /** Not held, but what patches that are needed refer to. */
  readonly #referred = new HoldingSet();
  #seenAt: Position = -1n;
  seen: ContentReleased['seen'] = null;
  packs: readonly SurveyedPack[] = [];

  constructor(state: LedgerState) {
    this.#state = state;
  }

  get #contents(): Contents {
    return this.#state.contents;
  }

  isHeld(holding: Holding): boolean {
    return this.#held.has(holding);
  }

  isNeeded(holding: Holding): boolean {
    return this.#held.has(holding) || this.#referred.has(holding);
  }

  async take(isKept?: CaptureFilter): Promise<void> {
    this.#note();
    for (const entry of this.#state.catalogue.vms.values()) {
      if (entry.state.registered === null) continue;
      for await (const { row, table, writes, beside } of keptCaptures(this.#state, entry, isKept)) {
        if (table !== null) this.#refuseUnknown(table, `${entry.vm}@${row.capture}`);
        if (table !== null) this.#held.addAll(table);
        for (const { holdings } of writes) this.#held.addAll(holdings);
        this.#held.addAll(beside);
      }
    }
    this.#addReferences();
    this.packs = Array.from(this.#contents.all, (pack) => this.#use(pack));
  }

  #refuseUnknown(table: Uint32Array, point: string): void {
    if (!table.includes(UNKNOWN)) return;
    throw new LedgerError(
      'LOG_DAMAGED',
      `what some pages of ${point} hold is lost, so it cannot be told what is needed; nothing is rewritten or deleted: run \`pageledger verify\`, and restore the log from a copy`,
      { point },
    );
  }

  /** Notes what is known now as seen. */
  #note(): void {
    for (const { vm, captures } of this.#state.catalogue.vms.values()) {
      const last = captures.at(-1);
      if (last === undefined || last.position <= this.#seenAt) continue;
      this.#seenAt = last.position;
      this.seen = { vm, capture: last.capture };
    }
  }

  async refresh(): Promise<void> {
    const { catalogue, tables } = this.#state;
    const before = this.#seenAt;
    for (const { vm, captures } of catalogue.vms.values())
      for (let i = captures.length - 1; i >= 0 && captures[i]!.position > before; i -= 1) {
        const decoded = decodeBatches(await tables.events(vm, captures[i]!));
        const { batches, packs } = decoded;
        for (const columns of [...batches, ...besideOf(decoded)])
          this.#held.addAll(holdingsOf(this.#contents, columns));
        for (const { name } of packs)
          for (const reference of this.#contents.byName(name)?.references ?? [])
            this.#referred.add(this.#contents.firstOf(reference));
      }
    this.#note();
    this.#addReferences();
  }

  /** What patches refer to that are needed themselves. */
  #addReferences(): void {
    for (let isMore = true; isMore;) {
      isMore = false;
      for (const pack of this.#contents.all)
        for (const [i, slot] of pack.patches.slots.entries()) {
          const holding = this.#contents.holdingAt(pack, slot);
          if (!this.isNeeded(holding) || !this.#contents.liesAt(pack, slot)) continue;
          const reference = this.#contents.firstOf(pack.references[i]!);
          if (!this.isNeeded(reference) && this.#referred.add(reference)) isMore = true;
        }
    }
  }

  /** Whether a patch that is needed refers to a patch. */
  #hasChains(pack: AnyPack): boolean {
    for (const [i, slot] of pack.patches.slots.entries()) {
      const holding = this.#contents.holdingAt(pack, slot);
      const reference = this.#contents.firstOf(pack.references[i]!);
      if (!this.isNeeded(holding) || !this.#contents.liesAt(pack, slot)) continue;
      if (this.#contents.isPatch(reference)) return true;
    }
    return false;
  }

  #use(pack: AnyPack): SurveyedPack {
    const { name, group, ordinal, sizeBytes } = pack;
    const slots = slotsOf(pack.blocks);
    let lying = 0;
    let held = 0;
    for (let slot = 0; slot < slots && this.#contents.isNeeded(pack); slot += 1) {
      if (!this.#contents.liesAt(pack, slot)) continue;
      lying += 1;
      if (this.isNeeded(this.#contents.holdingAt(pack, slot))) held += 1;
    }
    // What was only merged is not packed any better than it was recorded.
    const isRewritten = !isWritten(pack) && !arePacked(pack.blocks);
    const hasChains = this.#hasChains(pack);
    return { name, group, ordinal, sizeBytes, slots, lying, held, isRewritten, hasChains };
  }
}

/**
 * What is where, and what of it points need: those that are kept, or others. LOG_DAMAGED where that
 * cannot be told.
 */
export async function surveyOf(state: LedgerState, isKept?: CaptureFilter): Promise<Survey> {
  const loss = lossIn(state.catalogue);
  if (loss !== null)
    throw new LedgerError(
      'LOG_DAMAGED',
      `events are lost, so it cannot be told what is needed (${loss}); nothing is rewritten or deleted: run \`pageledger verify\`, and restore the log from a copy`,
    );
  const survey = new LedgerSurvey(state);
  await survey.take(isKept);
  return survey;
}
