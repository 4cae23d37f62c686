// What a trace of earlier starts is good for: how much of what a guest uses was there before it asked, and
// how much was given that it never used. What it uses is told by a control that is given every page by
// itself, so that it asks for each; what another such control asked for is a trace as `--trace` makes it,
// and says how much of a guest's pages is the same from one start to the next.

import { openLedger } from '../../index.ts';
import type { BenchContext } from './bench.ts';
import { closing } from './ledgers.ts';
import { figureOf, rowOf, type Row } from './measure.ts';
import { newest, servedStart, type Grain, type ServedStart } from './served-starts.ts';
import type { RecordedGuest } from './resume-guests.ts';

/** As `resume` gives pages, and every page by itself. */
const AS_RESUMED: Grain = { blockPages: 4, storagePages: 128 };
const BY_ITSELF: Grain = { blockPages: 1, storagePages: 0 };
/** How long guests go on behind their first line. */
const ON_MS = 2000;
/** REAP's share of a guest's pages that its prefetch had there in time, and fcvm's. */
const COVERAGE_TO_BEAT = { reap: 0.97, fcvm: 0.82 };
const RESTORES = 3;

/** What a restore shows, held against what the control used. */
interface Traced {
  readonly left: number;
  readonly requests: number;
  readonly coverage: number;
  readonly waste: number;
  readonly runsMs: number;
  readonly lineMs: number;
}

function traced(
  { demanded, given, counts, runsMs, lineMs }: ServedStart,
  used: ReadonlySet<number>,
): Traced {
  const asked = new Set(demanded);
  const inTime = [...used].filter((page) => given.has(page) && !asked.has(page));
  const unused = [...given].filter((page) => !used.has(page));
  return {
    left: asked.size,
    requests: counts.requests,
    coverage: inTime.length / used.size,
    waste: given.size === 0 ? 0 : unused.length / given.size,
    runsMs,
    lineMs,
  };
}

interface Round {
  readonly restores: readonly Traced[];
  /** With what another control asked for, each page alone. */
  readonly whole: Traced;
  /** Of what a control used, what another had used. */
  readonly same: number;
}

/** Two controls, and then restores of the same point, each with the trace of all before it. */
async function restores(guest: RecordedGuest): Promise<Round> {
  const ledger = await openLedger({ url: guest.url, mode: 'read' });
  return closing(ledger, async (open) => {
    const request = { guest, ledger: open, point: newest(open), onMs: ON_MS };
    const before = new Set((await servedStart({ ...request, ...BY_ITSELF })).demanded);
    const used = new Set((await servedStart({ ...request, ...BY_ITSELF })).demanded);
    const trace = new Set<number>();
    const seen: Traced[] = [];
    for (let restore = 0; restore < RESTORES; restore += 1) {
      const prefetch = Uint32Array.from(trace);
      const start = await servedStart({ ...request, ...AS_RESUMED, prefetch });
      seen.push(traced(start, used));
      for (const page of start.demanded) trace.add(page);
    }
    const told = { prefetch: Uint32Array.from(before), isPrefetchWhole: true };
    const whole = traced(await servedStart({ ...request, ...AS_RESUMED, ...told }), used);
    const same = [...used].filter((page) => before.has(page)).length / used.size;
    return { restores: seen, whole, same };
  });
}

/** Rows of one restore of a point in each round. */
function rowsOf(which: string, rounds: readonly Traced[]): Row[] {
  const of = (value: (one: Traced) => number, unit: string) => figureOf(rounds.map(value), unit);
  const ms = `runs after ${of(({ runsMs }) => runsMs, 'ms').min.toFixed(0)} ms, first line after ${of(({ lineMs }) => lineMs, 'ms').min.toFixed(0)} ms (least)`;
  return [
    rowOf({
      what: `${which}: pages waited for until 2 s behind the first line`,
      measured: of(({ left }) => left, 'pages'),
      note: ms,
    }),
    rowOf({
      what: `${which}: coverage by what was prefetched`,
      measured: of(({ coverage }) => coverage, 'of pages used'),
      target: { sense: 'at least', bound: COVERAGE_TO_BEAT.reap },
      note: `REAP ${COVERAGE_TO_BEAT.reap}, fcvm ${COVERAGE_TO_BEAT.fcvm}; what is used: asked for by a control that is given single pages`,
    }),
    rowOf({
      what: `${which}: prefetched and not used`,
      measured: of(({ waste }) => waste, 'of pages prefetched'),
    }),
  ];
}

/** Rows of the first restore of a point, of those behind it, and of one behind a start of single pages. */
export async function traceRows(context: BenchContext, guest: RecordedGuest): Promise<Row[]> {
  const rounds: Round[] = [];
  for (let round = 0; round < (context.isQuick ? 1 : 2); round += 1) {
    context.tell(`traces, round ${round + 1}`);
    rounds.push(await restores(guest));
  }
  const nth = (n: number): Traced[] => rounds.map((round) => round.restores[n]!);
  const [first] = rowsOf('restore 1 of a point', nth(0));
  const later = Array.from({ length: RESTORES - 1 }, (_, i) =>
    rowsOf(`restore ${i + 2} of a point`, nth(i + 1)),
  );
  const whole = rounds.map((round) => round.whole);
  return [
    first!,
    ...later.flat(),
    ...rowsOf('a restore behind one of single pages (--trace)', whole),
    rowOf({
      what: 'of the pages that a start used, those that another had used',
      measured: figureOf(
        rounds.map(({ same }) => same),
        'of pages used',
      ),
    }),
  ];
}
