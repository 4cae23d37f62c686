// What a copy lacks of its source, and the points that cannot be restored from it for that.

import { vmOfStream } from '../../../domain/events/streams.ts';
import type { LogDamage } from '../../../domain/ports/event-log.ts';
import { assert } from '../../../domain/values/assert.ts';
import type { Finding } from '../../../domain/values/finding.ts';
import {
  affected,
  pointRanges,
  type OpenFinding,
} from '../../../projections/questions/affected-points.ts';
import { lyingIn } from '../../../projections/questions/pack-check.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { damagesOf } from './pack-parts.ts';

/** What of packs was not copied, and the points that cannot be restored from the copy for it. */
export async function missedFindings(
  from: Ledger,
  missed: ReadonlyMap<string, string>,
): Promise<Finding[]> {
  if (missed.size === 0) return [];
  const { state, replay } = from;
  const { contents } = state;
  const open: OpenFinding[] = [];
  for (const [name, reason] of missed) {
    const pack = contents.named(name);
    assert(pack !== undefined, 'a pack that is needed is known');
    const found = await damagesOf(from, pack);
    // Of which nothing is whole, the pack is named; what can be read by now was not copied all the same.
    const isAll = found.length === 0 || found.length >= pack.blocks.codecs.length;
    const where = `pack ${name}`;
    const all = { finding: { kind: 'pack', where, reason }, lost: lyingIn(contents, pack) };
    open.push(...(isAll ? [all] : found.filter(({ finding }) => finding.isNote !== true)));
  }
  return affected({ state, replay }, open);
}

/** By VM: kept captures of the source that the target has not, as events are lost. */
function capturesMissed(from: Ledger, to: Ledger): Map<string, readonly number[]> {
  const missed = new Map<string, readonly number[]>();
  for (const entry of from.vms()) {
    const copied = to.state.catalogue.vms.get(entry.vm);
    const of = entry.captures
      .map(({ capture }) => capture)
      .filter((capture) => !entry.isForgotten(capture) && copied?.capture(capture) === undefined);
    if (of.length > 0) missed.set(entry.vm, of);
  }
  return missed;
}

/** What of the source's log could not be copied, and the points that the target lacks for it. */
export async function lostEvents(
  { from, to }: { readonly from: Ledger; readonly to: Ledger },
  damages: readonly LogDamage[],
): Promise<Finding[]> {
  if (damages.length === 0) return [];
  const missed = capturesMissed(from, to);
  const findings = damages.map(({ position, stream, reason }) => {
    const vm = stream === null ? null : vmOfStream(stream);
    if (vm !== null) missed.delete(vm);
    const last = vm === null ? 0 : (to.state.catalogue.vms.get(vm)?.rows.last?.capture ?? 0);
    const where = `the log at position ${position}${stream === null ? '' : `, stream ${stream}`}`;
    const affects = vm === null ? [] : [`${vm}@${last + 1}..`];
    return { kind: 'log-damaged', where, reason, affects };
  });
  const reason = 'events before them, or of VMs whose pages they share, are lost';
  const rest = { kind: 'log-damaged', where: 'the log', reason };
  const [unknown] = await affected(to, [{ finding: rest, lost: null }]);
  const absent = [...missed].flatMap(([vm, of]) => pointRanges(vm, of));
  const affects = [...absent, ...(unknown?.affects ?? [])];
  return affects.length === 0 ? findings : [...findings, { ...rest, affects }];
}
