// What is said of a VM beside its captures: that a point has a name, that it takes no more captures.

import { decidePoints } from '../../domain/points.ts';
import { pointsStream, vmStream } from '../../domain/events/streams.ts';
import { decideVm } from '../../domain/vm.ts';
import type { Ledger } from './ledger.ts';

/** Names a point. */
export async function takeCheckpoint(
  ledger: Ledger,
  request: {
    readonly vm: string;
    readonly name: string;
    readonly capture: number;
    /** What a person says of it. */
    readonly note?: string;
  },
): Promise<void> {
  await ledger.decide(pointsStream(request.vm), () => {
    const { points, state } = ledger.vm(request.vm);
    const { isRetired } = state;
    return decidePoints(points)({ _tag: 'TakeCheckpoint', ...request, isRetired });
  });
}

/** Ends a VM's life: its history stays, it takes no further captures. */
export async function retireVm(ledger: Ledger, vm: string): Promise<void> {
  await ledger.decide(vmStream(vm), () => decideVm(ledger.vm(vm).state)({ _tag: 'RetireVm', vm }));
}
