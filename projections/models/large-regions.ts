// Which parts of the VMs' memory are looked at or held small, by VM and region: what the fold says was
// decided of large pages.

import * as t from 'io-ts';
import { CONTROL_CODECS } from '../../domain/events/control.ts';
import {
  evolveLargePages,
  initialLargePages,
  type LargePages,
  type LargePagesEvent,
} from '../../domain/large-pages.ts';
import type { Change } from '../commits.ts';
import { decodeState } from './state-bytes.ts';

/** By VM. */
export type VmRegions = Map<string, LargePages>;

const { vm, capture, source } = CONTROL_CODECS.LargePageSampled.type.props;
const row = CONTROL_CODECS.LargePageSplit.type.props.regions.type;
const state = t.union([
  t.strict({ _tag: t.literal('sampled'), since: capture, source }),
  t.strict({ _tag: t.literal('split'), capture, row }),
  t.strict({ _tag: t.literal('restored'), capture, row }),
]);
const REGIONS = t.array(t.tuple([vm, t.array(t.tuple([row.type.props.region, state]))]));

/** The event of a change that tells of large pages; null: it does not. */
export function largePagesEventIn(change: Change): LargePagesEvent | null {
  if (change._tag !== 'control') return null;
  const { event } = change;
  const isOne =
    event.type === 'LargePageSampled' ||
    event.type === 'LargePageSplit' ||
    event.type === 'LargePageRestored';
  return isOne ? event : null;
}

/** Takes a change in. */
export function foldRegions(regions: VmRegions, change: Change): void {
  const event = largePagesEventIn(change);
  if (event === null) return;
  const { vm: of } = event.data;
  regions.set(of, evolveLargePages(regions.get(of) ?? initialLargePages, event));
}

export const regionsText = (regions: VmRegions): string =>
  JSON.stringify([...regions].map(([of, byRegion]) => [of, [...byRegion]]));

/** The regions of a text. StateUnfit where it is none. */
export const regionsOf = (text: string): VmRegions =>
  new Map(decodeState(text, REGIONS).map(([of, byRegion]) => [of, new Map(byRegion)]));
