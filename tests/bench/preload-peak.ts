// Loaded before a program: when it ends, writes the most resident memory it ever had, in KiB, into
// the file that PAGELEDGER_BENCH_REPORT names.

import { readFileSync, writeFileSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

const report = process.env['PAGELEDGER_BENCH_REPORT'];
if (isMainThread && report !== undefined)
  process.on('exit', () => {
    const peak = /^VmHWM:\s+(\d+) kB/mu.exec(readFileSync('/proc/self/status', 'utf8'));
    writeFileSync(report, peak?.[1] ?? 'NaN');
  });
