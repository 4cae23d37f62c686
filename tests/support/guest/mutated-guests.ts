// Guests whose description of themselves is nearly right, and all that is asked of them: an answer, or a
// sentence that says what is wrong, in a bounded number of reads.

import { dwarfOf } from '../../../domain/guest/debug/dwarf.ts';
import { symbolFile } from '../../../domain/guest/debug/symbol-file.ts';
import { SymbolPlaces } from '../../../domain/guest/debug/symbol-places.ts';
import { isGuestFailure } from '../../../domain/guest/guest-failures.ts';
import { readKallsyms } from '../../../domain/guest/kallsyms.ts';
import { readKernelLog } from '../../../domain/guest/kernel-log.ts';
import { directMapOf, imageOf } from '../../../domain/guest/kernel-view.ts';
import { kernelAt, readBtf, type Kernel } from '../../../domain/guest/kernel.ts';
import { FrameOwners, mappedBy } from '../../../domain/guest/owner-table.ts';
import { pageLayoutOf, pageOwners } from '../../../domain/guest/page-owners.ts';
import { TaskReader, taskLayoutOf } from '../../../domain/guest/tasks.ts';
import { requiredSymbol } from '../../../domain/guest/vmcoreinfo.ts';
import type { GuestPages } from '../../../domain/ports/guest-pages.ts';
import {
  directAddress,
  imageAddress,
  MADE_FRAMES,
  MADE_NOTE,
  madeKernel,
  pagesOfBytes,
} from './made-kernel.ts';
import { seededRandom, type Random } from '../images.ts';
import { mutated } from '../spoiled/mutations.ts';

const PAGE = 4096;
/** What all questions about a whole one read, many times over; a list or a table without an end reads more. */
const READS_MAX = 2000;
/** Of one guest: as much as the longest list of processes, or the largest table, that is believed has. */
const BYTES_MAX = 2 ** 31;

/** Pages that count what is asked of them. */
function counted(bytes: Uint8Array): GuestPages & { readonly reads: () => number } {
  const pages = pagesOfBytes(bytes);
  let reads = 0;
  let length = 0;
  return {
    ...pages,
    reads: () => reads,
    read(frames) {
      reads += 1;
      length += frames.length * PAGE;
      if (reads > READS_MAX || length > BYTES_MAX)
        throw new RangeError(`${reads} reads of ${length} bytes of one guest`);
      // Pages are not written to, so one needs no copy.
      const [frame] = frames;
      return frames.length === 1 && frame !== undefined
        ? Promise.resolve(bytes.subarray(frame * PAGE, (frame + 1) * PAGE))
        : pages.read(frames);
    },
  };
}

type Answer = 'answered' | 'refused';

/** Whether a question is answered; a guest's failure is an answer too, and anything else is thrown. */
async function asked(question: () => Promise<unknown>): Promise<Answer> {
  try {
    await question();
    return 'answered';
  } catch (thrown) {
    if (!isGuestFailure(thrown)) throw thrown;
    return 'refused';
  }
}

async function owned(kernel: Kernel): Promise<void> {
  const symbols = await readKallsyms(kernel.memory, kernel.info);
  const btf = await readBtf(kernel, symbols);
  const reader = new TaskReader(kernel.memory, taskLayoutOf(btf));
  const tasks = await reader.all(symbols);
  const layout = pageLayoutOf(btf);
  const owners = await pageOwners(kernel.memory, symbols, { layout });
  const mapped = await mappedBy(kernel.memory, reader, { tasks });
  const wanted = [3, 17, 22];
  await pageOwners(kernel.memory, symbols, { layout, wanted });
  await mappedBy(kernel.memory, reader, { tasks, wanted });
  const frames = Array.from({ length: MADE_FRAMES }, (_, frame) => frame);
  const table = new FrameOwners({ owners, mapped, tasks }).table(frames);
  if (table.reduce((sum, { pages }) => sum + pages, 0) !== MADE_FRAMES)
    throw new TypeError('owners do not sum up to all pages');
}

async function exported(kernel: Kernel): Promise<void> {
  const symbols = await readKallsyms(kernel.memory, kernel.info);
  imageOf(kernel);
  await directMapOf(kernel, symbols);
  const { types } = await readBtf(kernel, symbols);
  const textStart = requiredSymbol(kernel.info, '_stext');
  const { kernelOffset: offset, buildId } = kernel.info;
  const places = new SymbolPlaces(symbols, { textStart, offset });
  const dwarf = dwarfOf(types, { name: kernel.info.release, places });
  symbolFile({ places, dwarf, frames: null, buildId });
}

