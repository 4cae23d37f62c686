// A point's memory that comes from another host, at the target: what of it is here already, and what
// arrives, whole or as a patch of what is here; what is as in the VM's last capture is not recorded again.
// Nothing that the peer says is believed: what is here is found by the whole identifier and read out of this
// ledger's packs before it is counted on, what arrives is identified under the group's key before it counts.

import { totalmem } from 'node:os';
import * as either from 'fp-ts/lib/Either.js';
import { Spool } from '../../guests/qemu/spool.ts';
import type { GuestCapture } from '../../../domain/ports/guests.ts';
import { CLASS_NONE, IDENTIFIER_BYTES } from '../../../domain/ports/page-engine.ts';
import { xorOnto } from '../../../domain/use-cases/pages/kept-pages.ts';
import { captureModeOf } from '../../../domain/values/capture-mode.ts';
import type { DeviceState } from '../../../domain/values/device-state.ts';
import {
  contentOf,
  isContent,
  UNKNOWN,
  ZERO,
  type Holding,
} from '../../../domain/values/holding.ts';
import { toHex } from '../../../domain/values/identifier.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { pageCountOf } from '../../../domain/values/memory-map.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import type { CaptureRow } from '../../../projections/models/vm-entry.ts';
import { ensureIdentifiers } from '../../../projections/questions/row-lister.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { openRecorder } from '../record/record.ts';
import {
  PAGE_AS_BEFORE,
  PAGE_CONTENT,
  PAGE_PATTERN,
  PAGE_ZERO,
  type AnnouncedPages,
  type OfferedCapture,
  type WantedPages,
} from './departure.ts';
import { HeldMemory } from './held-memory.ts';

/** A page that was asked for, one of which a patch may come, and one that arrived; others are here, or zero. */
const WANTED = 1;
const PATCHABLE = 2;
const ARRIVED = 3;
const isMissing = (state: number | undefined): boolean => state === WANTED || state === PATCHABLE;

/** What became of a capture that arrived. */
export interface Arrived {
  readonly row: CaptureRow;
  readonly arrivedPages: number;
  /** Those of them that came as patches. */
  readonly patchedPages: number;
  readonly heldPages: number;
}

/** The failure of a peer that says what cannot be. */
export const linkInvalid = (why: string): LedgerError =>
  new LedgerError('LINK_INVALID', `the peer was dropped: ${why}`, {});

/** A capture that arrives. */
export class Arrival {
  readonly #ledger: Ledger;
  readonly #offer: OfferedCapture;
  readonly #from: string;
  readonly #memory: HeldMemory;
  readonly #spool = new Spool();
  readonly #states: Uint8Array;
  /** Captures of the VM as this began; the last of them is what pages may be as in. */
  readonly #captures: number;
  /** Whether this peer has sent that one, and may name pages as they are in it. */
  readonly #isTheirs: boolean;
  /** Where [gfn] is 1, the page is as in the capture before. */
  readonly #asBefore: Uint8Array;
  /** What contents that were asked for must be, by page. */
  readonly #expected = new Map<number, Uint8Array>();
  #announced = 0;
  #arrived = 0;
  #patched = 0;
  #held = 0;

  private constructor(
    ledger: Ledger,
    of: {
      readonly offer: OfferedCapture;
      readonly from: string;
      readonly memory: HeldMemory;
      readonly sent: number | null;
    },
  ) {
    this.#ledger = ledger;
    this.#offer = of.offer;
    this.#from = of.from;
    this.#memory = of.memory;
    const { vm, pages } = of.offer;
    this.#states = new Uint8Array(pages);
    this.#asBefore = new Uint8Array(pages);
    this.#captures = ledger.state.catalogue.vms.get(vm)?.state.captures ?? 0;
    this.#isTheirs = of.sent === this.#captures && of.memory.ownPages === pages;
    this.#spool.begin(of.offer.pages);
  }

