// Copying a ledger into another, of any kind. No event refers to a position
// of the log, so a copy holds the same events, each with its id, in the same streams and order; only
// the first one differs, which says the copy's own id and where its packs lie. Packs go before the
// events that name them.
//
// Invariants: at every moment the target holds a beginning of the source, so a copy that was
// interrupted goes on where it stopped, and one made later brings over what came since; a target that
// holds anything else is refused before anything is appended to the stream in question.

import { APPEND_BYTES_MAX } from '../../../domain/values/page.ts';
import type { LogItem, StoredEvent } from '../../../domain/ports/event-log.ts';
import { run } from '../../../domain/ports/run.ts';
import type { Finding } from '../../../domain/values/finding.ts';
import { isLedgerError, LEDGER_ERRORS } from '../../../domain/values/ledger-error.ts';
import { refuse } from '../../../domain/values/refused.ts';
import { announceWriter } from '../../stores/locks/writers-presence.ts';
import { fingerprint } from '../ledger/fingerprint.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { HistoryCopier } from './copy-history.ts';
import { lostEvents, missedFindings } from './copy-losses.ts';
import { namesPack, PackCopier } from './pack-copier.ts';
import { diverged, TargetStreams } from './target-streams.ts';

/** Most events of one append. */
const APPEND_EVENTS_MAX = 256;

/** What a copy brought over. */
export interface Copied {
  /** Events and packs that this copy appended and put. */
  readonly events: number;
  readonly packs: number;
  readonly bytes: number;
  /** What points need and could not be copied, with those points; the rest is whole. */
  readonly findings: readonly Finding[];
  /** Of both ledgers; null where something could not be copied. */
  readonly fingerprint: string | null;
}

/** How far a copy is. */
export interface CopyProgress {
  /** Bytes of packs that are in the target, and of all. */
  readonly done: number;
  readonly total: number;
}

/** Events as appends: neighbours of one stream together, as far as an append goes. */
function* appendsOf(events: readonly StoredEvent[]): Generator<readonly StoredEvent[]> {
  let group: StoredEvent[] = [];
  let bytes = 0;
  for (const event of events) {
    const isFull =
      group.length === APPEND_EVENTS_MAX || bytes + event.data.length > APPEND_BYTES_MAX;
    if (group.length > 0 && (isFull || group[0]!.stream !== event.stream)) {
      yield group;
      group = [];
      bytes = 0;
    }
    group.push(event);
    bytes += event.data.length;
  }
  if (group.length > 0) yield group;
}

async function copyEvents(
  { from, to }: { readonly from: Ledger; readonly to: Ledger },
  packs: PackCopier,
  streams: TargetStreams,
): Promise<number> {
  const history = new HistoryCopier({ from, to });
  await history.begin(diverged);
  let copied = 0;
  // While it is read the source may be compacted: what then lies elsewhere comes with a later event.
  for (let next = 0n, until = -1n; until < from.state.next;) {
    until = from.state.next;
    for await (const chunk of from.log.read({ from: next, until })) {
      copied += await copyChunk({ to, streams, packs, history }, chunk.items);
      ({ next } = chunk);
    }
  }
  streams.checkEnds();
  await packs.bringNeeded();
  await packs.bringLayouts();
  await history.finish();
  return copied;
}

async function copyChunk(
  {
    to,
    streams,
    packs,
    history,
  }: {
    readonly to: Ledger;
    readonly streams: TargetStreams;
    readonly packs: PackCopier;
    readonly history: HistoryCopier;
  },
  items: readonly LogItem[],
): Promise<number> {
  let copied = 0;
  const missing: StoredEvent[] = [];
  for (const item of items) {
    if (item._tag === 'damage') {
      streams.miss(item.damage);
      continue;
    }
    const { event } = item;
    if (!history.takes(event)) continue;
    const place = await streams.place(event);
    if (place === 'next') missing.push(event);
    else if (place === 'held' && namesPack(event)) await packs.bring([event]);
  }
  await packs.bring(missing);
  for (const events of appendsOf(missing)) {
    const { stream, revision } = events[0]!;
    await run(to.log.append({ stream, expectedRevision: revision - 1, events }));
    copied += events.length;
  }
  return copied;
}

/** What says that the fingerprints could not be compared. */
function uncompared(thrown: unknown): Finding {
  if (!isLedgerError(thrown) || LEDGER_ERRORS[thrown.code].kind !== 'damage') throw thrown;
  const reason = `the fingerprints of both ledgers could not be compared: ${thrown.message}`;
  return { kind: 'fingerprint', where: 'the packs', reason, affects: [] };
}

/** VMs that only the target has. */
function checkVms(from: Ledger, to: Ledger): void {
  const stranger = [...to.state.catalogue.vms.keys()].find(
    (vm) => !from.state.catalogue.vms.has(vm),
  );
  if (stranger !== undefined) throw diverged(`it has a VM ${stranger}`, { vm: stranger });
}

/**
 * Copies what a ledger holds now into another, which is new or an earlier copy of it, and compares
 * their fingerprints. Of damaged packs it has what can be read, and names what cannot; it leaves out what
 * comes in a stream after events that are lost. A copy made again, when the source has all that whole,
 * brings it. Keys are not copied: the copy restores at once, and records after `group
 * import`. LEDGER_DIVERGED where the target holds anything else, LOG_TOO_OLD.
 */
export async function copyLedger(
  { from, to }: { readonly from: Ledger; readonly to: Ledger },
  onProgress: (progress: CopyProgress) => void = () => undefined,
): Promise<Copied> {
  if (from.id !== null && from.id === to.id)
    throw refuse({ _tag: 'CopyOntoItself', ledger: from.id });
  checkVms(from, to);
  await to.marks.check();
  const { contents } = from.state;
  const needed = contents.neededFrom(0);
  const total = needed.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let done = 0;
  const onBytes = (bytes: number): void => {
    done += bytes;
    onProgress({ done, total });
  };
  const packs = new PackCopier({ from, to, onBytes });
  await packs.look();
  // Packs come before the events that name them: nobody shall take them for what nobody names.
  const announced = to.told(await run(announceWriter(to.locks)));
  const streams = new TargetStreams(to);
  const copying = copyEvents({ from, to }, packs, streams);
  const events = await copying.finally(() => announced.release());
  await to.state.catchUp({ heavy: false });
  const copied = { events, packs: packs.packs, bytes: packs.bytes };
  const findings = [
    ...(await lostEvents({ from, to }, streams.damages)),
    ...(await missedFindings(from, packs.missed)),
  ];
  if (findings.length > 0) return { ...copied, findings, fingerprint: null };
  let expected: string;
  let found: string;
  try {
    [expected, found] = [await fingerprint(from), await fingerprint(to)];
  } catch (thrown) {
    return { ...copied, findings: [uncompared(thrown)], fingerprint: null };
  }
  if (found !== expected)
    throw diverged(`its fingerprint is ${found} and the source's is ${expected}`, {
      found,
      expected,
    });
  return { ...copied, findings: [], fingerprint: found };
}
