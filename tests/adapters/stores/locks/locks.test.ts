// The locks of who works on a ledger, on the disk of this machine and on one in memory; and of the
// former that they end with their process, and are not seen, held or needed by anybody else.

import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { nodeFiles } from '../../../../adapters/files/files.ts';
import { lockCompactor, lockMerger } from '../../../../adapters/stores/locks/compactor-lock.ts';
import type { LockPlace } from '../../../../adapters/stores/locks/held-lock.ts';
import { lockRecorder } from '../../../../adapters/stores/locks/recorder-lock.ts';
import {
  announceWriter,
  mayBeWritten,
} from '../../../../adapters/stores/locks/writers-presence.ts';
import { LossyFiles } from '../../../simulation/lossy-files.ts';
import { failureOf, valueOf } from '../../../support/outcomes.ts';
import { withTemporaryFolder } from '../../../support/disks/temporary-folder.ts';
import { printedWithoutKoffi } from '../../../support/processes/without-koffi.ts';

const moduleUrl = (path: string): string =>
  JSON.stringify(new URL(`../../../../adapters/${path}`, import.meta.url).href);

type Work = (place: LockPlace) => Promise<void>;
const onDisk = (work: Work): Promise<void> =>
  withTemporaryFolder((path) => work({ files: nodeFiles, folder: join(path, 'locks') }));

const DISKS = [
  { disk: 'of this machine', use: onDisk },
  {
    disk: 'in memory',
    use: (work: Work) => work({ files: new LossyFiles(['/']), folder: '/locks' }),
  },
];

describe.each(DISKS)('locks on the disk $disk', ({ use }) => {
  test('refuse a second recorder of a VM, and say who records it', () =>
    use(async (place) => {
      const lock = await valueOf(lockRecorder(place, 'web-1'));
      expect(lock.unavailable).toBeNull();
      const failure = await failureOf(lockRecorder(place, 'web-1'));
      expect(failure.code).toBe('VM_BUSY');
      expect(failure.facts).toEqual({ vm: 'web-1', processId: process.pid });
      expect(failure.message).toContain(`process ${process.pid} is recording VM 'web-1'`);
      await lock.release();
    }));

  test('let other VMs be recorded, and the ledger be compacted, once', () =>
    use(async (place) => {
      const locks = [
        await valueOf(lockRecorder(place, 'a')),
        await valueOf(lockRecorder(place, 'tmp-b')),
        await valueOf(lockCompactor(place)),
      ];
      expect((await failureOf(lockCompactor(place))).code).toBe('COMPACTION_BUSY');
      for (const lock of locks) await lock.release();
    }));

  test('let a compaction wait for a merge, and no merge begin beside a compaction', () =>
    use(async (place) => {
      const merger = await valueOf(lockMerger(place));
      expect((await failureOf(lockMerger(place))).code).toBe('COMPACTION_BUSY');
      let isReleased = false;
      const compacting = valueOf(lockCompactor(place)).then((lock) => {
        expect(isReleased).toBe(true);
        return lock;
      });
      // As long as the wait for it takes to begin, and again.
      for (const isOver of [false, true]) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        isReleased = isOver;
      }
      await merger.release();
      const compactor = await compacting;
      expect((await failureOf(lockMerger(place))).code).toBe('COMPACTION_BUSY');
      await compactor.release();
      await (await valueOf(lockMerger(place))).release();
    }));

  test('are free again after their release, which may be repeated', () =>
    use(async (place) => {
      const first = await valueOf(lockRecorder(place, 'a'));
      await first.release();
      await first.release();
      const second = await valueOf(lockRecorder(place, 'a'));
      // The first one's release does not touch the second one's lock.
      await first.release();
      expect((await failureOf(lockRecorder(place, 'a'))).code).toBe('VM_BUSY');
      await second.release();
    }));

  test('go to exactly one of many that ask at once', () =>
    use(async (place) => {
      const asking = Array.from({ length: 8 }, () => lockRecorder(place, 'a')());
      const held = (await Promise.all(asking)).filter(({ _tag }) => _tag === 'Right');
      expect(held).toHaveLength(1);
    }));

  test('tell whether anybody writes, however many do', () =>
    use(async (place) => {
      expect(await mayBeWritten(place)).toBe(false);
      const first = await valueOf(announceWriter(place));
      const second = await valueOf(announceWriter(place));
      expect(await mayBeWritten(place)).toBe(true);
      await first.release();
      expect(await mayBeWritten(place)).toBe(true);
      await second.release();
      expect(await mayBeWritten(place)).toBe(false);
    }));
});

