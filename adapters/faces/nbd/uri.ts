// What NBD clients are told to connect to.

import type { ListenAddress } from '../sockets/listen-address.ts';

const hostText = (host: string): string => (host.includes(':') ? `[${host}]` : host);

/** The URI of a server; `name` of an export, or nothing. */
export const uriOf = (address: ListenAddress, name = ''): string =>
  address.kind === 'unix'
    ? `nbd+unix:///${encodeURI(name)}?socket=${encodeURIComponent(address.path).replaceAll('%2F', '/')}`
    : `nbd://${hostText(address.host)}:${address.port}/${encodeURI(name)}`;
