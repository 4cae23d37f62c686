// What `monitor` is asked in GDB, in lines of text: questions about the history that GDB has no words
// for. A failure is a line too.

import { isGuestFailure } from '../../../domain/guest/guest-failures.ts';
import { accepted } from '../../../domain/ports/run.ts';
import { valuesBetween, seeAt } from '../../../domain/use-cases/travel/changes.ts';
import { placeIn } from '../../../domain/use-cases/travel/place.ts';
import { parsePredicate } from '../../../domain/use-cases/travel/predicate.ts';
import { isLedgerError } from '../../../domain/values/ledger-error.ts';
import { isRefused } from '../../../domain/values/refused.ts';
import { instantText } from '../../../domain/values/instant.ts';
import type { VmEntry } from '../../../projections/models/vm-entry.ts';
import type { AddressSpace } from '../../wiring/time-travel/address-space.ts';
import type { DebuggedVm } from '../../wiring/time-travel/debugged-vm.ts';
import type { Stretch } from '../../wiring/time-travel/vm-over-time.ts';
import { escapedText } from '../rows/escaped-text.ts';
import { diff, find, Unusable, writersText } from './history-questions.ts';

/** A line in its words, and what stands behind the first of them. */
export function wordsOf(line: string): Pick<Asked, 'words' | 'rest'> {
  const text = line.trim();
  const words = text.split(/\s+/u);
  return { words, rest: text.slice(words[0]!.length).trim() };
}

/** What was asked, and how memory is looked at. */
export interface Asked {
  readonly words: readonly string[];
  /** What stands behind the first of them, as it was written. */
  readonly rest: string;
  readonly space: AddressSpace;
  readonly signal: AbortSignal;
}

/** Bytes of a value that is shown. */
const VALUE_BYTES = 8;
const VALUE_BYTES_MAX = 256;
/** Captures listed around the one that is looked at. */
const LISTED = 10;

const HELP = `where                      the capture that is looked at, and whose registers and addresses these are
captures [N]               the captures around it
goto POINT                 go to @7, time:..., ago:..., cp:NAME, latest (then: maintenance flush register-cache; or set $seq = 7);
                           GDB reads memory anew with: set stack-cache off, set code-cache off
last-change ADDR [LEN]     the capture in which these bytes changed last, up to here
who-wrote ADDR [LEN]       the same, whose page it was then, and who ran on the CPUs
values ADDR [LEN]          every value that they had, up to the end
when EXPR                  the first capture from here on at which it holds: u64 SYMBOL+8 >= 0x10 and not bytes ADDR == 00ff
find BYTES                 where these bytes stood in memory, first and last: find 7370 or find "a text"
diff A B                   pages, and bytes in them, that differ between two points
translate ADDR             the guest-physical address that it leads to here
ps                         the processes here
attach PID | cpu | kernel | physical   whose addresses are meant from here on
`;

export const hexOf = (bytes: Uint8Array | null): string =>
  bytes === null ? 'not mapped' : Buffer.from(bytes).toString('hex');

/** A moment in words. */
export function momentText(vm: DebuggedVm, moment = vm.moment): string {
  const { moments, entry } = vm.past;
  const row = entry.capture(moments[moment]!)!;
  return `@${row.capture} of ${moments.at(-1)!}, ${instantText(row.timeMs)}`;
}

/** Captures in words, a line each: when they were, what was written, and how they are called. */
export function capturesText(entry: VmEntry, numbers: readonly number[]): readonly string[] {
  const names = new Map<number, string>();
  for (const { name, capture } of entry.checkpoints)
    names.set(capture, `${names.get(capture) ?? ''} cp:${name}`);
  return numbers.map((capture) => {
    const row = entry.capture(capture);
    // Its history may have been forgotten since it was counted.
    if (row === undefined) return `@${capture}: forgotten`;
    const { written, hasDevice, timeMs } = row;
    const registers = hasDevice ? '' : ', no registers';
    return `@${capture} ${instantText(timeMs)}: ${written} pages written${registers}${names.get(capture) ?? ''}`;
  });
}