  /**
   * Begins. `sent`: the capture of the VM that came over the same link before, or null. KEY_MISSING without
   * the group's key, which no peer is asked for.
   */
  static async begin(
    ledger: Ledger,
    offer: OfferedCapture,
    { from, sent }: { readonly from: string; readonly sent: number | null },
  ): Promise<Arrival> {
    const { group, keyCheck, pages, memoryMap } = offer;
    if (pages !== pageCountOf(memoryMap))
      throw linkInvalid(`it offers ${pages} pages of a memory of ${pageCountOf(memoryMap)}`);
    if (pages * PAGE_BYTES > totalmem())
      throw linkInvalid(`it offers ${pages} pages, more than this machine has memory for`);
    const known = ledger.state.catalogue.facts.groups.get(group);
    const key = await ledger.keys.load({ group, keyCheck })();
    if (either.isLeft(key) || (known !== undefined && known !== keyCheck))
      throw new LedgerError(
        'KEY_MISSING',
        `the guest of VM ${offer.vm} is of the sharing group ${group}, whose key this host has not, or another one of that name; \`pageledger group export\` at the source and \`group import\` here bring it`,
        { group },
      );
    await ledger.openGroup(group);
    const memory = await HeldMemory.of(ledger, offer.vm, group);
    await ensureIdentifiers(ledger.state, ledger.column);
    return new Arrival(ledger, { offer, from, memory, sent });
  }

  /** Looks up announced pages, and reads those that are here: which are asked for, and what they may be patches of. */
  async announce({ firstPage, kinds, identifiers }: AnnouncedPages): Promise<WantedPages> {
    if (firstPage !== this.#announced || firstPage + kinds.length > this.#offer.pages)
      throw linkInvalid(
        `it announces ${kinds.length} pages from ${firstPage} on; those from ${this.#announced} to ${this.#offer.pages} were expected`,
      );
    const table = new Uint32Array(kinds.length);
    const wanted = new Map<number, Holding>();
    let row = 0;
    for (let i = 0; i < kinds.length; i += 1) {
      const kind = kinds[i]!;
      if (kind === PAGE_ZERO) continue;
      if (kind === PAGE_AS_BEFORE) this.#keepSent(firstPage + i);
      else if (kind === PAGE_PATTERN) wanted.set(i, UNKNOWN);
      else if (kind !== PAGE_CONTENT) throw linkInvalid(`it announces a page of kind ${kind}`);
      else {
        this.#lookUp({ firstPage, table, wanted }, { i, identifiers, row });
        row += 1;
      }
    }
    if (row * IDENTIFIER_BYTES !== identifiers.length)
      throw linkInvalid('it announces more identifiers than contents');
    this.#announced += kinds.length;
    return this.#readHeld(firstPage, table, wanted);
  }

  /** Keeps a page as this peer sent it before. */
  #keepSent(gfn: number): void {
    if (!this.#isTheirs)
      throw linkInvalid(`it announces page ${gfn} as it was, and has sent nothing before`);
    this.#asBefore[gfn] = 1;
    this.#held += 1;
  }

  /** Finds an announced content, or what may be similar to it. */
  #lookUp(
    of: {
      readonly firstPage: number;
      readonly table: Uint32Array;
      readonly wanted: Map<number, Holding>;
    },
    at: { readonly i: number; readonly identifiers: Uint8Array; readonly row: number },
  ): void {
    const { i, identifiers, row } = at;
    const gfn = of.firstPage + i;
    if ((row + 1) * IDENTIFIER_BYTES > identifiers.length)
      throw linkInvalid('it announces more contents than identifiers');
    const own = identifiers.slice(row * IDENTIFIER_BYTES, (row + 1) * IDENTIFIER_BYTES);
    this.#expected.set(gfn, own);
    const found = this.#memory.find(identifiers, row, gfn);
    const similar = found === UNKNOWN ? this.#memory.similarTo(gfn) : UNKNOWN;
    if (found === UNKNOWN) of.wanted.set(i, similar);
    const read = found === UNKNOWN ? similar : found;
    if (read !== UNKNOWN) of.table[i] = read;
  }

