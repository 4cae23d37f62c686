// Reads everything back and checks it: every event by its checksum and
// chain, every commit by the digest of its batches, every pack by its name, every block by its
// checksum, every page by its identifier where the group's key is at hand. A finding names what, where,
// and the points that cannot be restored for it.

import {
  isLedgerError,
  LEDGER_ERRORS,
  type LedgerError,
} from '../../domain/values/ledger-error.ts';
import type { PageEngine } from '../../domain/ports/page-engine.ts';
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
import type { CaptureRow, VmEntry } from '../models/vm-entry.ts';
import { besideOf, decodeBatches } from '../commits.ts';
import { CHAIN_MAX } from '../../domain/use-cases/pages/patch-chain.ts';
import type { Contents } from '../models/contents.ts';
import { holdingsOf } from '../table.ts';
import type { LedgerState, Replay } from '../models/ledger-state.ts';
import { affected, PATCH, RELEASED, type OpenFinding } from './affected-points.ts';
import { PackCheck } from './pack-check.ts';

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

/** Whether the patches that a page is made of end in a page that is whole, or was let go of. */
function endsWhole(contents: Contents, holding: Holding): boolean {
  let next: Holding | null = holding;
  for (let length = 0; next !== null; length += 1) {
    if (next === UNKNOWN || length === CHAIN_MAX) return false;
    const place = contents.placeOf(next);
    next = place < 0 ? null : contents.referenceAt(place);
  }
  return true;
}

class Verification {
  readonly #ports: VerifyPorts;
  readonly open: OpenFinding[] = [];
  readonly checked = { captures: 0, events: 0 };

  constructor(ports: VerifyPorts) {
    this.#ports = ports;
  }

  find(finding: OpenFinding['finding'], lost: OpenFinding['lost']): void {
    this.open.push({ finding, lost });
  }

  async log(): Promise<void> {
    const damaged = new Set<string | null>();
    for await (const { kind, where, reason, stream, isNote = false } of this.#ports.checkLog()) {
      if (isNote) {
        this.find({ kind, where, reason, isNote }, new Set());
        continue;
      }
      // Events of a VM are what its memory, and that of those who share with it, is made of.
      const holdsPages = stream === null || (stream !== undefined && vmOfStream(stream) !== null);
      if (holdsPages) damaged.add(stream);
      this.find({ kind, where, reason }, holdsPages ? null : new Set());
    }
    const { sha256 } = this.#ports;
    for (const entry of this.#ports.state.catalogue.vms.values()) {
      this.#repeated(entry);
      for (const row of entry.captures) {
        if (!damaged.has(vmStream(entry.vm))) this.#counted(entry, row);
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
        if (row.damage === null) this.#references(where, events);
      }
    }
  }

  /** A capture has one commit: the first counts, so that a second one takes no point. */
  #repeated({ vm, captures, repeated }: VmEntry): void {
    for (const { capture, position } of repeated) {
      const first = captures.findLast((row) => row.position < position);
      const where = `${vm}@${capture} at position ${position}`;
      const reason = `capture ${first?.capture ?? 0} was committed before it, at position ${first?.position ?? 0n}, and numbers of captures were expected to ascend: this commit counts for nothing`;
      this.find({ kind: 'history', where, reason }, new Set());
    }
  }

  /** A capture has as many pages as its VM has then: else what added some is lost. */
  #counted(entry: VmEntry, row: CaptureRow): void {
    if (entry.state.registered === null || entry.mapAt(row.capture) !== null) return;
    const where = `${entry.vm}@${row.capture} at position ${row.position}`;
    const reason = `its commit counts ${row.written + row.unchanged} pages, but ${entry.pagesAt(row.capture)} are in the VM's tables, by the events that say so and the pages that captures tell of`;
    this.find({ kind: 'history', where, reason }, null);
  }

  /** Every page of a capture is in a slot of a pack that the log names. */
  #references(where: string, events: readonly StoredEvent[]): void {
    const { contents } = this.#ports.state;
    const decoded = decodeBatches(events);
    const columns = [...decoded.batches, ...besideOf(decoded)];
    const unknown = columns.filter((batch) => holdingsOf(contents, batch).includes(UNKNOWN));
    if (unknown.length === 0) return;
    const packs = unknown.flatMap((batch) => batch.packs);
    const absent = [...new Set(packs)].filter((name) => contents.byName(name) === undefined);
    const reason =
      absent.length === 0
        ? 'pages refer to slots that their packs do not have'
        : `pages refer to packs that no event of the log names: ${absent.join(', ')}`;
    this.find({ kind: 'reference', where, reason }, null);
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

  /** Patches of what no event of the log names, or that are patches of patches without end. */
  patches(): void {
    const { contents } = this.#ports.state;
    const lost = new Set<Holding>();
    for (const pack of contents.all)
      for (const slot of pack.patches.slots) {
        const holding = contents.holdingAt(pack, slot);
        if (contents.liesAt(pack, slot) && !endsWhole(contents, holding)) lost.add(holding);
      }
    const reason =
      'kept points hold patches of pages that no event of the log names, or patches of patches without end';
    if (lost.size > 0) this.find({ kind: PATCH, where: 'patches', reason }, lost);
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
      const last = entry.rows.last?.capture ?? 0;
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

/** Findings that are damage, and no notes. */
export const damagesIn = (findings: readonly Finding[]): number =>
  findings.filter(({ isNote }) => isNote !== true).length;

/** What a check of a whole ledger comes to. */
export interface Verified {
  readonly findings: readonly Finding[];
  readonly summary: VerifySummary;
  /** Names of packs whose bytes are missing, or others than were written, or cannot be read. */
  readonly damagedPacks: readonly string[];
}

/** Checks a whole ledger; findings first, in the order of the log, then packs. */
export async function verifyLedger(
  ports: VerifyPorts,
  onProgress: (progress: { readonly done: number; readonly total: number }) => void,
): Promise<Verified> {
  const verification = new Verification(ports);
  await verification.log();
  const { contents } = ports.state;
  const packs = new PackCheck({ ...ports, contents }, (finding, lost) =>
    verification.find(finding, lost),
  );
  await packs.run(onProgress);
  verification.released();
  verification.patches();
  const findings = [...(await affected(ports, verification.open)), ...verification.lostCaptures()];
  const summary = {
    checked: { ...verification.checked, ...packs.checked },
    damaged: damagesIn(findings),
    withoutKey: [...packs.withoutKey],
  };
  return { findings, summary, damagedPacks: [...packs.damaged] };
}

/** Whether a failure says that stored bytes are damaged. */
export const isDamage = (failure: LedgerError): boolean =>
  LEDGER_ERRORS[failure.code].kind === 'damage';