/** Captures that a search passed over. */
export function lostText(lost: ReadonlySet<number>): string {
  const [first, ...others] = [...lost].toSorted((a, b) => a - b);
  const all = others.length === 0 ? `@${first!}` : `${lost.size} captures, @${first!} the first,`;
  return `passed over ${all} as memory that was to be read there is lost\n`;
}

/** Whose addresses are meant, in words. */
function spaceText(space: AddressSpace): string {
  if (space.kind === 'process') return `of process ${space.pid}`;
  if (space.kind === 'tables') return "by the CPU's page tables";
  return space.kind === 'kernel' ? 'of the kernel' : 'physical';
}

/** Whose registers are shown, in words. */
export async function registersText(vm: DebuggedVm): Promise<string> {
  const found = await vm.cpus();
  if (found === null) return 'none were recorded up to here';
  const count = `${found.cpus.length} CPU${found.cpus.length === 1 ? '' : 's'}`;
  if (found.capture === vm.capture) return `${count}, of @${found.capture}`;
  return `${count}, of @${found.capture}: @${vm.capture} has none`;
}

export function stretchOf(vm: DebuggedVm, [text, length]: readonly string[]): Stretch {
  const place = text === undefined ? null : placeIn(text);
  if (place === null) throw new Unusable('an address, a symbol or SYMBOL+OFFSET was expected');
  const address = vm.over.addressOf(place);
  if (address === null) throw new Unusable(`the kernel has no symbol ${place.symbol!}`);
  const bytes = length === undefined ? VALUE_BYTES : Number(length);
  if (!Number.isInteger(bytes) || bytes < 1 || bytes > VALUE_BYTES_MAX)
    throw new Unusable(`1 to ${VALUE_BYTES_MAX} bytes were expected`);
  return { address, length: bytes };
}

async function* where(vm: DebuggedVm, { space }: Asked): AsyncGenerator<string> {
  yield `${momentText(vm)}\n`;
  yield `registers: ${await registersText(vm)}\n`;
  yield `addresses: ${spaceText(space)}\n`;
}

async function* captures(vm: DebuggedVm, { words }: Asked): AsyncGenerator<string> {
  await vm.past.catchUp();
  const { moments, entry } = vm.past;
  const around = Math.max(1, Math.min(Number(words[1] ?? LISTED) || LISTED, moments.length));
  const from = Math.max(0, Math.min(vm.moment - (around >> 1), moments.length - around));
  const shown = moments.slice(from, from + around);
  for (const [i, line] of capturesText(entry, shown).entries())
    yield `${from + i === vm.moment ? '=>' : '  '} ${line}\n`;
}

async function* goto(vm: DebuggedVm, { words }: Asked): AsyncGenerator<string> {
  if (words[1] === undefined) throw new Unusable('a point was expected, such as @7');
  await vm.goTo(words[1]);
  yield `${momentText(vm)}\n`;
}

/** The last change of the bytes that were asked about, told; null: there was none. */
async function* toldChange(
  vm: DebuggedVm,
  { words, space, signal }: Asked,
): AsyncGenerator<string, { readonly stretch: Stretch; readonly moment: number } | null> {
  const stretch = stretchOf(vm, words.slice(1));
  const lost = new Set<number>();
  const onLost = (capture: number): void => void lost.add(capture);
  const changed = await vm.lastChange({ stretch, space }, { signal, onLost });
  if (lost.size > 0) yield lostText(lost);
  if (changed === null) {
    yield `it is the same since @${vm.past.moments[0]!}, the oldest capture that is kept\n`;
    return null;
  }
  const { before, after } = changed;
  yield `changed in ${momentText(vm, after.moment)}: ${hexOf(before.value)} -> ${hexOf(after.value)}\n`;
  return { stretch, moment: after.moment };
}

async function* lastChange(vm: DebuggedVm, asked: Asked): AsyncGenerator<string> {
  yield* toldChange(vm, asked);
}

async function* whoWrote(vm: DebuggedVm, asked: Asked): AsyncGenerator<string> {
  const changed = yield* toldChange(vm, asked);
  if (changed === null) return;
  const { stretch, moment } = changed;
  yield* writersText(await vm.writersOf({ stretch, space: asked.space }, moment));
}