  /** Takes what is here, as far as it can be read; the rest is asked for as well. */
  async #readHeld(
    firstPage: number,
    table: Uint32Array,
    wanted: Map<number, Holding>,
  ): Promise<WantedPages> {
    const lost = await this.#memory.read(table, (i, bytes) => {
      if (wanted.has(i) || !this.#memory.isAsBefore(firstPage + i, table[i]!))
        this.#spool.write(firstPage + i, bytes, 0);
      else this.#asBefore[firstPage + i] = 1;
    });
    for (const i of lost) wanted.set(i, UNKNOWN);
    const references = new Map<number, Uint8Array>();
    const pages: number[] = [];
    for (let i = 0; i < table.length; i += 1) {
      const similar = wanted.get(i);
      if (similar === undefined) {
        if (table[i] === ZERO) continue;
        this.#held += 1;
        this.#expected.delete(firstPage + i);
        continue;
      }
      const reference =
        isContent(similar) && !lost.has(i) ? this.#memory.identifierOf(contentOf(similar)) : null;
      if (reference !== null) references.set(i, reference);
      this.#states[firstPage + i] = reference === null ? WANTED : PATCHABLE;
      pages.push(i);
    }
    return { count: table.length, pages, references };
  }

  /** Takes pages that were asked for. Those that are not what was announced drop the peer. */
  take(firstPage: number, pages: Uint8Array): Promise<void> {
    const count = pages.length / PAGE_BYTES;
    const gfns = Uint32Array.from({ length: count }, (_, i) => firstPage + i);
    for (const gfn of gfns)
      if (!isMissing(this.#states[gfn]))
        throw linkInvalid(`it sends page ${gfn}, which was not asked for, or is there already`);
    return this.#takeAll(gfns, pages);
  }

  /** Takes patches: what pages differ in from what they may be patches of. */
  async takePatches(gfns: Uint32Array, masks: Uint8Array): Promise<void> {
    const page = new Uint8Array(PAGE_BYTES);
    for (const [i, gfn] of gfns.entries()) {
      if (this.#states[gfn] !== PATCHABLE || gfns.indexOf(gfn) !== i)
        throw linkInvalid(`it sends a patch of page ${gfn}, of which none was asked for`);
      this.#spool.read(gfn, page);
      xorOnto(masks.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES), page);
    }
    await this.#takeAll(gfns, masks);
    this.#patched += gfns.length;
  }

  async #takeAll(gfns: Uint32Array, pages: Uint8Array): Promise<void> {
    const engine = await this.#ledger.engine();
    // Somebody may have worked with another group's key meanwhile.
    await this.#ledger.openGroup(this.#offer.group);
    const { classes, identifiers } = engine.identify(pages);
    for (const [i, gfn] of gfns.entries()) {
      const own = identifiers.subarray(i * IDENTIFIER_BYTES, (i + 1) * IDENTIFIER_BYTES);
      const expected = this.#expected.get(gfn);
      if (expected === undefined ? classes[i] === CLASS_NONE : toHex(own) !== toHex(expected))
        throw linkInvalid(`page ${gfn} is not the content that it announced`);
      this.#states[gfn] = ARRIVED;
      this.#arrived += 1;
      this.#spool.write(gfn, pages, i * PAGE_BYTES);
    }
  }

  /** Everything was sent: records the capture in this ledger, as what differs from the one before. */
  async record(device: DeviceState | null): Promise<Arrived> {
    const { pages, hasDevice, vm, group, mode, argv, timeMs, pauseMs, memoryMap } = this.#offer;
    const missing = this.#states.findIndex(isMissing);
    if (this.#announced !== pages || missing >= 0)
      throw linkInvalid(
        missing >= 0
          ? `page ${missing} was asked for and did not come`
          : `it announced ${this.#announced} of ${pages} pages`,
      );
    if (hasDevice !== (device !== null)) throw linkInvalid('the device state did not come whole');
    await this.#memory.tellSuspects();
    this.#spool.flush();
    const image = this.#spool.image(`the guest of VM ${vm} from host ${this.#from}`);
    const recorder = await openRecorder(this.#ledger, { vm, group });
    try {
      const source = `host ${this.#from}: ${this.#offer.source}`;
      const told = {
        image,
        memoryMap,
        device,
        argv,
        timeMs,
        pauseMs,
        source,
        ...this.#keptPages(),
      };
      const row = await recorder.record({ ...told, mode: captureModeOf(mode) });
      const [arrivedPages, patchedPages] = [this.#arrived, this.#patched];
      return { row, arrivedPages, patchedPages, heldPages: this.#held };
    } finally {
      await recorder.close();
    }
  }

  /** Pages that are as in the capture before: no other may have come between. */
  #keptPages(): Pick<GuestCapture, 'asBefore' | 'mayHaveChanged'> {
    if (!this.#asBefore.includes(1)) return {};
    const { vm } = this.#offer;
    const mayHaveChanged = (): Promise<boolean> => {
      if (this.#ledger.vm(vm).state.captures === this.#captures) return Promise.resolve(false);
      throw linkInvalid(`VM ${vm} was recorded here while it arrived`);
    };
    return { asBefore: this.#asBefore, mayHaveChanged };
  }

  /** Lets go of what was held. */
  close(): void {
    this.#spool.close();
  }
}
