// What a guest says of itself, and its bytes, as rows.

import type { Task } from '../../../domain/guest/tasks.ts';
import type { FoundSymbol } from '../../wiring/guest.ts';
import type { ReadStretch } from '../../wiring/read.ts';
import { addressText } from './page-rows.ts';
import type { Row } from './row.ts';

/** An address that a guest uses itself. */
export const virtualText = (address: bigint): string => `0x${address.toString(16)}`;

export const processRow = ({ pid, command, state, pages, isKernelThread }: Task): Row => ({
  pid,
  command,
  state,
  pages,
  kernelThread: isKernelThread,
});

export const symbolRow = ({ name, address, kind, offset }: FoundSymbol): Row => ({
  name,
  address: virtualText(address),
  kind,
  offset,
});

export const stretchRow = ({ gfn, address, virtual, bytes }: ReadStretch): Row => ({
  address: address === null ? null : addressText(address),
  virtual: virtual === null ? null : virtualText(virtual),
  gfn,
  bytes: Buffer.from(bytes).toString('hex'),
});
