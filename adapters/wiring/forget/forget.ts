// Forgetting, joined: the rules are those of
// domain/retention.ts, and what a VM's own stream of points says is decided there.

import { pointsStream } from '../../../domain/events/streams.ts';
import { decidePoints } from '../../../domain/points.ts';
import {
  judge,
  LEASED,
  type Forgetting,
  type Judged,
  type KeepRules,
} from '../../../domain/retention.ts';
import { accepted } from '../../../domain/ports/run.ts';
import { rangesOf } from '../../../domain/values/capture-ranges.ts';
import { isLedgerError } from '../../../domain/values/ledger-error.ts';
import { durationText } from '../../../domain/values/instant.ts';
import { nameMatcher } from '../../../domain/values/name-pattern.ts';
import { Refused, refuse } from '../../../domain/values/refused.ts';
import { freedBytes, type FreedBytes } from '../../../projections/compaction/freed-bytes.ts';
import type { VmEntry } from '../../../projections/models/vm-entry.ts';
import { dropGuestState } from '../guest/guest-state.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { endDeadLeases, livingPoints } from '../points/leases.ts';
import { retireVm } from '../points/vm-life.ts';

/** What is asked to go: exactly one of `keep`, `before` and `at`. */
export interface ForgetRequest {
  /** Names of VMs, or patterns of them with * and ?; absent: all. */
  readonly vm?: string | readonly string[];
  /** What no rule, checkpoint or lease keeps goes. */
  readonly keep?: KeepRules;
  /** Captures before a point go; where it is a time, those that are older. */
  readonly before?: string;
  /** These points go. */
  readonly at?: readonly string[];
  readonly isDryRun?: boolean;
  /** Told before each VM how many captures of those before it were forgotten; what it throws ends it there. */
  readonly onVm?: (forgotten: number) => void;
}

/** A capture that could be restored, and what became of it. */
export interface ForgetRow {
  readonly vm: string;
  readonly capture: number;
  readonly isKept: boolean;
  readonly reason: string;
  /** What compaction gives back for it at least; null: that cannot be told, as events are lost. */
  readonly bytes: number | null;
}

/** What was given up, and why the rest stays. */
export interface Forgotten {
  readonly rows: readonly ForgetRow[];
  /** Captures that cannot be restored any more, and could before. */
  readonly forgotten: number;
  readonly kept: number;
  readonly bytes: number | null;
}

/** The VMs that are meant, all where none is named. Refused where a name, which is no pattern, is none's. */
export function vmsOf(ledger: Ledger, vm: ForgetRequest['vm']): readonly VmEntry[] {
  if (vm === undefined) return ledger.vms();
  const names = typeof vm === 'string' ? [vm] : vm;
  const matchers = names.map(nameMatcher);
  for (const [i, name] of names.entries()) if (matchers[i]!.isName) ledger.vm(name);
  return ledger.vms().filter((entry) => matchers.some(({ matches }) => matches(entry.vm)));
}

const NOTHING: Forgetting = { _tag: 'these', captures: [] };

/** What goes before a point: nothing of a VM, of several, that was not there yet. */
function beforeOf(
  ledger: Ledger,
  entry: VmEntry,
  of: { text: string; isOne: boolean },
): Forgetting {
  const point = ledger.point(of.text);
  try {
    const { capture, timeMs } = ledger.locate(entry, of.text);
    return point._tag === 'time' ? { _tag: 'older', timeMs } : { _tag: 'before', capture };
  } catch (thrown) {
    const isAbsent = thrown instanceof Refused && thrown.refusal._tag === 'NoCapture';
    if (of.isOne || !isAbsent) throw thrown;
    return NOTHING;
  }
}

/** Points that mean one VM's history only. */
function refuseMany(ledger: Ledger, texts: readonly string[]): void {
  for (const text of texts) {
    const { _tag } = ledger.point(text);
    if (_tag === 'capture' || _tag === 'checkpoint')
      throw refuse({
        _tag: 'BadPoint',
        text,
        why: "it is a place in one VM's history, and more than one VM may be meant: name one",
      });
  }
}

function askedOf(
  ledger: Ledger,
  entry: VmEntry,
  request: ForgetRequest,
  isOne: boolean,
): Forgetting {
  const { keep, before, at } = request;
  if (keep !== undefined) return { _tag: 'rules', rules: keep, nowMs: ledger.clock() };
  if (before !== undefined) return beforeOf(ledger, entry, { text: before, isOne });
  const captures = (at ?? []).map((text) => ledger.locate(entry, text).capture);
  return { _tag: 'these', captures: rangesOf(captures) };
}

const LOST = 'LOG_DAMAGED';

/** What goes frees at least this much; null: that cannot be told. */
async function freedBy(
  ledger: Ledger,
  goes: ReadonlyMap<string, ReadonlySet<number>>,
): Promise<FreedBytes | null> {
  const isNone = [...goes.values()].every((captures) => captures.size === 0);
  if (isNone) return new Map();
  try {
    return await freedBytes(ledger.state, ({ vm }, capture) => goes.get(vm)?.has(capture) === true);
  } catch (thrown) {
    if (isLedgerError(thrown) && thrown.code === LOST) return null;
    throw thrown;
  }
}

