// Several processes on one embedded event log, without a lock.

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import { type EmbeddedLogFolder, withLogFolder } from '../../../support/logs/embedded-logs.ts';
import { eventsOf } from '../../../support/logs/log-events.ts';
import { gather } from '../../../support/outcomes.ts';

const APPENDER = fileURLToPath(new URL('../../../support/logs/log-appender.js', import.meta.url));
const APPENDS = 40;

interface Told {
  readonly revisions: readonly number[];
  readonly conflicts: number;
}

async function appender(folder: EmbeddedLogFolder, stream: string, name: string): Promise<Told> {
  const args = [APPENDER, folder.folder, stream, name, String(APPENDS)];
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  return JSON.parse(stdout) as Told;
}

const ascending = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const EVENTS = ascending(APPENDS).reduce((sum, made) => sum + 1 + (made % 3), 0);

describe('two processes', () => {
  test(
    'that append to a stream each lose nothing, and all readers see one order',
    () =>
      withLogFolder(async (folder) => {
        const told = await Promise.all([
          appender(folder, 'vm-a', 'a'),
          appender(folder, 'vm-b', 'b'),
        ]);
        expect(told.map(({ conflicts }) => conflicts)).toEqual([0, 0]);
        const log = await folder.open();
        const events = await eventsOf(log);
        for (const stream of ['vm-a', 'vm-b']) {
          const revisions = events.filter((e) => e.stream === stream).map((e) => e.revision);
          expect(revisions).toEqual(ascending(EVENTS));
        }
        const again = await eventsOf(await folder.open({ readOnly: true }));
        expect(again).toEqual(events);
        expect(await gather(log.check())).toEqual([]);
      }),
    300_000,
  );

  test(
    'that append to the same stream: exactly one wins each revision',
    () =>
      withLogFolder(async (folder) => {
        const told = await Promise.all([
          appender(folder, 'vm-a', 'a'),
          appender(folder, 'vm-a', 'b'),
        ]);
        const won = told.flatMap(({ revisions }) => revisions);
        expect(new Set(won).size).toBe(2 * APPENDS);
        const log = await folder.open();
        const events = await eventsOf(log);
        expect(events.map(({ revision }) => revision)).toEqual(ascending(2 * EVENTS));
        for (const [i, name] of ['a', 'b'].entries()) {
          const own = events.filter(({ data }) => new TextDecoder().decode(data).startsWith(name));
          expect(own).toHaveLength(EVENTS);
          // Each append ends at the revision its process was told.
          const last = own.filter((e, at) => own[at + 1]?.timeMs !== e.timeMs);
          expect(last.map(({ revision }) => revision)).toEqual(told[i]!.revisions);
        }
        expect(await gather(log.check())).toEqual([]);
      }),
    300_000,
  );
});
