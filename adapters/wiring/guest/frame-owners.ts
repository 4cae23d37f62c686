// Who owns the frames of a guest that was found: all of them, or some.

import { FrameOwners, mappedBy } from '../../../domain/guest/owner-table.ts';
import { OWNERS, pageOwners } from '../../../domain/guest/page-owners.ts';
import { tasksIn, type DescribedGuest } from './guest.ts';

const ANONYMOUS = OWNERS.indexOf('anonymous');

/**
 * Owners of frames; null: of all. Of some, what is told of others is of no use, and no more is read than
 * what is around them, and the processes where one of them is anonymous. GUEST_UNDESCRIBED, GUEST_INVALID.
 */
export async function frameOwners(
  guest: DescribedGuest,
  wanted: readonly number[] | null,
): Promise<FrameOwners> {
  const { kernel, symbols, layouts } = guest;
  const layout = layouts().pages;
  const { reader, all } = tasksIn(guest);
  if (wanted === null) {
    const owners = await pageOwners(kernel.memory, symbols, { layout });
    const tasks = await all();
    return new FrameOwners({
      owners,
      mapped: await mappedBy(kernel.memory, reader, { tasks }),
      tasks,
    });
  }
  const owners = await pageOwners(kernel.memory, symbols, { layout, wanted });
  const anonymous = wanted.filter((frame) => owners[frame] === ANONYMOUS);
  const tasks = anonymous.length === 0 ? [] : await all();
  const mapped = await mappedBy(kernel.memory, reader, { tasks, wanted: anonymous });
  return new FrameOwners({ owners, mapped, tasks });
}