async function* values(vm: DebuggedVm, { words, space, signal }: Asked): AsyncGenerator<string> {
  await vm.past.catchUp();
  const stretch = stretchOf(vm, words.slice(1));
  const watched = vm.over.values(stretch, space, signal);
  const to = vm.past.moments.length - 1;
  for await (const { moment, value } of valuesBetween(watched, { from: 0, to }))
    yield `${momentText(vm, moment)}: ${hexOf(value)}\n`;
}

async function* when(vm: DebuggedVm, { words, space, signal }: Asked): AsyncGenerator<string> {
  await vm.past.catchUp();
  const predicate = accepted(parsePredicate(words.slice(1).join(' ')));
  vm.over.checkSymbols(predicate);
  const watched = vm.over.watchPredicate(predicate, space, signal);
  const to = vm.past.moments.length - 1;
  for await (const { moment, value } of valuesBetween(watched, { from: vm.moment, to }))
    if (value === true) {
      yield `holds from ${momentText(vm, moment)}\n`;
      return;
    }
  const { value } = await seeAt(watched, to);
  yield value === null
    ? 'it cannot be told: something that it depends on is not there\n'
    : 'it holds at no capture from here on\n';
}

async function* translate(vm: DebuggedVm, { words, space }: Asked): AsyncGenerator<string> {
  const { address } = stretchOf(vm, words.slice(1, 2));
  const physical = await vm.physical(address, space);
  yield physical === null ? 'not mapped\n' : `0x${physical.toString(16)}\n`;
}

async function* ps(vm: DebuggedVm): AsyncGenerator<string> {
  const { kernel, undescribed } = vm.over;
  if (kernel === null) throw new Unusable(undescribed ?? 'the guest does not tell');
  for (const { pid, state, pages, command } of await kernel.tasksIn(await vm.memory()))
    yield `${String(pid).padStart(7)} ${state} ${String(pages).padStart(9)}  ${escapedText(command)}\n`;
}

const SPACES: Readonly<Record<string, AddressSpace | null>> = {
  cpu: null,
  kernel: { kind: 'kernel' },
  physical: { kind: 'physical' },
};

async function* attach(vm: DebuggedVm, { words }: Asked): AsyncGenerator<string> {
  const whose = words[1] ?? '';
  if (/^\d{1,7}$/u.test(whose)) await vm.use({ kind: 'process', pid: Number(whose) });
  else if (Object.hasOwn(SPACES, whose)) await vm.use(SPACES[whose]!);
  else throw new Unusable('a process number, cpu, kernel or physical was expected');
  yield `addresses: ${spaceText(vm.asked ?? (await vm.spaceAt(0)))}\n`;
}

type Command = (vm: DebuggedVm, asked: Asked) => AsyncGenerator<string>;

const COMMANDS: Readonly<Record<string, Command>> = {
  where,
  captures,
  goto,
  'last-change': lastChange,
  'who-wrote': whoWrote,
  find,
  diff,
  values,
  when,
  translate,
  ps,
  attach,
};

/** Whether something is asked for that is answered in lines. */
export const isAskedFor = (line: string): boolean =>
  Object.hasOwn(COMMANDS, line.trim().split(/\s+/u)[0]!);

/** What is answered, a line at a time. */
export async function* runMonitor(vm: DebuggedVm, asked: Asked): AsyncGenerator<string> {
  const name = asked.words[0] ?? '';
  if (!Object.hasOwn(COMMANDS, name)) {
    if (name !== '' && name !== 'help') yield `there is no ${escapedText(name)}; there are:\n`;
    yield HELP;
    return;
  }
  try {
    yield* COMMANDS[name]!(vm, asked);
  } catch (thrown) {
    if (asked.signal.aborted) yield 'interrupted\n';
    else if (
      thrown instanceof Unusable ||
      isLedgerError(thrown) ||
      isRefused(thrown) ||
      isGuestFailure(thrown)
    )
      yield `${escapedText(thrown.message)}\n`;
    else throw thrown;
  }
}
