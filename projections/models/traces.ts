// The restore traces: by VM and capture, which pages guests asked for while their memory arrived.

import * as t from 'io-ts';
import { CONTROL_CODECS } from '../../domain/events/control.ts';
import { evolveRequests, initialTraces, type Traces } from '../../domain/requests.ts';
import type { Change } from '../commits.ts';
import { decodeState } from './state-bytes.ts';

/** By VM. */
export type VmTraces = Map<string, Traces>;

const { vm, capture, pages } = CONTROL_CODECS.PageRequested.type.props;
const TRACES = t.array(t.tuple([vm, t.array(t.tuple([capture, t.readonlyArray(pages)]))]));

/** Takes a change in. */
export function foldTraces(traces: VmTraces, change: Change): void {
  if (change._tag !== 'control' || change.event.type !== 'PageRequested') return;
  const { vm: of } = change.event.data;
  traces.set(of, evolveRequests(traces.get(of) ?? initialTraces, change.event));
}

export const tracesText = (traces: VmTraces): string =>
  JSON.stringify([...traces].map(([of, byCapture]) => [of, [...byCapture]]));

/** The traces of a text. StateUnfit where it is none. */
export const tracesOf = (text: string): VmTraces =>
  new Map(decodeState(text, TRACES).map(([of, byCapture]) => [of, new Map(byCapture)]));
