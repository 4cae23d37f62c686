// Where QEMU sends a capture's stream to: a unix socket in a folder that nobody else can list, or a
// port of this host's loopback.

import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { LoopbackSocket } from './loopback-socket.ts';
import { PrivateFolder } from '../private-folder.ts';
import { ListeningSocket } from './private-socket.ts';
import type { FoundProcess } from './qemu-process.ts';

/** How QEMU reaches us. */
export type LiveStream = 'unix' | 'tcp';

/** Where to wait for QEMU. */
export type ListenAt =
  /** For a QEMU of the user `uid`, where that is another. */
  | { readonly kind: 'unix'; readonly path: string; readonly uid?: number }
  /** At a port, for the process of that number. */
  | { readonly kind: 'tcp'; readonly pid: number };

export interface StreamPlace {
  readonly listen: ListenAt;
  /** What goes with it; null: nothing. */
  readonly folder: string | null;
  /** What QEMU is told to migrate to. */
  uri(port: number): string;
  remove(): void;
}

/** Waits where it is said, for one connection. */
export const listenAt = (at: ListenAt): Promise<ListeningSocket | LoopbackSocket> =>
  at.kind === 'unix' ? ListeningSocket.listen(at) : LoopbackSocket.listen(at.pid);

export interface StreamPlaceRequest {
  readonly stream: LiveStream;
  /** Where sockets are made; absent: where temporary files are. */
  readonly within?: string;
  readonly found: FoundProcess;
  /** What messages call the guest. */
  readonly label: string;
}

/** Makes a place for one capture. */
export function makeStreamPlace(request: StreamPlaceRequest): StreamPlace {
  const { stream, within, found, label } = request;
  const { process } = found;
  if (stream === 'tcp') {
    if (process === null)
      throw new LedgerError(
        'QMP_UNREACHABLE',
        `${label}: QEMU's process cannot be seen (${found.reason}), so nobody could tell who ` +
          'connects over TCP: record as root or as the user of QEMU, or leave --stream tcp out',
        { path: label },
      );
    return {
      listen: { kind: 'tcp', pid: process.pid },
      folder: null,
      uri: (port) => `tcp:127.0.0.1:${port}`,
      remove: () => undefined,
    };
  }
  const folder = new PrivateFolder({
    ...(within === undefined ? {} : { within }),
    ...(process === null ? {} : { seenBy: process.pid }),
  });
  const owner = process === null ? {} : { uid: process.uid };
  return {
    listen: { kind: 'unix', path: folder.socket('migration.sock'), ...owner },
    folder: folder.path,
    uri: () => `unix:${folder.seen('migration.sock')}`,
    remove: () => folder.remove(),
  };
}
