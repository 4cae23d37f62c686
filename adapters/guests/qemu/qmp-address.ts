// Where a QMP server listens, as a path or in the words of QEMU's own -qmp option:
// unix:PATH[,server=on,wait=off], tcp:HOST:PORT[,...].

import { LedgerError } from '../../../domain/values/ledger-error.ts';

export type QmpAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

const PORT_MAX = 65_535;
const OTHER_KINDS = /^(?:fd|vsock|telnet|websocket|udp|pty|stdio|pipe|chardev):/u;

/** QEMU's options after the address go; in an address a comma is doubled. */
function withoutOptions(text: string): string {
  const end = text.search(/(?<!,),(?!,)/u);
  return (end === -1 ? text : text.slice(0, end)).replaceAll(',,', ',');
}

function tcpAddress(text: string): QmpAddress | null {
  const found = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/u.exec(withoutOptions(text));
  const port = Number(found?.[3]);
  if (found === null || port < 1 || port > PORT_MAX) return null;
  return { kind: 'tcp', host: found[1] || found[2] || '127.0.0.1', port };
}

/** The address that a text is; QMP_UNREACHABLE where QEMU has one of which there is no way from here. */
export function qmpAddressOf(text: string): QmpAddress {
  if (text.startsWith('unix:'))
    return { kind: 'unix', path: withoutOptions(text.slice('unix:'.length)) };
  if (text.startsWith('tcp:')) {
    const address = tcpAddress(text.slice('tcp:'.length));
    if (address !== null) return address;
  } else if (!OTHER_KINDS.test(text)) return { kind: 'unix', path: text };
  throw new LedgerError(
    'QMP_UNREACHABLE',
    `${text}: not an address that can be reached: expected the path of a socket, unix:PATH or ` +
      'tcp:HOST:PORT, as on the command line of QEMU',
    { path: text },
  );
}

/** What messages call it: a path as it is, QEMU's words otherwise. */
export const qmpLabelOf = (address: QmpAddress): string =>
  address.kind === 'unix' ? address.path : `tcp:${hostText(address.host)}:${address.port}`;

/** The option that makes QEMU listen there. */
export const qmpOptionOf = (address: QmpAddress): string =>
  `-qmp ${address.kind === 'unix' ? `unix:${address.path.replaceAll(',', ',,')}` : qmpLabelOf(address)},server=on,wait=off`;

const hostText = (host: string): string => (host.includes(':') ? `[${host}]` : host);
