// What a guest says of itself, and its bytes, as rows.

import type { KernelMessage } from '../../../domain/guest/kernel-log.ts';
import type { ChangedPages } from '../../../domain/guest/owner-changes.ts';
import type { OwnedPages, PageOwner } from '../../../domain/guest/owner-table.ts';
import type { Task } from '../../../domain/guest/tasks.ts';
import type { FoundSymbol } from '../../wiring/guest/guest.ts';
import type { ChangedTask } from '../../wiring/guest/guest-owners.ts';
import type { ReadStretch } from '../../wiring/guest/read.ts';
import type { VmPoint } from '../../wiring/ledger/vm-point.ts';
import { addressText } from './page-rows.ts';
import type { Row } from './row.ts';

/** Whose a row is, and at which capture: what all rows about a point begin with. */
export const pointCells = ({ entry, row }: VmPoint): Row => ({
  vm: entry.vm,
  capture: row.capture,
});

/** An address that a guest uses itself. */
export const virtualText = (address: bigint): string => `0x${address.toString(16)}`;

export const processRow = ({ pid, command, state, pages, isKernelThread }: Task): Row => ({
  pid,
  command,
  state,
  pages,
  kernelThread: isKernelThread,
});

/** The same, with how many of its pages changed since another point. */
export const changedProcessRow = (task: ChangedTask): Row => ({
  ...processRow(task),
  changed: task.changed,
});

export const ownerRow = ({ owner, pid, command, pages }: OwnedPages): Row => ({
  owner,
  pid,
  command,
  pages,
});

/** Pages of an owner that differ between two points. */
export const changedPagesRow = (vm: string, { before, ...owned }: ChangedPages): Row => ({
  vm,
  ...ownerRow(owned),
  before: before?.map(ownerRow) ?? null,
});

/** Who owned a page, beside what else a row says of it; nulls where that is not known. */
export const ownerCells = (owner: PageOwner | null): Row => ({
  owner: owner?.owner ?? null,
  pid: owner?.pid ?? null,
  command: owner?.command ?? null,
});

export const messageRow = ({ number, seconds, text }: KernelMessage): Row => ({
  number: Number(number),
  seconds,
  text,
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
