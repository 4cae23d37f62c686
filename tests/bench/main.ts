// `npm run bench [-- NAME...] [-- --peers] [-- --quick]`: runs benches, each in a process of its own,
// prints their tables and keeps their results. --quick tries them on small sizes and keeps nothing.

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { against } from './against.ts';
import { auditQueries } from './audit-queries.ts';
import type { Bench } from './bench.ts';
import { clones } from './clones.ts';
import { codec } from './codec.ts';
import { compaction } from './compact.ts';
import { dayOfCaptures } from './day-of-captures.ts';
import { eventLayer } from './event-layer.ts';
import { eventLogs } from './event-logs.ts';
import { guestDescription } from './guest-description.ts';
import { heldLarge } from './held-large.ts';
import { historyLength } from './history-length.ts';
import { identifierIndex } from './identifier-index.ts';
import { importers } from './importers.ts';
import { ksm } from './ksm.ts';
import { largePages } from './large-pages.ts';
import { lightCommands } from './light-commands.ts';
import { manyCaptures } from './many-captures.ts';
import { memoryBound } from './memory-bound.ts';
import { longRuns } from './long-runs.ts';
import { migration } from './migration.ts';
import { mixedGuests } from './mixed-guests.ts';
import { objectStore } from './object-store.ts';
import { pageStoreWindow } from './page-store-window.ts';
import { patterns } from './patterns.ts';
import { patches } from './patches.ts';
import { peers } from './peers.ts';
import { placement } from './placement.ts';
import { reRecord } from './re-record.ts';
import { recordNew } from './record-new.ts';
import { recorderOfGuests } from './recorder-of-guests.ts';
import { replay } from './replay.ts';
import { loadNow, machine, resultsFolder, sectionText, writeResult } from './report.ts';
import { checkpoint } from './checkpoint.ts';
import { restore } from './restore.ts';
import { resume } from './resume.ts';
import { resumeAway } from './resume-away.ts';
import { retention, retentionOfSeconds } from './retention.ts';
import { scanners } from './scanners.ts';
import { scopes } from './scopes.ts';
import { serving } from './serving.ts';
import { siblings } from './siblings.ts';
import { serversAway } from './servers-away.ts';
import { startUp } from './start-up.ts';
import { timeTravel } from './time-travel.ts';

const BENCHES: readonly Bench[] = [
  reRecord,
  recordNew,
  patches,
  eventLayer,
  codec,
  peers,
  compaction,
  retention,
  retentionOfSeconds,
  restore,
  importers,
  resume,
  resumeAway,
  serving,
  clones,
  placement,
  migration,
  checkpoint,
  heldLarge,
  largePages,
  historyLength,
  dayOfCaptures,
  manyCaptures,
  replay,
  memoryBound,
  recorderOfGuests,
  identifierIndex,
  patterns,
  lightCommands,
  startUp,
  pageStoreWindow,
  eventLogs,
  objectStore,
  serversAway,
  auditQueries,
  guestDescription,
  timeTravel,
  mixedGuests,
  ksm,
  siblings,
  scopes,
  scanners,
  against,
  ...longRuns,
];
const ORDER = BENCHES.map(({ name }) => name);

const { values: options, positionals: named } = parseArgs({
  allowPositionals: true,
  options: {
    peers: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    /** Where images and ledgers are made; absent: in the system's folder for temporary files. */
    folder: { type: 'string' },
    /** Where results go; absent: the sources' own folder, and nowhere with --quick. */
    results: { type: 'string' },
    /** Runs the one bench that is named in this process. */
    inside: { type: 'boolean', default: false },
  },
});

async function runInside(bench: Bench, folder: string): Promise<void> {
  const loadBefore = loadNow();
  const tell = (sentence: string): void => void process.stderr.write(`  ${sentence}\n`);
  const rows = await bench.run({ isQuick: options.quick, folder, tell });
  const result = {
    bench: bench.name,
    title: bench.title,
    machine: machine(),
    loadBefore,
    peakMib: process.resourceUsage().maxRSS / 1024,
    rows,
  };
  process.stdout.write(`${sectionText(result)}\n\n`);
  const results = options.results ?? (options.quick ? null : resultsFolder());
  if (results !== null) writeResult(results, result, ORDER);
}

function runApart(bench: Bench, folder: string): boolean {
  const argv = [fileURLToPath(import.meta.url), bench.name, '--inside', '--folder', folder];
  if (options.quick) argv.push('--quick');
  if (options.results !== undefined) argv.push('--results', options.results);
  return spawnSync(process.execPath, argv, { stdio: 'inherit' }).status === 0;
}

const unknown = named.filter((name) => !ORDER.includes(name));
if (unknown.length > 0) {
  process.stderr.write(`no bench is called ${unknown.join(', ')}: there are ${ORDER.join(', ')}\n`);
  process.exit(2);
}
const benches = BENCHES.filter(({ name, isPeer, isLong }) =>
  named.length === 0 ? isLong !== true && (options.peers || isPeer !== true) : named.includes(name),
);
if (options.inside) await runInside(benches[0]!, options.folder!);
else {
  const folder = mkdtempSync(join(options.folder ?? tmpdir(), 'pageledger-bench-'));
  mkdirSync(folder, { recursive: true });
  try {
    const failed = benches.filter((bench) => !runApart(bench, folder));
    if (failed.length > 0) process.exitCode = 1;
  } finally {
    // The process of a mount that a bench has just let go may be writing what it derived still.
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 500 });
  }
}
