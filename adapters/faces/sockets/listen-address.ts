// Where a server listens, as people write it: unix:PATH or a path, tcp:HOST:PORT, HOST:PORT, or a port,
// which is one of loopback.

import { UsageError } from '../rows/failure-rows.ts';

export type ListenAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

const LOOPBACK = '127.0.0.1';
const PORT_MAX = 65_535;
/** Longest path of a Unix socket, without its NUL. */
const PATH_BYTES_MAX = 107;
const TCP = /^(?:tcp:)?(?:(?:\[(?<six>[^\]]+)\]|(?<host>[^:/]*)):)?(?<port>\d{1,5})$/u;

/** The address that a text is. */
export function listenAddressOf(text: string): ListenAddress {
  if (text.startsWith('unix:') || (text.includes('/') && !text.startsWith('tcp:'))) {
    const path = text.replace(/^unix:/u, '');
    if (path !== '' && Buffer.byteLength(path) <= PATH_BYTES_MAX) return { kind: 'unix', path };
    throw new UsageError(
      `the address ${text}: a path of 1 to ${PATH_BYTES_MAX} bytes was expected, which is what a Unix socket can have`,
    );
  }
  const found = TCP.exec(text)?.groups;
  const port = Number(found?.['port']);
  if (found === undefined || port > PORT_MAX)
    throw new UsageError(
      `the address ${text}: unix:PATH, a path, tcp:HOST:PORT, HOST:PORT or a port was expected`,
    );
  return { kind: 'tcp', host: found['six'] || found['host'] || LOOPBACK, port };
}

/** Whether others than this host's may come there. */
export const isOpenToOthers = (address: ListenAddress): boolean =>
  address.kind === 'tcp' &&
  !(address.host === 'localhost' || address.host === '::1' || address.host.startsWith('127.'));
