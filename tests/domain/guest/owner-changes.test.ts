// Whose the pages are that differ, at both points.

import { describe, expect, test } from '@jest/globals';
import { OwnerChanges } from '../../../domain/guest/owner-changes.ts';
import { FrameOwners } from '../../../domain/guest/owner-table.ts';
import { OWNERS, type Owner } from '../../../domain/guest/page-owners.ts';
import type { Task } from '../../../domain/guest/tasks.ts';

const task = (pid: number, command: string): Task => ({
  address: 0n,
  pid,
  command,
  state: 'S',
  isKernelThread: false,
  mm: 0n,
  pages: 0,
});

/** Owners of frames from 0 on; a number is the place of a process whose anonymous page it is. */
function ownersOf(frames: readonly (Owner | number)[], tasks: readonly Task[] = []): FrameOwners {
  const isOfTask = (of: Owner | number): of is number => typeof of === 'number';
  const owners = frames.map((of) => OWNERS.indexOf(isOfTask(of) ? 'anonymous' : of));
  const mapped = frames.map((of) => (isOfTask(of) ? of + 1 : 0));
  return new FrameOwners({
    owners: Uint8Array.from(owners),
    mapped: Uint32Array.from(mapped),
    tasks,
  });
}

const frame = (number: number) => ({ before: number, after: number });
const nobody = { pid: null, command: null };

describe('pages that differ', () => {
  test('are of whom they are at the later point, and tell who had them before', () => {
    const before = ownersOf(['free', 'free', 'file', 0, 'slab'], [task(5, 'sh')]);
    const after = ownersOf([0, 0, 0, 0, 'slab'], [task(5, 'sh'), task(9, 'awk')]);
    const changes = new OwnerChanges({ before, after });
    for (const number of [0, 1, 2, 3, 4]) changes.add(frame(number));
    expect(changes.rows()).toEqual([
      {
        owner: 'anonymous',
        pid: 5,
        command: 'sh',
        pages: 4,
        before: [
          { owner: 'free', ...nobody, pages: 2 },
          { owner: 'file', ...nobody, pages: 1 },
        ],
      },
      { owner: 'slab', ...nobody, pages: 1, before: [] },
    ]);
  });

  test("are another's where a process of the same number has another name", () => {
    const before = ownersOf([0], [task(5, 'sh')]);
    const after = ownersOf([0], [task(5, 'awk')]);
    const changes = new OwnerChanges({ before, after });
    changes.add(frame(0));
    expect(changes.rows()[0]!.before).toEqual([
      { owner: 'anonymous', pid: 5, command: 'sh', pages: 1 },
    ]);
  });

  test('are of nobody known where no address leads to them, or nothing was told before', () => {
    const after = ownersOf(['free']);
    const changes = new OwnerChanges({ before: null, after });
    changes.add({ before: null, after: null });
    expect(changes.rows()).toEqual([{ owner: 'unknown', ...nobody, pages: 1, before: null }]);
  });
});
