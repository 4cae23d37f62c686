// `unmount`: the end of a file that `mount` made, and of the process that serves it.

import type { Command } from 'commander';
import { LedgerError } from '../../../../domain/values/ledger-error.ts';
import { unmountFolder } from '../../nbd/fuse.ts';
import { forgetMount, hasDied, mountAt, mountPlace, untilServerEnded } from '../../nbd/mounts.ts';
import { isRunning } from '../../nbd/process-mark.ts';
import { onceNobodyIsAtIt, outputOf, warn } from '../session.ts';

export const declare = (command: Command): Command =>
  command.argument('<folder>', 'where the point is mounted');

export async function run(command: Command): Promise<void> {
  const place = mountPlace(command.args[0]!);
  const mount = mountAt(place);
  if (mount === null)
    throw new LedgerError('NOT_FOUND', `nothing that \`pageledger mount\` made is at ${place}`, {
      folder: place,
    });
  const { vm, capture, server, fuse } = mount;
  const isLeft = hasDied(mount);
  if (isLeft) {
    warn(
      command,
      `the process ${server.pid} that served ${vm}@${capture} at ${place} had died: nothing could be read there any more`,
    );
    await unmountFolder(place, 'away');
    if (isRunning(fuse)) process.kill(fuse.pid);
  } else {
    await onceNobodyIsAtIt(command, () => unmountFolder(place, 'when free'));
    await untilServerEnded(mount);
  }
  forgetMount(place);
  const output = outputOf(command);
  output.summary('unmount', { vm, capture, folder: place, hadDied: isLeft });
  output.say(`${place} is unmounted`);
}
