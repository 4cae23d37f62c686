// Which points a finding makes unrestorable: what is lost, with the patches that need it, is looked for
// in the page table of every kept point.

import { addTo } from '../../domain/values/grouped.ts';
import { UNKNOWN, type Holding } from '../../domain/values/holding.ts';
import type { Finding } from '../../domain/values/finding.ts';
import { mayHaveDevice } from '../../domain/values/capture-mode.ts';
import type { CaptureRow } from '../models/vm-entry.ts';
import type { Contents } from '../models/contents.ts';
import type { LedgerState, Replay } from '../models/ledger-state.ts';
import { walkTables } from './table-walk.ts';

/** A finding whose affected points are filled in once the tables were walked. */
export interface OpenFinding {
  readonly finding: Omit<Finding, 'affects'>;
  /** What is lost; null: lost events, so pages became unknown. */
  readonly lost: ReadonlySet<Holding> | null;
}

/** Takes in a finding, and what is lost by it. */
export type FindLost = (finding: OpenFinding['finding'], lost: OpenFinding['lost']) => void;

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
export const RELEASED = 'released';
/** Kind of a finding of patches whose references nobody knows. */
export const PATCH = 'patch';

/** Patches whose references are lost are lost as well. */
function withDependents(contents: Contents, found: readonly OpenFinding[]): OpenFinding[] {
  const patches = new Map<Holding, Holding[]>();
  for (const pack of found.length === 0 ? [] : contents.all)
    for (const [i, slot] of pack.patches.slots.entries()) {
      // What was rewritten since is a patch no more, or of something else.
      if (!contents.liesAt(pack, slot)) continue;
      const reference = contents.firstOf(pack.references[i]!);
      addTo(patches, reference, contents.holdingAt(pack, slot));
    }
  return found.map(({ finding, lost }) => {
    if (lost === null) return { finding, lost };
    const all = new Set(lost);
    // A set goes on with what is added to it on the way.
    for (const holding of all) for (const patch of patches.get(holding) ?? []) all.add(patch);
    return { finding, lost: all };
  });
}

/** What of the kept captures a finding takes. */
class Taken {
  readonly #captures = new Map<string, number[]>();
  /** Attachments that it takes from captures whose memory is whole. */
  readonly #attachments: {
    readonly vm: string;
    readonly capture: number;
    readonly name: string;
  }[] = [];

  addCapture(vm: string, capture: number): void {
    addTo(this.#captures, vm, capture);
  }

  addAttachment(vm: string, capture: number, name: string): void {
    if (this.#captures.get(vm)?.at(-1) !== capture) this.#attachments.push({ vm, capture, name });
  }

  /** The points that cannot be restored, and the attachments. */
  texts(): readonly string[] {
    return [
      ...[...this.#captures].flatMap(([vm, captures]) => pointRanges(vm, captures)),
      ...this.#attachments.map(({ vm, capture, name }) => `${vm}@${capture} (${name})`),
    ];
  }

  *all(): Generator<readonly [string, readonly number[]]> {
    yield* this.#captures;
    for (const { vm, capture } of this.#attachments) yield [vm, [capture]];
  }
}

/** By finding, the captures that it makes unrestorable. O(page events). */
async function affectedCaptures(
  ports: { readonly state: LedgerState; readonly replay: Replay },
  found: readonly OpenFinding[],
): Promise<readonly Taken[]> {
  const open = withDependents(ports.state.contents, found);
  const unknown = new Taken();
  const points = open.map(() => new Taken());
  const byHolding = new Map<Holding, number[]>();
  for (const [i, { lost }] of open.entries())
    for (const holding of lost ?? []) addTo(byHolding, holding, i);
  const held = open.map(() => new Map<string, number>());
  const unknownPages = new Map<string, number>();
  const shift = (vm: string, holding: number, by: number): void => {
    if (holding === UNKNOWN) unknownPages.set(vm, (unknownPages.get(vm) ?? 0) + by);
    else
      for (const i of byHolding.get(holding) ?? []) held[i]!.set(vm, (held[i]!.get(vm) ?? 0) + by);
  };
  await walkTables(ports, {
    added: (vm, pages) => shift(vm, UNKNOWN, pages),
    page: (vm, _gfn, old, next) => {
      shift(vm, old, -1);
      shift(vm, next, 1);
    },
    captured: (entry, row, { device, attached }) => {
      const { vm } = entry;
      const { capture } = row;
      // What was given up is not missed.
      if (entry.isForgotten(capture)) return;
      const isUnknown = (unknownPages.get(vm) ?? 0) > 0 || entry.mapAt(capture) === null;
      if (isUnknown || device.includes(UNKNOWN) || isDeviceLost(row))
        unknown.addCapture(vm, capture);
      const inDevice = new Set([...device].flatMap((holding) => byHolding.get(holding) ?? []));
      for (const [i, counts] of held.entries())
        if ((counts.get(vm) ?? 0) > 0 || inDevice.has(i)) points[i]!.addCapture(vm, capture);
      for (const [number, holdings] of attached.entries()) {
        const { name } = row.attachments[number]!;
        if (holdings.includes(UNKNOWN)) unknown.addAttachment(vm, capture, name);
        for (const i of new Set([...holdings].flatMap((holding) => byHolding.get(holding) ?? [])))
          points[i]!.addAttachment(vm, capture, name);
      }
    },
  });
  for (const entry of ports.state.catalogue.vms.values())
    if (entry.state.registered === null)
      for (const row of entry.captures) unknown.addCapture(entry.vm, row.capture);
  return open.map(({ lost }, i) => (lost === null ? unknown : points[i]!));
}

/** By VM, kept captures of which something is lost, as the log says. O(VMs) where nothing is. */
export async function damagedCaptures(ports: {
  readonly state: LedgerState;
  readonly replay: Replay;
}): Promise<ReadonlyMap<string, ReadonlySet<number>>> {
  const { catalogue, losses } = ports.state;
  const damaged = new Map<string, Set<number>>();
  const entries = [...catalogue.vms.values()];
  const isHurt = entries.some((entry) => !entry.rows.areWhole() || entry.isMapLost);
  if (losses.slots.size === 0 && !isHurt) return damaged;
  await ports.state.whole();
  const lost = ports.state.losses.of(ports.state.contents);
  if (lost.size === 0 && !isHurt) return damaged;
  const finding = { kind: 'pack', where: 'the log', reason: 'content is lost' };
  const found = await affectedCaptures(ports, [
    { finding, lost },
    { finding, lost: null },
  ]);
  for (const taken of found)
    for (const [vm, captures] of taken.all())
      damaged.set(vm, new Set([...(damaged.get(vm) ?? []), ...captures]));
  return damaged;
}

/** The findings with the points that each makes unrestorable. */
export async function affected(
  ports: { readonly state: LedgerState; readonly replay: Replay },
  found: readonly OpenFinding[],
): Promise<Finding[]> {
  const taken = await affectedCaptures(ports, found);
  const findings = found.map(({ finding }, i) => ({ ...finding, affects: taken[i]!.texts() }));
  // That something was let go of, or cannot be told any more, is no fault, unless it is held.
  return findings.filter(
    ({ kind, affects }) => (kind !== RELEASED && kind !== PATCH) || affects.length > 0,
  );
}
