// Reads everything back and checks it (brief, section 5, `verify`): every event by its checksum and
// chain, every commit by the digest of its batches, every pack by its name, every block by its
// checksum, every page by its identifier where the group's key is at hand. A finding names what, where,
// and the points that cannot be restored for it.

import { toHex } from '../../domain/values/identifier.ts';
import { placeAt } from '../../domain/values/place.ts';
import { run } from '../../domain/ports/run.ts';
import {
  isLedgerError,
  LEDGER_ERRORS,
  type LedgerError,
} from '../../domain/values/ledger-error.ts';
import { blockStarts, PACK_HEADER_BYTES, sliceBlocks, slotsOf } from '../../domain/values/pack.ts';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import { IDENTIFIER_BYTES, type PageEngine } from '../../domain/ports/page-engine.ts';
import {
  UNKNOWN,
  holdingOfContent,
  holdingOfPattern,
  type Holding,
} from '../../domain/values/holding.ts';
import type { Finding } from '../../domain/values/finding.ts';
import type { PageStore } from '../../domain/ports/page-store.ts';
import type { EventLog, StoredEvent } from '../../domain/ports/event-log.ts';
import { vmOfStream, vmStream } from '../../domain/events/streams.ts';
import { batchesHash } from '../../domain/evidence.ts';
import { mayHaveDevice } from '../../domain/values/capture-mode.ts';
import type { CaptureRow } from '../models/catalogue.ts';
import { PageReader } from '../../domain/use-cases/pages/page-reader.ts';
import type { AnyPack } from '../models/contents.ts';
import type { LedgerState, Replay } from '../models/ledger-state.ts';
import { walkTables } from './table-walk.ts';

export interface VerifyPorts {
  readonly state: LedgerState;
  readonly replay: Replay;
  readonly log: EventLog;
  readonly store: PageStore;
  readonly engine: PageEngine;
  readonly sha256: (bytes: Uint8Array) => Uint8Array;
  /** Checks the log's own files, beside what reading it through finds. */
  readonly checkLog: () => AsyncIterable<Finding>;
  /** Sets the key of a group; false: it is not at hand. */
  readonly useKey: (group: string) => Promise<boolean>;
  /** The identifier that was recorded of a content; null: its event was lost. */
  readonly identifierOf: (content: number) => Uint8Array | null;
}

export interface VerifySummary {
  readonly checked: {
    readonly captures: number;
    readonly packs: number;
    readonly pages: number;
    readonly events: number;
  };
  readonly damaged: number;
  /** Groups whose identifiers could not be checked: no key. */
  readonly withoutKey: readonly string[];
}

/** A finding whose affected points are filled in once the tables were walked. */
interface OpenFinding {
  readonly finding: Omit<Finding, 'affects'>;
  /** What is lost; null: lost events, so pages became unknown. */
  readonly lost: ReadonlySet<Holding> | null;
}

/** `vm@N` or `vm@N..M` for runs of capture numbers. */
export function pointRanges(vm: string, captures: readonly number[]): string[] {
  const ranges: string[] = [];
  let first = 0;
  for (let i = 0; i < captures.length; i += 1) {
    if (i + 1 < captures.length && captures[i + 1] === captures[i]! + 1) continue;
    const [from, to] = [captures[first]!, captures[i]!];
    ranges.push(from === to ? `${vm}@${from}` : `${vm}@${from}..${to}`);
    first = i + 1;
  }
  return ranges;
}

/** Of a capture that may have a device state and whose batches are not whole, it is lost. */
export const isDeviceLost = (row: CaptureRow): boolean =>
  row.damage !== null && !row.hasDevice && mayHaveDevice(row.mode);

/** Kind of a finding of what was let go of although it is held. */
const RELEASED = 'released';

class Verification {
  readonly #ports: VerifyPorts;
  readonly open: OpenFinding[] = [];
  readonly checked = { captures: 0, packs: 0, pages: 0, events: 0 };
  readonly withoutKey = new Set<string>();

  readonly #pages: PageReader;

  constructor(ports: VerifyPorts) {
    this.#ports = ports;
    const { engine, store, state } = ports;
    this.#pages = new PageReader({ engine, store, locator: () => state.contents });
  }

  find(finding: Omit<Finding, 'affects'>, lost: ReadonlySet<Holding> | null): void {
    this.open.push({ finding, lost });
  }

