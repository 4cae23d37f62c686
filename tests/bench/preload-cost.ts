// Loaded before a program: when it ends, writes what it took into the file that PAGELEDGER_BENCH_REPORT
// names, as JSON (`ProgramCost`).

import { readFileSync, writeFileSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

/** What a program took, with all its threads. */
export interface ProgramCost {
  /** The most resident memory it ever had. */
  readonly peakKib: number;
  readonly processorSeconds: number;
}

const report = process.env['PAGELEDGER_BENCH_REPORT'];
if (isMainThread && report !== undefined)
  process.on('exit', () => {
    const peak = /^VmHWM:\s+(\d+) kB/mu.exec(readFileSync('/proc/self/status', 'utf8'));
    const { userCPUTime, systemCPUTime } = process.resourceUsage();
    const cost: ProgramCost = {
      peakKib: Number(peak?.[1] ?? Number.NaN),
      processorSeconds: (userCPUTime + systemCPUTime) / 1e6,
    };
    writeFileSync(report, JSON.stringify(cost));
  });
