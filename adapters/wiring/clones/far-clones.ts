// Clones on hosts without the ledger, as the ledger knows them: whoever serves their master's memory writes
// down what they are told by these hosts. No process of theirs can be looked up from here, so such a clone
// is there until its host says that it has ended, or somebody ends its lease.

import { LedgerError } from '../../../domain/values/ledger-error.ts';
import type { Holder } from '../../../domain/values/lease.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { VmPoint } from '../ledger/vm-point.ts';
import { beginClone, endClone } from './clones.ts';

/** What a host says of a clone of its own. */
export interface ToldClone {
  readonly what: 'began' | 'ended';
  /** The lease that it is named by, which its host has drawn. */
  readonly lease: string;
  /** Its process, on its host. */
  readonly holder: Holder;
  /** Where it is controlled there. */
  readonly qmp: string;
  /** Pages that it had of its own when it was seen last; null: it was not. */
  readonly privatePages: number | null;
}

/** Clones that hold a point at once; a peer that claims more is flooding. */
const CLONES_MAX = 1024;

const FIELDS = ['host', 'machine', 'boot', 'space', 'process', 'started'] as const;
const isSame = (one: Holder, other: Holder): boolean =>
  FIELDS.every((field) => one[field] === other[field]);

const refused = (message: string, { lease }: ToldClone): LedgerError =>
  new LedgerError('PEER_REFUSED', message, { clone: lease });

/**
 * Notes what a host says of its clone of a point. PEER_REFUSED: there are too many, it is another's, or the
 * ledger cannot be written.
 */
export async function noteFarClone(
  ledger: Ledger,
  { point, block }: { readonly point: VmPoint; readonly block: string },
  told: ToldClone,
): Promise<void> {
  await ledger.state.catchUp({ heavy: false });
  const { vm } = point.entry;
  const { capture } = point.row;
  const { lease, holder, qmp, privatePages } = told;
  const held = ledger
    .vm(vm)
    .leases.filter((row) => row.kind === 'clone' && row.capture === capture);
  const known = held.find((row) => row.lease === lease);
  if (known !== undefined && !isSame(known.holder, holder))
    throw refused(
      `clone ${lease} is of process ${known.holder.process} of ${known.holder.host}`,
      told,
    );
  if (told.what === 'ended') {
    if (known !== undefined) await endClone(ledger, point, { id: lease, privatePages });
    return;
  }
  if (held.length >= CLONES_MAX)
    throw refused(`${CLONES_MAX} clones hold ${vm}@${capture}: no more are noted`, told);
  const kind = 'mapped';
  const id = await beginClone(ledger, point, { lease, holder, block, qmp, kind });
  if (id === null) throw refused('the ledger cannot be written: no clone is noted in it', told);
}