/** A process that takes a lock, says so, and goes on to do `then`. */
function lockElsewhere(folder: string, then: string): ChildProcess {
  const script = `
    const { lockRecorder } = await import(${moduleUrl('stores/locks/recorder-lock.js')});
    const { nodeFiles } = await import(${moduleUrl('files/files.js')});
    const place = { files: nodeFiles, folder: ${JSON.stringify(folder)} };
    console.log((await lockRecorder(place, 'a')())._tag);
    ${then}
  `;
  return spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

async function saidBy(child: ChildProcess): Promise<string> {
  const [answer] = (await once(child.stdout!, 'data')) as [Buffer];
  return answer.toString();
}

describe('a lock of this machine', () => {
  test('is held as long as its process is there, also one that is stopped', () =>
    onDisk(async (place) => {
      const child = lockElsewhere(place.folder, 'setInterval(() => undefined, 1000);');
      expect(await saidBy(child)).toBe('Right\n');
      expect((await failureOf(lockRecorder(place, 'a'))).facts['processId']).toBe(child.pid);
      child.kill('SIGSTOP');
      expect((await failureOf(lockRecorder(place, 'a'))).code).toBe('VM_BUSY');
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
      await (await valueOf(lockRecorder(place, 'a'))).release();
    }));

  test('does not keep its process alive', () =>
    onDisk(async (place) => {
      const [status] = (await once(lockElsewhere(place.folder, ''), 'exit')) as [number];
      expect(status).toBe(0);
    }));

  test("lies in a file that is its owner's alone, in a folder that is", () =>
    onDisk(async (place) => {
      const lock = await valueOf(lockRecorder(place, 'a'));
      expect(statSync(place.folder).mode & 0o777).toBe(0o700);
      expect(statSync(join(place.folder, 'vm-a')).mode & 0o777).toBe(0o600);
      await lock.release();
    }));

  test('is not taken through a link, nor of what is no file', () =>
    onDisk(async (place) => {
      const { folder } = place;
      mkdirSync(folder);
      const elsewhere = join(folder, 'elsewhere');
      writeFileSync(elsewhere, 'whole');
      symlinkSync(elsewhere, join(folder, 'vm-a'));
      spawnSync('mkfifo', [join(folder, 'vm-b')]);
      for (const vm of ['a', 'b'])
        expect((await valueOf(lockRecorder(place, vm))).unavailable).toContain(`vm-${vm} is a`);
      expect(readFileSync(elsewhere, 'utf8')).toBe('whole');
    }));
});

describe('where there are no locks', () => {
  test('that is said, everything goes on, and anybody may be writing', () =>
    onDisk(async ({ folder }) => {
      const script = `
        const { lockRecorder } = await import(${moduleUrl('stores/locks/recorder-lock.js')});
        const { mayBeWritten } = await import(${moduleUrl('stores/locks/writers-presence.js')});
        const { nodeFiles } = await import(${moduleUrl('files/files.js')});
        const place = { files: nodeFiles, folder: ${JSON.stringify(folder)} };
        const first = await lockRecorder(place, 'a')();
        const second = await lockRecorder(place, 'a')();
        await first.right.release();
        console.log(first.right.unavailable, second._tag, await mayBeWritten(place));
      `;
      expect(printedWithoutKoffi(script)).toMatch(
        /^flock\(2\) cannot be called: no koffi here Right true\n$/u,
      );
    }));

  test('a folder that cannot be made stops nobody', () =>
    withTemporaryFolder(async (path) => {
      writeFileSync(join(path, 'locks'), 'a file');
      chmodSync(join(path, 'locks'), 0o400);
      const lock = await valueOf(lockCompactor({ files: nodeFiles, folder: join(path, 'locks') }));
      expect(lock.unavailable).toContain('ENOTDIR');
    }));
});
