// Bits of the files of a ledger, flipped one at a time: every point is given back right or refused with
// a clear error, `verify` names what is lost, and no other VM loses anything.

import { posix } from 'node:path';
import type { FilePort } from '../../../adapters/files/file-port.ts';
import { createPageEngine } from '../../../adapters/kernels/engine/page-engine.ts';
import type { PageEngine } from '../../../domain/ports/page-engine.ts';
import { assertWhole } from '../../../domain/use-cases/pages/patch-chain.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import type { Ledger } from '../../../index.ts';
import { clearCode, judgeOpened } from './damaged-ledger.ts';
import { diskOf, type DiskSnapshot } from '../disks/memory-disk.ts';
import { digestOf, type Expected } from '../ledgers/small-ledger.ts';
import { openTiny, TINY_FAMILIES, TINY_URL, type TinyLedger } from '../ledgers/tiny-ledger.ts';

export interface FlippedBits {
  readonly bits: number;
  readonly flips: number;
  /** Ledgers that were judged: with what is derived, and of the log also without. */
  readonly judged: number;
  /** Of those, that were also restored to files and verified. */
  readonly whole: number;
  /** Of those, that lost a point; that lost all as the ledger did not open. */
  readonly lossy: number;
  readonly refused: number;
  readonly faults: readonly string[];
}

export interface FlipRequest {
  readonly tiny: TinyLedger;
  /** Every so many bits, counted through all files, from this one on. */
  readonly step: number;
  readonly first: number;
  /** The files whose bits are flipped, by their paths in the ledger; absent: all. */
  readonly isFlipped?: (path: string) => boolean;
  readonly tell: (sentence: string) => void;
}

const FAULTS_MAX = 20;
const TELL_EVERY = 8192;
const SCRATCH = '/disk/restored';

const flipped = (bytes: Uint8Array, bit: number): Uint8Array => {
  const copy = bytes.slice();
  copy[bit >>> 3]! ^= 1 << (bit & 7);
  return copy;
};

/** The disk with other bytes for a file, and without what is derived where that is said. */
const changed = (disk: DiskSnapshot, path: string, bytes: Uint8Array): DiskSnapshot =>
  new Map(disk).set(path, bytes);

const withoutDerived = (disk: DiskSnapshot): DiskSnapshot =>
  new Map([...disk].filter(([path]) => !path.startsWith(`${TINY_URL}/projections`)));

/** VMs of more than one family that lost points: no one bit may cost that. */
function strayLosses(failed: ReadonlyMap<string, string>): string[] {
  const families = new Set([...failed.keys()].map((point) => TINY_FAMILIES[point.split('@')[0]!]));
  return families.size > 1 ? [`it costs ${[...failed.keys()].join(', ')}`] : [];
}

/** One in so many is judged wholly: restored to files, and verified. */
const WHOLE_EVERY = 64;

/** Memory at a point, as the ledger reads it for whoever asks. */
async function digestAt(ledger: Ledger, vm: string, at: string): Promise<string> {
  const entry = ledger.vm(vm);
  const row = ledger.resolve(entry, at);
  const table = await ledger.state.tables.at(entry, ledger.state.contents, row);
  assertWhole(table, `${vm}@${row.capture}`);
  const reader = await ledger.pageReader();
  return digestOf(await reader.read(table, new Uint8Array(table.length * PAGE_BYTES)));
}

interface Look {
  readonly refusal: string | null;
  readonly failed: ReadonlyMap<string, string>;
  readonly faults: readonly string[];
}

/** What reading every point says, without `verify`. The engine is others' as well: making one takes long. */
async function look(
  files: FilePort,
  { expected, engine }: { readonly expected: Expected; readonly engine: PageEngine },
): Promise<Look> {
  const faults: string[] = [];
  const failed = new Map<string, string>();
  const meet = (doing: string, thrown: unknown): string => {
    const code = clearCode(thrown);
    if (code === null)
      faults.push(`${doing}: ${thrown instanceof Error ? thrown.stack : String(thrown)}`);
    return code ?? 'unclear';
  };
  let ledger: Ledger;
  try {
    ledger = await openTiny(files, 'read');
  } catch (thrown) {
    return { refusal: meet('open', thrown), failed, faults };
  }
  ledger.engine = () => Promise.resolve(engine);
  const last = new Map([...expected].map(([point, digest]) => [point.split('@')[0]!, digest]));
  const points = [...expected].map(([point, digest]) => [...point.split('@'), digest] as const);
  const latest = [...last].map(([vm, digest]) => [vm, 'latest', digest] as const);
  for (const [vm, capture, digest] of [...points, ...latest] as [string, string, string][]) {
    const at = capture === 'latest' ? capture : `@${capture}`;
    try {
      if ((await digestAt(ledger, vm, at)) !== digest) faults.push(`${vm} ${at} is OTHER MEMORY`);
    } catch (thrown) {
      const code = meet(`read ${vm} ${at}`, thrown);
      if (at !== 'latest') failed.set(`${vm}@${capture}`, code);
    }
  }
  await ledger.close().catch((thrown: unknown) => meet('close', thrown));
  return { refusal: null, failed, faults };
}

/** Flips bits and judges each ledger. */
export async function flipBits(request: FlipRequest): Promise<FlippedBits> {
  const { tiny, step, first, tell } = request;
  const { disk, expected } = tiny;
  const counts = { bits: 0, flips: 0, judged: 0, whole: 0, lossy: 0, refused: 0 };
  const faults: string[] = [];
  const engine = createPageEngine({ threads: 0 });
  const judgeOne = async (what: string, damaged: DiskSnapshot, isLog: boolean): Promise<void> => {
    const hasDerived = damaged.has(`${TINY_URL}/projections`);
    const derived = hasDerived ? (isLog ? 'helps' : 'kept') : 'gone';
    const files = await diskOf(damaged);
    const isWhole = counts.judged % WHOLE_EVERY === 0;
    const judgement = isWhole
      ? await judgeOpened({ expected, scratch: SCRATCH, derived }, () => openTiny(files, 'read'))
      : await look(files, { expected, engine });
    counts.judged += 1;
    if (isWhole) counts.whole += 1;
    if (judgement.refusal !== null) counts.refused += 1;
    else if (judgement.failed.size > 0) counts.lossy += 1;
    const stray = judgement.refusal === null ? strayLosses(judgement.failed) : [];
    for (const fault of [...judgement.faults, ...stray])
      if (faults.length < FAULTS_MAX) faults.push(`${what}, derived ${derived}: ${fault}`);
  };
  for (const [path, bytes] of disk) {
    const within = posix.relative(TINY_URL, path);
    if (bytes === null || request.isFlipped?.(within) === false) continue;
    const isLog = path.startsWith(`${TINY_URL}/log/`);
    for (let bit = 0; bit < bytes.length * 8; bit += 1, counts.bits += 1) {
      if (counts.bits % step !== first) continue;
      const what = `${within}, bit ${bit}`;
      const damaged = changed(disk, path, flipped(bytes, bit));
      await judgeOne(what, damaged, isLog);
      if (isLog) await judgeOne(what, withoutDerived(damaged), isLog);
      counts.flips += 1;
      if (counts.flips % TELL_EVERY === 0) tell(`${counts.flips} flips, ${faults.length} faults`);
    }
  }
  await engine.close();
  return { ...counts, faults };
}