/** Who holds a point, what for and for how long. */
function leaseText(ledger: Ledger, vm: string, id: string): string {
  const row = ledger.vm(vm).leases.find(({ lease }) => lease === id);
  if (row === undefined) return LEASED;
  const { kind, holder, timeMs } = row;
  const age = durationText(Math.max(0, ledger.clock() - timeMs));
  return `${LEASED} for ${age} by process ${holder.process} of ${holder.host} (${kind})`;
}

/** Gives a VM's points up as it is asked; of a dry run, says what would go. */
async function forgetOf(
  ledger: Ledger,
  entry: VmEntry,
  { asked, isDryRun }: { readonly asked: () => Forgetting; readonly isDryRun: boolean },
): Promise<Judged> {
  const { vm } = entry;
  let judged: Judged = { verdicts: [], givenUp: [] };
  const decide = () => {
    const now = ledger.vm(vm);
    const { captures } = now;
    const points = isDryRun ? livingPoints(now) : now.points;
    judged = judge(captures, points, asked(), (id) => leaseText(ledger, vm, id));
    const newest = captures.at(-1)?.capture ?? 0;
    return decidePoints(points)({ _tag: 'ForgetPoints', vm, captures: judged.givenUp, newest });
  };
  const isNothing = accepted(decide()).length === 0;
  if (isDryRun || isNothing) return judged;
  await ledger.decide(pointsStream(vm), decide);
  return judged;
}

/** Gives up points that nothing keeps, and says of each why it stays or goes. */
export async function forgetPoints(ledger: Ledger, request: ForgetRequest): Promise<Forgotten> {
  const { isDryRun = false, before, at = [] } = request;
  if (isDryRun) await ledger.state.catchUp({ heavy: false });
  else await endDeadLeases(ledger);
  const entries = vmsOf(ledger, request.vm);
  const names = typeof request.vm === 'string' ? [request.vm] : (request.vm ?? []);
  const isOne = names.length === 1 && nameMatcher(names[0]!).isName;
  if (!isOne) refuseMany(ledger, before === undefined ? at : [before]);
  const judged: { vm: string; of: Judged }[] = [];
  let gone = 0;
  for (const entry of entries) {
    request.onVm?.(gone);
    const asked = (): Forgetting => askedOf(ledger, ledger.vm(entry.vm), request, isOne);
    const of = await forgetOf(ledger, entry, { asked, isDryRun });
    gone += of.verdicts.filter(({ isKept }) => !isKept).length;
    judged.push({ vm: entry.vm, of });
  }
  request.onVm?.(gone);
  const goes = new Map(
    judged.map(({ vm, of }) => {
      const going = of.verdicts.filter(({ isKept }) => !isKept);
      return [vm, new Set(going.map(({ capture }) => capture))] as const;
    }),
  );
  const freed = await freedBy(ledger, goes);
  const bytesOf = (vm: string, capture: number): number | null =>
    freed === null ? null : Math.floor(freed.get(vm)?.get(capture) ?? 0);
  const rows = judged.flatMap(({ vm, of }) =>
    of.verdicts.map((verdict): ForgetRow => ({
      vm,
      ...verdict,
      bytes: bytesOf(vm, verdict.capture),
    })),
  );
  const forgotten = rows.filter(({ isKept }) => !isKept).length;
  const bytes = freed === null ? null : rows.reduce((sum, row) => sum + (row.bytes ?? 0), 0);
  return { rows, forgotten, kept: rows.length - forgotten, bytes };
}

/**
 * Ends a VM wholly: it is retired, its checkpoints are given up and all of its captures are forgotten,
 * those that are leased once their leases end; what this host keeps of its guest goes. Gives the captures
 * that could be restored before. What is done already is passed over.
 */
export async function dropVm(ledger: Ledger, vm: string): Promise<readonly number[]> {
  await endDeadLeases(ledger);
  const kept = (entry: VmEntry): number[] =>
    entry.captures.flatMap(({ capture }) => (entry.isForgotten(capture) ? [] : [capture]));
  const before = kept(ledger.vm(vm));
  if (!ledger.vm(vm).state.isRetired) await retireVm(ledger, vm);
  await ledger.decide(pointsStream(vm), () => {
    const { points, captures } = ledger.vm(vm);
    const newest = captures.at(-1)?.capture ?? 0;
    return decidePoints(points)({ _tag: 'ForgetVm', vm, newest });
  });
  await dropGuestState(ledger, vm);
  return before;
}

/** Gives a checkpoint's name up: what only it kept is forgotten. Gives the capture that it named. */
export async function dropCheckpoint(
  ledger: Ledger,
  request: { readonly vm: string; readonly name: string },
): Promise<{ readonly capture: number; readonly isForgotten: boolean }> {
  let capture = 0;
  await ledger.decide(pointsStream(request.vm), () => {
    const { points } = ledger.vm(request.vm);
    capture = points.names.get(request.name) ?? 0;
    return decidePoints(points)({ _tag: 'DropCheckpoint', ...request });
  });
  return { capture, isForgotten: ledger.vm(request.vm).isForgotten(capture) };
}
