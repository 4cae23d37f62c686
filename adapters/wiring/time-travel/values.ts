// Every value that some bytes of a guest had, by its own addresses or its hardware's.

import { textIn } from '../../../domain/guest/virtual-memory.ts';
import { firstFrom, valuesBetween } from '../../../domain/use-cases/travel/changes.ts';
import {
  bytesOfType,
  numberIn,
  type NumberType,
} from '../../../domain/use-cases/travel/numbers.ts';
import { placeIn } from '../../../domain/use-cases/travel/place.ts';
import { refuse } from '../../../domain/values/refused.ts';
import type { CaptureRow, VmEntry } from '../../../projections/models/vm-entry.ts';
import type { KernelChoice } from '../guest/stand-ins.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { AddressSpace } from './address-space.ts';
import { VmOverTime } from './vm-over-time.ts';

/** Where the bytes lie: at a symbol of the kernel, or at an address of whom is meant. */
export type ValuePlace =
  | { readonly symbol: string }
  | { readonly virtual: bigint; readonly pid: number | null }
  | { readonly physical: number };

/** How the bytes are read: as a number, or so many of them as a text or as digits. */
export type ValueType =
  { readonly type: NumberType } | { readonly type: 'str' | 'hex'; readonly length: number };

/** Which bytes of a VM, how they are read, and between which captures. */
export interface ValuesRequest extends KernelChoice {
  readonly entry: VmEntry;
  readonly place: ValuePlace;
  readonly type: ValueType;
  /** Null: from the oldest capture that is kept. */
  readonly from: CaptureRow | null;
  readonly to: CaptureRow;
}

/** A value from a capture on. */
export interface ValueAt {
  readonly capture: number;
  readonly timeMs: number;
  /** Numbers of 64 bits are bigints; null: the bytes were not there. */
  readonly value: number | bigint | string | null;
}

const lengthOf = (type: ValueType): number =>
  'length' in type ? type.length : bytesOfType(type.type);

function shown(bytes: Uint8Array, type: ValueType): number | bigint | string {
  if (type.type === 'hex') return Buffer.from(bytes).toString('hex');
  if (type.type === 'str') return textIn(bytes);
  const number = numberIn(bytes, type.type);
  return bytesOfType(type.type) === 8 ? number : Number(number);
}

function spaceOf(place: ValuePlace): AddressSpace {
  if ('physical' in place) return { kind: 'physical' };
  if ('virtual' in place && place.pid !== null) return { kind: 'process', pid: place.pid };
  return { kind: 'kernel' };
}

function addressOf(vm: VmOverTime, place: ValuePlace): bigint {
  if ('physical' in place) return BigInt(place.physical);
  if ('virtual' in place) return place.virtual;
  const named = placeIn(place.symbol);
  const address = named === null ? null : vm.addressOf(named);
  if (address !== null) return address;
  const release = vm.kernel?.guest.kernel.info.release ?? '';
  throw refuse({ _tag: 'SymbolUnknown', name: place.symbol, release });
}

/**
 * The values that bytes had at the captures that are kept, each once, from the capture on at which they
 * had it. By the guest's own addresses: what `describeGuest` fails with. Cost: a look for each time that
 * their page, or one on the way to it, was written.
 */
export async function* valuesOver(
  ledger: Ledger,
  { entry, kernel, standIns, place, type, from, to }: ValuesRequest,
): AsyncGenerator<ValueAt> {
  const isPhysical = 'physical' in place;
  const point = { entry, row: to, kernel, standIns };
  const vm = await VmOverTime.open(ledger, point, isPhysical ? 'not needed' : 'needed');
  const stretch = { address: addressOf(vm, place), length: lengthOf(type) };
  const watched = vm.values(stretch, spaceOf(place));
  const { moments } = vm.past;
  const range = {
    from: from === null ? 0 : firstFrom(moments, from.capture),
    to: firstFrom(moments, to.capture),
  };
  for await (const { moment, value: bytes } of valuesBetween(watched, range)) {
    const { capture, timeMs } = vm.past.entry.capture(moments[moment]!)!;
    yield { capture, timeMs, value: bytes === null ? null : shown(bytes, type) };
  }
}