  async log(): Promise<void> {
    const damaged = new Set<string | null>();
    for await (const { kind, where, reason, stream } of this.#ports.checkLog()) {
      // Events of a VM are what its memory, and that of those who share with it, is made of.
      const holdsPages = stream === null || (stream !== undefined && vmOfStream(stream) !== null);
      if (holdsPages) damaged.add(stream);
      this.find({ kind, where, reason }, holdsPages ? null : new Set());
    }
    const { sha256 } = this.#ports;
    for (const entry of this.#ports.state.catalogue.vms.values())
      for (const row of entry.captures) {
        const events = await this.#events(entry.vm, row, damaged);
        if (events === null) continue;
        const hash = batchesHash(
          sha256,
          events.map((event) => sha256(event.data)),
        );
        this.checked.captures += 1;
        this.checked.events += events.length + 1;
        const where = `${entry.vm}@${row.capture} at position ${row.position}`;
        const reason =
          row.damage ?? `its batches have the digest ${hash}, but its commit says ${row.hash}`;
        // Where events are missing, the log's own finding has said so.
        if (row.damage === null ? hash !== row.hash : !damaged.has(vmStream(entry.vm)))
          this.find({ kind: 'capture', where, reason }, null);
      }
  }

  /** The batches of a capture; null where they cannot be read one by one, which is found once. */
  async #events(
    vm: string,
    row: CaptureRow,
    damaged: Set<string | null>,
  ): Promise<readonly StoredEvent[] | null> {
    try {
      return await this.#ports.state.tables.events(vm, row);
    } catch (thrown) {
      if (!isLedgerError(thrown) || thrown.code !== 'LOG_DAMAGED') throw thrown;
      const stream = vmStream(vm);
      const where = `stream ${stream}`;
      if (!damaged.has(stream))
        this.find({ kind: 'log-damaged', where, reason: thrown.message }, null);
      damaged.add(stream);
      return null;
    }
  }

  async packs(onPack: (done: number) => void): Promise<void> {
    const { contents } = this.#ports.state;
    for (const pack of contents.all) {
      if (contents.isNeeded(pack)) {
        await this.#pack(pack);
        this.checked.pages += slotsOf(pack.blocks);
      }
      this.checked.packs += 1;
      onPack(this.checked.packs);
    }
  }

