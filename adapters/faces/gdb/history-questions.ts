// What is asked of the whole history, not of the moment that is looked at, as lines of text: where bytes
// stood, what differs between two points, who may have written.

import { addressOfGfn } from '../../../domain/values/memory-map.ts';
import type { Found } from '../../wiring/time-travel/find.ts';
import type { DebuggedVm } from '../../wiring/time-travel/debugged-vm.ts';
import type { NamedProcess, PossibleWriters } from '../../wiring/time-travel/writers.ts';
import { escapedText } from '../rows/escaped-text.ts';
import { isoTime } from '../rows/row.ts';

/** Lines of an answer; how many more there are is told. */
const LINES_MAX = 200;

/** What was asked cannot be answered as it was asked. */
export class Unusable extends Error {}

/** The first lines, and how many are left out. */
function* shortened(lines: readonly string[], count = lines.length): Generator<string> {
  for (const line of lines.slice(0, LINES_MAX)) yield `${line}\n`;
  if (count > LINES_MAX) yield `and ${count - LINES_MAX} more\n`;
}

/** Bytes as they are asked for: digits, or a text in quotes. */
function bytesIn(text: string): Uint8Array {
  const quoted = /^(["'])(.*)\1$/su.exec(text.trim())?.[2];
  if (quoted !== undefined) return new TextEncoder().encode(quoted);
  const digits = text.trim().replace(/^0x/iu, '');
  if (!/^(?:[0-9a-f]{2})+$/iu.test(digits))
    throw new Unusable('bytes in hex, or a text in quotes, were expected');
  return Buffer.from(digits, 'hex');
}

/** The guest-physical address of a place in a page; a page that none leads to is told by its number. */
function addressText(vm: DebuggedVm, capture: number, gfn: number, offset = 0): string {
  const map = vm.past.entry.mapAt(capture);
  const address = map === null ? null : addressOfGfn(map, gfn);
  if (address === null) return `page ${gfn}+0x${offset.toString(16)}`;
  return `0x${(address + offset).toString(16)}`;
}

function foundLines(vm: DebuggedVm, { places }: Found): string[] {
  return places.map(({ gfn, offset, from, to, fromMs }) => {
    const begin = vm.past.entry.capture(from)?.capture ?? vm.capture;
    const time = fromMs === null ? '' : ` (${isoTime(fromMs)})`;
    const until = to === Infinity ? 'held' : `until @${to}`;
    return `${addressText(vm, begin, gfn, offset)} from @${from}${time}, ${until}`;
  });
}

/** Where bytes stood. */
export async function* find(
  vm: DebuggedVm,
  { rest, signal }: { readonly rest: string; readonly signal: AbortSignal },
): AsyncGenerator<string> {
  await vm.past.catchUp();
  const found = await vm.find(bytesIn(rest), signal);
  if (found.places.length === 0) yield 'these bytes are nowhere\n';
  yield* shortened(foundLines(vm, found));
  if (found.gone > 0)
    yield `${found.gone} distinct pages of forgotten captures are no longer there: what they held is not found\n`;
  if (found.lost > 0)
    yield `${found.lost} distinct pages are damaged: what they held is not found\n`;
}

/** Pages, and bytes in them, that differ between two points. */
export async function* diff(
  vm: DebuggedVm,
  { words, signal }: { readonly words: readonly string[]; readonly signal: AbortSignal },
): AsyncGenerator<string> {
  await vm.past.catchUp();
  const [a, b] = words.slice(1).map((word) => (/^\d+$/u.test(word) ? `@${word}` : word));
  if (a === undefined || b === undefined)
    throw new Unusable('two points were expected, such as 3 and 7');
  const lines: string[] = [];
  let count = 0;
  for await (const pages of vm.difference(a, b)) {
    signal.throwIfAborted();
    for (const { gfn, ranges } of pages) {
      count += 1;
      if (lines.length >= LINES_MAX) continue;
      const where = addressText(vm, vm.capture, gfn, ranges?.[0]?.offset ?? 0);
      const bytes = ranges?.reduce((sum, { before }) => sum + before.length, 0);
      lines.push(
        bytes === undefined
          ? `${where}: its bytes were forgotten`
          : `${where}: ${bytes} bytes in ${ranges!.length} stretches`,
      );
    }
  }
  yield `${count} pages differ\n`;
  yield* shortened(lines, count);
}

const processText = ({ pid, command }: NamedProcess): string =>
  pid === 0 ? 'idle' : `${pid} ${command === null ? '' : escapedText(command)}`.trimEnd();

/** Who may have written, in words. */
export function* writersText(writers: PossibleWriters): Generator<string> {
  const { physical, owner, reasons, running } = writers;
  if (physical !== null) {
    const process =
      owner?.pid == null ? '' : ` of ${processText({ pid: owner.pid, command: owner.command })}`;
    const whose = owner === null ? 'whose it is cannot be told' : `${owner.owner}${process}`;
    yield `page at 0x${(physical & ~0xfffn).toString(16)}: ${whose}\n`;
  }
  for (const reason of reasons) yield `${escapedText(reason)}\n`;
  for (const [cpu, ran] of running.entries())
    yield `CPU ${cpu} then: ${ran === null ? 'cannot be told' : processText(ran)}\n`;
  if (running.length === 0) yield 'no registers were recorded there: who ran is not known\n';
  yield 'which instruction wrote it, and who ran between the captures, is in no history of pages\n';
}
