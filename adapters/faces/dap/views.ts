// What is shown of a moment: where a CPU is, its registers, and which moment it is.

import { Scope, Variable } from '@vscode/debugadapter';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { placeIn } from '../../../domain/use-cases/travel/place.ts';
import { KERNEL_HALF } from '../../wiring/time-travel/address-space.ts';
import type { DebuggedVm } from '../../wiring/time-travel/debugged-vm.ts';
import { momentText, registersText } from '../gdb/monitor.ts';
import { namedRegisters, type Shown } from '../gdb/registers.ts';
import { hexAddress } from '../../../domain/guest/guest-failures.ts';
import { Unanswerable } from './requests.ts';

/** References of variables: those of a CPU are from here on, the moment's is one of its own. */
const REGISTERS = 1000;
const MOMENT = 1;
const CPUS_MAX = 4096;

/** What is shown of a CPU now. */
export async function shownOf(vm: DebuggedVm, cpu: number): Promise<Shown> {
  const found = await vm.cpus();
  return { cpu: found?.cpus[cpu] ?? null, capture: vm.capture };
}

/** The address of a place as people write it. Unanswerable where it is none. */
export function addressIn(vm: DebuggedVm, text: string): bigint {
  const place = placeIn(text.trim());
  if (place === null)
    throw new Unanswerable('an address, a symbol or SYMBOL+OFFSET of the kernel was expected');
  const address = vm.over.addressOf(place);
  if (address === null) throw new Unanswerable(`the kernel has no symbol ${place.symbol!}`);
  return address;
}

/** An address by the symbol that it lies in. */
function symbolText(vm: DebuggedVm, address: bigint): string {
  const symbol = address < KERNEL_HALF ? undefined : vm.kernel?.guest.symbols.nearest(address);
  if (symbol == null) return hexAddress(address);
  const behind = address - symbol.address;
  return behind === 0n ? symbol.name : `${symbol.name}+0x${behind.toString(16)}`;
}

/** The one frame of a CPU. */
export async function frameText(
  vm: DebuggedVm,
  cpu: number,
): Promise<{ readonly name: string; readonly pc: bigint | null }> {
  const pc = (await shownOf(vm, cpu)).cpu?.rip ?? null;
  const where = pc === null ? 'no registers' : symbolText(vm, pc);
  return { name: `${where} (${momentText(vm)})`, pc };
}

export function scopesOf(cpu: number): DebugProtocol.Scope[] {
  const registers: DebugProtocol.Scope = new Scope('Registers', REGISTERS + cpu);
  registers.presentationHint = 'registers';
  return [new Scope('Moment', MOMENT), registers];
}

/** Registers that are addresses. */
const POINTERS = new Set(['rip', 'rsp', 'rbp']);

export async function variablesIn(
  vm: DebuggedVm,
  reference: number,
): Promise<DebugProtocol.Variable[]> {
  if (reference === MOMENT)
    return [
      new Variable('capture', momentText(vm)),
      new Variable('registers', await registersText(vm)),
      new Variable('vm', vm.vm),
    ];
  const cpu = reference - REGISTERS;
  if (cpu < 0 || cpu > CPUS_MAX) throw new Unanswerable('there are no such variables');
  return namedRegisters(await shownOf(vm, cpu)).map(({ name, value, bits }) => {
    if (value === null) return new Variable(name, 'not recorded');
    const text = `0x${value.toString(16).padStart(bits / 4, '0')}`;
    const variable: DebugProtocol.Variable = new Variable(name, text);
    if (POINTERS.has(name)) variable.memoryReference = text;
    return variable;
  });
}
