// What clones have of their hosts' memory, as the fold keeps it: deleted and replayed it is the same, it reads
// back as it was written, and bytes that are none are refused.

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { initialHostMemory, type HostMemory } from '../../../domain/host-memory.ts';
import type { ControlEvent } from '../../../domain/events/control.ts';
import type { Change } from '../../../projections/commits.ts';
import {
  foldHostMemory,
  loadHostMemory,
  saveHostMemory,
} from '../../../projections/models/host-memory.ts';
import { StateReader, StateUnfit, StateWriter } from '../../../projections/models/state-bytes.ts';
import { ClonedHost, hostStep, leasedOn } from '../../support/cloned-host.ts';

const change = (event: ControlEvent, i: number): Change => ({
  _tag: 'control',
  event,
  position: BigInt(i),
  timeMs: i,
  id: `${i}`,
  stream: 'points-web',
});
const folded = (events: readonly ControlEvent[], ledger: string | null = 'here'): HostMemory =>
  events
    .map(change)
    .reduce((memory, each) => foldHostMemory(memory, each, ledger), initialHostMemory);
const bytesOf = (memory: HostMemory): Uint8Array => {
  const writer = new StateWriter();
  saveHostMemory(writer, memory);
  return writer.bytes().slice();
};

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
        expect(folded(events)).toEqual(memory);
        expect(loadHostMemory(new StateReader(bytesOf(memory)))).toEqual(memory);
      }),
    );
  });

  test('goes on from where it was written', () => {
    fc.assert(
      fc.property(hosts, fc.nat(200), ({ events, memory }, cut) => {
        const kept = loadHostMemory(new StateReader(bytesOf(folded(events.slice(0, cut)))));
        const after = events
          .map(change)
          .slice(cut)
          .reduce((now, each) => foldHostMemory(now, each, 'here'), kept);
        expect(after).toEqual(memory);
      }),
    );
  });

  test('has no clone of another ledger, of which this is a copy', () => {
    expect(folded([leasedOn('00000000000000aa')]).clones.size).toBe(1);
    expect(folded([leasedOn('00000000000000aa')], 'copy')).toEqual(initialHostMemory);
  });

  test('that was cut short, or has ranges that do not ascend, is unfit', () => {
    fc.assert(
      fc.property(hosts, fc.nat(), ({ memory }, at) => {
        const bytes = bytesOf(memory);
        const cut = bytes.slice(0, at % bytes.length);
        expect(() => loadHostMemory(new StateReader(cut))).toThrow(StateUnfit);
      }),
    );
    const writer = new StateWriter().u32(1).text('a').text('one').text('');
    writer.column(Uint32Array.of(5, 4)).column(new Uint32Array(0)).column(new Float64Array(4));
    writer.u32(0).u32(0);
    expect(() => loadHostMemory(new StateReader(writer.bytes()))).toThrow('do not ascend');
  });
});