  /** What lies in these slots of a pack, and nowhere else. */
  #lying(pack: AnyPack, { first, end }: { first: number; end: number }): Set<Holding> {
    const { contents } = this.#ports.state;
    const lying = new Set<Holding>();
    for (let slot = first; slot < end; slot += 1) {
      const holding = contents.holdingAt(pack, slot);
      if (holding === UNKNOWN) continue;
      if (contents.placeOf(holding) === placeAt(pack.ordinal, slot)) lying.add(holding);
    }
    return lying;
  }

  async #pack(pack: AnyPack): Promise<void> {
    const { store, sha256 } = this.#ports;
    const everything = this.#lying(pack, { first: 0, end: slotsOf(pack.blocks) });
    const where = `pack ${pack.name}`;
    const read = await store.get({
      name: pack.name,
      offsetBytes: 0,
      lengthBytes: pack.sizeBytes,
    })();
    // Of one that is cut off, the blocks before are whole.
    if (read._tag === 'Left' && read.left.code !== 'PACK_DAMAGED') {
      if (read.left.code !== 'PACK_MISSING') throw read.left;
      this.find({ kind: 'pack', where, reason: read.left.message }, everything);
      return;
    }
    const bytes = read._tag === 'Right' ? read.right : null;
    const isNamed = bytes !== null && toHex(sha256(bytes)) === pack.name;
    const lost = await this.#blocks(pack, bytes);
    if (isNamed || lost > 0) return;
    this.find(
      {
        kind: 'pack',
        where: `${where}, bytes 0..${PACK_HEADER_BYTES - 1}`,
        reason: 'its bytes do not have the digest that is its name; its blocks are whole',
      },
      new Set(),
    );
  }

  /** The stored bytes of a block of a pack that is at hand, or that is not there whole. */
  async #blockBytes(
    pack: AnyPack,
    range: { readonly bytes: Uint8Array | null; readonly from: number; readonly end: number },
  ): Promise<Uint8Array> {
    const { bytes, from, end } = range;
    if (bytes !== null) return bytes.subarray(from, end);
    const part = { name: pack.name, offsetBytes: from, lengthBytes: end - from };
    return run(this.#ports.store.get(part));
  }

  /** Checks every block of a pack; gives the number of findings. */
  async #blocks(pack: AnyPack, bytes: Uint8Array | null): Promise<number> {
    const { engine, useKey } = this.#ports;
    const { slots, offsets } = blockStarts(pack.blocks);
    const hasKey = await useKey(pack.group);
    if (!hasKey) this.withoutKey.add(pack.group);
    let findings = 0;
    for (let block = 0; block < pack.blocks.codecs.length; block += 1) {
      const where = `pack ${pack.name}, bytes ${offsets[block]}..${offsets[block + 1]! - 1}`;
      const range = { first: slots[block]!, end: slots[block + 1]! };
      let pages: Uint8Array;
      try {
        pages = engine.decode({
          bytes: await this.#blockBytes(pack, {
            bytes,
            from: offsets[block]!,
            end: offsets[block + 1]!,
          }),
          blocks: sliceBlocks(pack.blocks, block, block + 1),
          label: `pack ${pack.name}`,
        });
      } catch (thrown) {
        if (!isLedgerError(thrown)) throw thrown;
        const lost = this.#lying(pack, range);
        this.find({ kind: 'block', where, reason: thrown.message }, lost);
        findings += 1;
        continue;
      }
      if (!hasKey || (await this.#isIdentified(pack, range, pages))) continue;
      const reason = 'its pages do not have the identifiers that were recorded';
      this.find({ kind: 'identifier', where, reason }, this.#lying(pack, range));
      findings += 1;
    }
    return findings;
  }

  /** Whether the pages of a block have the identifiers that were recorded of them. */
  async #isIdentified(
    pack: AnyPack,
    { first, end }: { readonly first: number; readonly end: number },
    pages: Uint8Array,
  ): Promise<boolean> {
    const { engine, identifierOf, state } = this.#ports;
    const { contents } = state;
    const whole = pages.slice();
    for (let slot = first; slot < end; slot += 1) {
      const reference = contents.referenceAt(placeAt(pack.ordinal, slot));
      if (reference === null) continue;
      const page = await this.#referencePage(reference);
      // Why the reference cannot be read is a finding of its own.
      if (page === null) return true;
      const at = (slot - first) * PAGE_BYTES;
      for (let i = 0; i < PAGE_BYTES; i += 1) whole[at + i]! ^= page[i]!;
    }
    const { identifiers } = engine.identify(whole);
    for (let slot = first; slot < end; slot += 1) {
      const content = contents.contentAt(pack, slot);
      const recorded = content === null ? null : identifierOf(content);
      const at = (slot - first) * IDENTIFIER_BYTES;
      if (recorded !== null && !recorded.every((byte, i) => byte === identifiers[at + i]))
        return false;
    }
    return true;
  }

  async #referencePage(reference: Holding): Promise<Uint8Array | null> {
    try {
      return await this.#pages.read([reference], new Uint8Array(PAGE_BYTES));
    } catch (thrown) {
      if (isLedgerError(thrown)) return null;
      throw thrown;
    }
  }

  /** What was let go of, or is a patch of that: no kept point may hold any of it. */
  released(): void {
    const { contents } = this.#ports.state;
    const numbers = [
      ...Array.from({ length: contents.count }, (_, i) => holdingOfContent(i)),
      ...Array.from({ length: contents.patternCount }, (_, i) => holdingOfPattern(i)),
    ];
    const gone = new Set(numbers.filter((holding) => contents.placeOf(holding) < 0));
    if (gone.size === 0) return;
    const reason = 'kept points hold pages that compaction let go of, or patches of such pages';
    this.find({ kind: RELEASED, where: 'the events ContentReleased', reason }, gone);
  }

  /** Patches whose references are lost are lost as well. */
  #addDependents(): OpenFinding[] {
    const { contents } = this.#ports.state;
    const patches = new Map<Holding, Holding[]>();
    for (const pack of this.open.length === 0 ? [] : contents.all)
      for (const [i, slot] of pack.patches.slots.entries()) {
        const patch = contents.holdingAt(pack, slot);
        // What was rewritten since is a patch no more, or of something else.
        if (patch === UNKNOWN || contents.placeOf(patch) !== placeAt(pack.ordinal, slot)) continue;
        const reference = contents.firstOf(pack.references[i]!);
        patches.set(reference, [...(patches.get(reference) ?? []), patch]);
      }
    return this.open.map(({ finding, lost }) => {
      if (lost === null) return { finding, lost };
      const all = new Set(lost);
      // A set goes on with what is added to it on the way.
      for (const holding of all) for (const patch of patches.get(holding) ?? []) all.add(patch);
      return { finding, lost: all };
    });
  }

  /** The findings with the points that each makes unrestorable. */
  async affected(): Promise<Finding[]> {
    const open = this.#addDependents();
    const unknown = new Map<string, number[]>();
    const points = open.map(() => new Map<string, number[]>());
    const byHolding = new Map<Holding, number[]>();
    for (const [i, { lost }] of open.entries())
      for (const holding of lost ?? [])
        byHolding.set(holding, [...(byHolding.get(holding) ?? []), i]);
    const held = open.map(() => new Map<string, number>());
    const unknownPages = new Map<string, number>();
    const shift = (vm: string, holding: number, by: number): void => {
      if (holding === UNKNOWN) unknownPages.set(vm, (unknownPages.get(vm) ?? 0) + by);
      else
        for (const i of byHolding.get(holding) ?? [])
          held[i]!.set(vm, (held[i]!.get(vm) ?? 0) + by);
    };
    const seen = new Set<string>();
    await walkTables(this.#ports, {
      page: (vm, _gfn, old, next) => {
        if (old !== UNKNOWN || seen.has(vm)) shift(vm, old, -1);
        shift(vm, next, 1);
      },
      captured: (entry, row, { table, device }) => {
        const { vm } = entry;
        const { capture } = row;
        if (!seen.has(vm))
          unknownPages.set(
            vm,
            table.reduce((sum, holding) => sum + (holding === UNKNOWN ? 1 : 0), 0),
          );
        seen.add(vm);
        // What was given up is not missed.
        if (entry.isForgotten(capture)) return;
        if ((unknownPages.get(vm) ?? 0) > 0 || device.includes(UNKNOWN) || isDeviceLost(row))
          unknown.set(vm, [...(unknown.get(vm) ?? []), capture]);
        const inDevice = new Set([...device].flatMap((holding) => byHolding.get(holding) ?? []));
        for (const [i, counts] of held.entries())
          if ((counts.get(vm) ?? 0) > 0 || inDevice.has(i))
            points[i]!.set(vm, [...(points[i]!.get(vm) ?? []), capture]);
      },
    });
    for (const entry of this.#ports.state.catalogue.vms.values())
      if (entry.state.registered === null)
        unknown.set(
          entry.vm,
          entry.captures.map((row) => row.capture),
        );
    const findings = open.map(({ finding, lost }, i) => {
      const at = lost === null ? unknown : points[i]!;
      const affects = [...at].flatMap(([name, captures]) => pointRanges(name, captures));
      return { ...finding, affects };
    });
    // That something was let go of is no fault, unless it is held.
    return findings.filter(({ kind, affects }) => kind !== RELEASED || affects.length > 0);
  }

  /** Captures whose commits are lost, and histories that may have gone on after what can be read. */
  lostCaptures(): Finding[] {
    const findings: Finding[] = [];
    for (const entry of this.#ports.state.catalogue.vms.values()) {
      for (const [first, end] of entry.gaps())
        findings.push({
          kind: 'history',
          where: `VM ${entry.vm}, captures ${first} to ${end}`,
          reason:
            'captures with these numbers are missing: the events that committed them cannot be read',
          affects: [first === end ? `${entry.vm}@${first}` : `${entry.vm}@${first}..${end}`],
        });
      const last = entry.captures.at(-1)?.capture ?? 0;
      if (entry.lostTail === null) continue;
      findings.push({
        kind: 'history',
        where: `VM ${entry.vm}, after capture ${last}`,
        reason: entry.lostTail,
        affects: [`${entry.vm}@${last + 1}..`],
      });
    }
    return findings;
  }
}

/** Checks a whole ledger; findings first, in the order of the log, then packs. */
export async function verifyLedger(
  ports: VerifyPorts,
  onProgress: (progress: { readonly done: number; readonly total: number }) => void,
): Promise<{ readonly findings: readonly Finding[]; readonly summary: VerifySummary }> {
  const verification = new Verification(ports);
  await verification.log();
  const total = ports.state.contents.all.length;
  await verification.packs((done) => onProgress({ done, total }));
  verification.released();
  const findings = [...(await verification.affected()), ...verification.lostCaptures()];
  const { checked, withoutKey } = verification;
  const summary = { checked, damaged: findings.length, withoutKey: [...withoutKey] };
  return { findings, summary };
}

/** Whether a failure says that stored bytes are damaged. */
export const isDamage = (failure: LedgerError): boolean =>
  LEDGER_ERRORS[failure.code].kind === 'damage';
