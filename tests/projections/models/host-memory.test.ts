// What clones have of their hosts' memory, as the fold keeps it: deleted and replayed it is the same, it reads
// back as it was written, and bytes that are none are refused.

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { initialHostMemory } from '../../../domain/host-memory.ts';
import type { ControlEvent } from '../../../domain/events/control.ts';
import type { Change } from '../../../projections/commits.ts';
import { KeptHostMemory } from '../../../projections/models/host-memory.ts';
import { StateUnfit, StateWriter } from '../../../projections/models/state-bytes.ts';
import { ClonedHost, hostStep, leasedOn } from '../../support/hosts/cloned-host.ts';

const change = (event: ControlEvent, i: number): Change => ({
  _tag: 'control',
  event,
  position: BigInt(i),
  timeMs: i,
  id: `${i}`,
  stream: 'points-web',
});
function folded(events: readonly ControlEvent[], ledger: string | null = 'here'): KeptHostMemory {
  const kept = new KeptHostMemory();
  for (const each of events.map(change)) kept.fold(each, ledger);
  return kept;
}
const bytesOf = (events: readonly ControlEvent[]): Uint8Array => folded(events).save().slice();

const hosts = fc.array(hostStep, { maxLength: 60 }).map((steps) => {
  const host = new ClonedHost();
  for (const step of steps) host.take(step);
  host.look();
  return host;
});

describe('the memory of hosts', () => {
  test('is the same when it is deleted and replayed, and when it is written and read', () => {
    fc.assert(
      fc.property(hosts, ({ events, memory }) => {
        expect(folded(events).memory).toEqual(memory);
        expect(KeptHostMemory.load(bytesOf(events)).memory).toEqual(memory);
        expect(KeptHostMemory.load(bytesOf(events)).save()).toEqual(bytesOf(events));
      }),
    );
  });

  test('goes on from where it was written', () => {
    fc.assert(
      fc.property(hosts, fc.nat(200), ({ events, memory }, cut) => {
        const kept = KeptHostMemory.load(bytesOf(events.slice(0, cut)));
        for (const each of events.map(change).slice(cut)) kept.fold(each, 'here');
        expect(kept.memory).toEqual(memory);
        expect(kept.save()).toEqual(bytesOf(events));
      }),
    );
  });

  test('has no clone of another ledger, of which this is a copy', () => {
    expect(folded([leasedOn('00000000000000aa')]).memory.clones.size).toBe(1);
    expect(folded([leasedOn('00000000000000aa')], 'copy').memory).toEqual(initialHostMemory);
  });

  test('that was cut short, or has ranges that do not ascend, is unfit', () => {
    fc.assert(
      fc.property(hosts, fc.nat(), ({ events }, at) => {
        const bytes = bytesOf(events);
        const cut = bytes.slice(0, at % bytes.length);
        expect(() => KeptHostMemory.load(cut)).toThrow(StateUnfit);
      }),
    );
    const writer = new StateWriter().u32(1).text('a').text('one').text('');
    writer.column(Uint32Array.of(5, 4)).column(new Uint32Array(0)).column(new Float64Array(4));
    writer.u32(0).u32(0);
    expect(() => KeptHostMemory.load(writer.bytes())).toThrow('do not ascend');
  });
});
