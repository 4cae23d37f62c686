// A point's memory that comes from another host, at the target: what of it is here already, and what
// arrives. Nothing that the peer says is believed: what is here is found by the whole identifier and read
// out of this ledger's packs, what arrives is identified under the group's key before it counts.

import { totalmem } from 'node:os';
import * as either from 'fp-ts/lib/Either.js';
import { Spool } from '../../guests/qemu/spool.ts';
import { CLASS_NONE, IDENTIFIER_BYTES } from '../../../domain/ports/page-engine.ts';
import { captureModeOf } from '../../../domain/values/capture-mode.ts';
import type { DeviceState } from '../../../domain/values/device-state.ts';
import { holdingOfContent, ZERO } from '../../../domain/values/holding.ts';
import { toHex } from '../../../domain/values/identifier.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { pageCountOf } from '../../../domain/values/memory-map.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import type { CaptureRow } from '../../../projections/models/vm-entry.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { openRecorder } from '../record/record.ts';
import {
  PAGE_CONTENT,
  PAGE_PATTERN,
  PAGE_ZERO,
  type AnnouncedPages,
  type OfferedCapture,
} from './departure.ts';

/** A page that was asked for, and one that arrived; others are here, or zero. */
const WANTED = 1;
const ARRIVED = 2;

/** What became of a capture that arrived. */
export interface Arrived {
  readonly row: CaptureRow;
  readonly arrivedPages: number;
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
  readonly #spool = new Spool();
  /** What this ledger has of it. */
  readonly #table: Uint32Array;
  readonly #states: Uint8Array;
  /** What contents that were asked for must be, by page. */
  readonly #expected = new Map<number, Uint8Array>();
  #announced = 0;
  #arrived = 0;
  #held = 0;

  private constructor(ledger: Ledger, offer: OfferedCapture, from: string) {
    this.#ledger = ledger;
    this.#offer = offer;
    this.#from = from;
    this.#table = new Uint32Array(offer.pages);
    this.#states = new Uint8Array(offer.pages);
    this.#spool.begin(offer.pages);
  }

  /** Begins. KEY_MISSING without the group's key, which no peer is asked for. */
  static async begin(ledger: Ledger, offer: OfferedCapture, from: string): Promise<Arrival> {
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
    await ledger.state.catchUp({ heavy: true });
    return new Arrival(ledger, offer, from);
  }

  /** Looks up announced pages: which are asked for, a bit each. */
  announce({ firstPage, kinds, identifiers }: AnnouncedPages): Uint8Array {
    if (firstPage !== this.#announced || firstPage + kinds.length > this.#offer.pages)
      throw linkInvalid(
        `it announces ${kinds.length} pages from ${firstPage} on; those from ${this.#announced} to ${this.#offer.pages} were expected`,
      );
    const bits = new Uint8Array(Math.ceil(kinds.length / 8));
    const { index } = this.#ledger.state.sharing;
    let row = 0;
    for (let i = 0; i < kinds.length; i += 1) {
      const gfn = firstPage + i;
      const kind = kinds[i]!;
      if (kind === PAGE_ZERO) continue;
      if (kind === PAGE_CONTENT) {
        if ((row + 1) * IDENTIFIER_BYTES > identifiers.length)
          throw linkInvalid('it announces more contents than identifiers');
        const found = index.find(identifiers, row);
        const at = row * IDENTIFIER_BYTES;
        row += 1;
        if (found >= 0) {
          this.#table[gfn] = holdingOfContent(found);
          this.#held += 1;
          continue;
        }
        this.#expected.set(gfn, identifiers.slice(at, at + IDENTIFIER_BYTES));
      } else if (kind !== PAGE_PATTERN) throw linkInvalid(`it announces a page of kind ${kind}`);
      this.#states[gfn] = WANTED;
      bits[i >>> 3]! |= 1 << (i & 7);
    }
    if (row * IDENTIFIER_BYTES !== identifiers.length)
      throw linkInvalid('it announces more identifiers than contents');
    this.#announced += kinds.length;
    return bits;
  }

  /** Takes pages that were asked for. Those that are not what was announced drop the peer. */
  async take(firstPage: number, pages: Uint8Array): Promise<void> {
    const count = pages.length / PAGE_BYTES;
    const engine = await this.#ledger.engine();
    // Somebody may have worked with another group's key meanwhile.
    await this.#ledger.openGroup(this.#offer.group);
    const { classes, identifiers } = engine.identify(pages);
    for (let i = 0; i < count; i += 1) {
      const gfn = firstPage + i;
      if (this.#states[gfn] !== WANTED)
        throw linkInvalid(`it sends page ${gfn}, which was not asked for, or is there already`);
      const own = identifiers.subarray(i * IDENTIFIER_BYTES, (i + 1) * IDENTIFIER_BYTES);
      const expected = this.#expected.get(gfn);
      if (expected === undefined ? classes[i] === CLASS_NONE : toHex(own) !== toHex(expected))
        throw linkInvalid(`page ${gfn} is not the content that it announced`);
      this.#states[gfn] = ARRIVED;
      this.#arrived += 1;
      this.#spool.write(gfn, pages, i * PAGE_BYTES);
    }
  }

  /** Everything was sent: records the capture, whole, in this ledger. */
  async record(device: DeviceState | null): Promise<Arrived> {
    const { pages, hasDevice, vm, group, mode, argv, timeMs, pauseMs, memoryMap } = this.#offer;
    const missing = this.#states.indexOf(WANTED);
    if (this.#announced !== pages || missing >= 0)
      throw linkInvalid(
        missing >= 0
          ? `page ${missing} was asked for and did not come`
          : `it announced ${this.#announced} of ${pages} pages`,
      );
    if (hasDevice !== (device !== null)) throw linkInvalid('the device state did not come whole');
    await this.#fillHeld();
    this.#spool.flush();
    const image = this.#spool.image(`the guest of VM ${vm} from host ${this.#from}`);
    const recorder = await openRecorder(this.#ledger, { vm, group });
    try {
      const source = `host ${this.#from}: ${this.#offer.source}`;
      const told = { image, memoryMap, device, argv, timeMs, pauseMs, source };
      const row = await recorder.record({ ...told, mode: captureModeOf(mode) });
      return { row, arrivedPages: this.#arrived, heldPages: this.#held };
    } finally {
      await recorder.close();
    }
  }

  /** Reads what is here out of this ledger. */
  async #fillHeld(): Promise<void> {
    const table = this.#table;
    if (table.every((holding) => holding === ZERO)) return;
    const reader = await this.#ledger.pageReader();
    const label = `what this ledger has of VM ${this.#offer.vm}`;
    for await (const { firstPage, pages } of reader.inOrder({ table, label }))
      for (let i = 0; i * PAGE_BYTES < pages.length; i += 1)
        if (table[firstPage + i] !== ZERO) this.#spool.write(firstPage + i, pages, i * PAGE_BYTES);
  }

  /** Lets go of what was held. */
  close(): void {
    this.#spool.close();
  }
}