const QUESTIONS: Readonly<Record<string, (kernel: Kernel) => Promise<unknown>>> = {
  owned,
  exported,
  told: readKernelLog,
};

/** Where what is changed lies: frames, and the questions that read them. */
const PARTS: readonly {
  readonly frames: readonly [number, number];
  readonly asks: readonly string[];
}[] = [
  { frames: [1, 6], asks: ['owned', 'told'] },
  { frames: [MADE_NOTE, MADE_NOTE + 1], asks: ['owned', 'exported', 'told'] },
  { frames: [7, 10], asks: ['exported'] },
  { frames: [10, 12], asks: ['owned'] },
  { frames: [10, 12], asks: ['exported'] },
  { frames: [12, 17], asks: ['owned'] },
  { frames: [19, 21], asks: ['owned'] },
  { frames: [21, 22], asks: ['told'] },
];

/** A number that leads somewhere: the guest's own tables and lists, an end, or nowhere. */
function hostile(random: Random): bigint {
  const frame = random(MADE_FRAMES + 2);
  const offset = random(2) === 0 ? 0 : 8 * random(512);
  const numbers = [
    () => imageAddress(frame, offset),
    () => directAddress(frame, offset),
    () => BigInt(frame * PAGE + 0x67),
    () => BigInt(frame * PAGE + 0xe7),
    () => 2n ** BigInt(random(64)) - BigInt(random(3)),
    () => BigInt(random(64)),
  ];
  return BigInt.asUintN(64, numbers[random(numbers.length)]!());
}

/** Bytes that lie in use, of which a change is likely to be read: so is what is beside them. */
function placeIn(
  bytes: Uint8Array,
  [from, end]: readonly [number, number],
  random: Random,
): number {
  for (let tries = 0; tries < 40; tries += 1) {
    const at = from * PAGE + random((end - from) * PAGE);
    if (bytes[at] !== 0) return at;
  }
  return from * PAGE + random((end - from) * PAGE);
}

/** Changes a part in one to three places. */
function change(bytes: Uint8Array, frames: readonly [number, number], random: Random): void {
  const view = new DataView(bytes.buffer);
  for (let changes = 1 + random(3); changes > 0; changes -= 1) {
    const at = placeIn(bytes, frames, random);
    const word = Math.min(at - (at % 8), bytes.length - 8);
    if (random(3) === 0) view.setBigUint64(word, hostile(random), true);
    else if (random(2) === 0)
      view.setUint32(word + 4 * random(2), Number(hostile(random) & 0xffff_ffffn), true);
    else {
      const end = Math.min(bytes.length, at + 1 + random(48));
      const changed = mutated(bytes.slice(at, end), random);
      bytes.set(changed.subarray(0, bytes.length - at), at);
    }
  }
}

/** Kernels as they are when nothing is changed. */
const KERNELS = ([4, 5] as const).flatMap((levels) =>
  [true, false].map((isAbsolute) => madeKernel({ levels, isAbsolute }).bytes),
);

/** What became of the questions. */
export interface MutatedGuests {
  readonly answered: number;
  readonly refused: number;
  /** The most reads of one guest. */
  readonly reads: number;
}

/** Asks so many guests, drawn by a seed. Throws where anything else than a guest's failure is thrown. */
export async function askMutatedGuests(of: {
  readonly guests: number;
  readonly seed: number;
}): Promise<MutatedGuests> {
  const random = seededRandom(of.seed);
  const answers: Record<Answer, number> = { answered: 0, refused: 0 };
  const bytes = new Uint8Array(MADE_FRAMES * PAGE);
  let most = 0;
  for (let guest = 0; guest < of.guests; guest += 1) {
    bytes.set(KERNELS[random(KERNELS.length)]!);
    const { frames, asks } = PARTS[random(PARTS.length)]!;
    change(bytes, frames, random);
    const pages = counted(bytes);
    try {
      for (const name of asks)
        answers[await asked(async () => QUESTIONS[name]!(await kernelAt(pages, MADE_NOTE)))] += 1;
    } catch (thrown) {
      throw new Error(`guest ${guest} of seed ${of.seed}`, { cause: thrown });
    }
    most = Math.max(most, pages.reads());
  }
  return { ...answers, reads: most };
}
