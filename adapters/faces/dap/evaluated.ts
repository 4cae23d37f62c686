// What is made of a text that a client has evaluated: a value in memory, whether a predicate holds now,
// or, where a person asks, what the debugger's own commands answer.

import { accepted } from '../../../domain/ports/run.ts';
import { seeAt } from '../../../domain/use-cases/travel/changes.ts';
import { bytesOfType, isNumberType, numberIn } from '../../../domain/use-cases/travel/numbers.ts';
import { parsePredicate } from '../../../domain/use-cases/travel/predicate.ts';
import type { DebuggedVm } from '../../wiring/time-travel/debugged-vm.ts';
import { isAskedFor, runMonitor, wordsOf } from '../gdb/monitor.ts';
import { hexAddress } from '../../../domain/guest/guest-failures.ts';
import { addressIn } from './views.ts';

const TEXT_MAX = 4096;
const VALUE = /^\s*([us](?:8|16|32|64))\s+(\S+)\s*$/u;

interface Evaluated {
  readonly result: string;
  readonly memoryReference?: string;
}

/** `u64 jiffies`: the value now. */
async function valueOf(
  vm: DebuggedVm,
  [, type, place]: readonly string[],
): Promise<Evaluated | null> {
  if (!isNumberType(type!)) return null;
  const address = addressIn(vm, place!);
  const length = bytesOfType(type);
  const bytes = await vm.read({ address, length }, await vm.spaceAt(0));
  const memoryReference = hexAddress(address);
  if (bytes.length < length) return { result: 'not mapped', memoryReference };
  return { result: String(numberIn(bytes, type)), memoryReference };
}

/** What a text is now. What parsing it, or a command, is refused with. */
export async function evaluated(
  vm: DebuggedVm,
  of: { readonly expression: string; readonly isAsked: boolean; readonly signal: AbortSignal },
): Promise<Evaluated> {
  const { signal, isAsked } = of;
  const expression = of.expression.slice(0, TEXT_MAX);
  const space = await vm.spaceAt(0);
  if (isAsked && isAskedFor(expression)) {
    let result = '';
    for await (const text of runMonitor(vm, { ...wordsOf(expression), space, signal }))
      result += text;
    return { result: result.trimEnd() };
  }
  const value = VALUE.exec(expression);
  const found = value === null ? null : await valueOf(vm, value);
  if (found !== null) return found;
  const predicate = accepted(parsePredicate(expression));
  vm.over.checkSymbols(predicate);
  const { value: holds } = await seeAt(vm.over.watchPredicate(predicate, space, signal), vm.moment);
  return { result: holds === null ? 'cannot be told' : String(holds) };
}
