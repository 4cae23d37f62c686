// What is said of a VM beside its captures: that a point has a name, that it takes no more captures.

import { LAYOUT_FORMAT, type CheckpointLayout } from '../../../domain/events/control.ts';
import { pointsStream, vmStream } from '../../../domain/events/streams.ts';
import { hasFormat } from '../../../domain/ledger.ts';
import { decidePoints, initialPoints } from '../../../domain/points.ts';
import type { Image } from '../../../domain/ports/guests.ts';
import { accepted } from '../../../domain/ports/run.ts';
import type { LaidOut } from '../../../domain/use-cases/layout/lay-out.ts';
import { isLedgerError, type LedgerError } from '../../../domain/values/ledger-error.ts';
import { decideVm, initialVm } from '../../../domain/vm.ts';
import { layOutPoint } from './checkpoint-layout.ts';
import type { Ledger } from '../ledger/ledger.ts';

/** A point to be named. */
export interface CheckpointRequest {
  readonly vm: string;
  readonly name: string;
  readonly capture: number;
  /** What a person says of it. */
  readonly note?: string;
  /** Its memory, where it was captured just now and is at hand still: no page is read back for it. */
  readonly image?: Image;
  readonly onPages?: (progress: { readonly pages: number; readonly pageCount: number }) => void;
}

/** Refuses a name, and what is said of it, before a point of a VM that may be new is captured for it. */
export function checkCheckpoint(
  ledger: Ledger,
  request: Pick<CheckpointRequest, 'vm' | 'name' | 'note'>,
): void {
  const entry = ledger.vms().find(({ vm }) => vm === request.vm);
  const { points, state } = entry ?? { points: initialPoints, state: initialVm };
  const { captures, isRetired } = state;
  const command = { _tag: 'TakeCheckpoint', ...request, capture: captures + 1, isRetired } as const;
  accepted(decidePoints(points)(command));
}

/** What was copied for a point when it was named; or why nothing could be: it is named all the same. */
export type CheckpointTaken = Omit<LaidOut, 'takeBack'> | LedgerError;

/** Lays a point out, as far as it and the disk allow: a name is worth more than its layout. */
async function laidOut(ledger: Ledger, request: CheckpointRequest): Promise<LaidOut | LedgerError> {
  const { vm, capture, onPages, image } = request;
  try {
    const entry = ledger.vm(vm);
    const row = ledger.resolve(entry, `@${capture}`);
    return await layOutPoint(
      ledger,
      { entry, row },
      {
        ...(onPages === undefined ? {} : { onPages }),
        ...(image === undefined ? {} : { image }),
      },
    );
  } catch (thrown) {
    if (isLedgerError(thrown)) return thrown;
    throw thrown;
  }
}

/**
 * Names a point, and lays it out: what of it lies apart is copied into packs of its own, in its order.
 * In a ledger of an earlier format only where something is.
 */
export async function takeCheckpoint(
  ledger: Ledger,
  request: CheckpointRequest,
): Promise<CheckpointTaken> {
  const { vm, name, capture, note } = request;
  const taking =
    (layout: CheckpointLayout | null) => (): ReturnType<ReturnType<typeof decidePoints>> => {
      const { points, state } = ledger.vm(vm);
      const { isRetired } = state;
      const said = {
        ...(note === undefined ? {} : { note }),
        ...(layout === null ? {} : { layout }),
      };
      return decidePoints(points)({
        _tag: 'TakeCheckpoint',
        vm,
        name,
        capture,
        ...said,
        isRetired,
      });
    };
  // What is refused is refused before anything is copied.
  accepted(taking(null)());
  const made = await laidOut(ledger, request);
  const isLaidOut = !isLedgerError(made);
  const isCopied = isLaidOut && made.layout.map !== null;
  try {
    // That nothing had to be copied is no reason to raise a ledger's format.
    const isSaid = isCopied || hasFormat(ledger.state.catalogue.facts, LAYOUT_FORMAT);
    const layout = isLaidOut && isSaid ? made.layout : null;
    await ledger.decide(pointsStream(vm), taking(layout));
  } catch (thrown) {
    if (isLaidOut) await made.takeBack();
    throw thrown;
  }
  return made;
}

/** Ends a VM's life: its history stays, it takes no further captures. */
export async function retireVm(ledger: Ledger, vm: string): Promise<void> {
  await ledger.decide(vmStream(vm), () => decideVm(ledger.vm(vm).state)({ _tag: 'RetireVm', vm }));
}
