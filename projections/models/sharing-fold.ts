// How sharing folds changes: what a capture stores and refers to, what a release lets go of, and what
// a retired VM held. It decides what the catalogue counts of a capture (folding.ts).

import type { ContentReleased } from '../../domain/events/control.ts';
import type { StoredEvent } from '../../domain/ports/event-log.ts';
import { isLedgerError } from '../../domain/values/ledger-error.ts';
import { UNKNOWN } from '../../domain/values/holding.ts';
import { decodeBatches, rowsOf, type CaptureChange, type ControlChange } from '../commits.ts';
import type { CaptureRow } from './vm-entry.ts';
import type { PackWritten } from '../../domain/events/pack-written.ts';
import type { KnownPack } from './contents.ts';
import { AS_RECORDED, type Folding, type Model } from './folding.ts';
import { IndexUnfit, type IdentifierColumn } from './identifier-index.ts';
import type { PageTable } from '../table.ts';
import { changeLosses, standFor } from './losses.ts';
import { releaseSlots, reviveCapture, revivePatches } from './releases.ts';
import { sharingAt } from './sharing-baseline.ts';
import { Sharing } from './sharing.ts';
import { StateReader, StateWriter } from './state-bytes.ts';

/** The VM's table just before a capture, wiped where events before it were lost. */
async function tableBefore(change: CaptureChange, folding: Folding): Promise<PageTable | null> {
  const { catalogue, contents, sharing, tables } = folding;
  const entry = catalogue.vms.get(change.committed.vm);
  if (entry === undefined) return null;
  const { capture } = change.committed;
  const pages = entry.pagesAt(capture, rowsOf(change));
  const { position } = change;
  const table = await tables.before(entry, contents, { position, pages });
  if (table === null) return null;
  const row = entry.capture(capture);
  if (row?.isWiped ?? catalogue.isWiped(change)) {
    sharing.release(table);
    table.fill(UNKNOWN);
  }
  return table;
}

/** A new pack stands for what was lost, where it has the same. */
function takeInLosses(folding: Folding, known: KnownPack, pack: PackWritten): void {
  const { contents, losses, tables, isNew } = folding;
  if (losses.of(contents).size === 0) return;
  let isAny = false;
  changeLosses(folding, () => {
    isAny = standFor(folding, known, pack);
    losses.change();
  });
  if (!isAny) return;
  if (!isNew) throw new IndexUnfit('what was lost is stored anew in a past that was folded');
  tables.renumber(contents);
}

async function foldCapture(change: CaptureChange, folding: Folding): Promise<void> {
  const { vm, capture } = change.committed;
  const { catalogue, contents, sharing, isNew } = folding;
  // What was whole when the light models folded it is whole for this one, or they would differ.
  const row = catalogue.vms.get(vm)?.capture(capture);
  if (!isNew && row?.damage === null && change.damage !== null)
    throw new IndexUnfit(`${vm}@${capture} was damaged after it was folded`);
  for (const pack of change.packs) {
    const known = contents.byName(pack.name);
    // Contents fold a pack before sharing does: those of a file that no program wrote may lack it.
    if (known === undefined) throw new IndexUnfit(`pack ${pack.name} is not among the contents`);
    // Contents that are past it cannot take back what its patches refer to: all is folded anew then.
    if (!isNew) revivePatches(folding, pack.patches);
    if (!sharing.hasPack(known)) sharing.addPack(contents, known, pack);
    takeInLosses(folding, known, pack);
  }
  reviveCapture(folding, change);
  const table = await tableBefore(change, folding);
  if (table === null) return;
  const outcome = { overridden: 0, broken: 0, toggles: [] as number[] };
  for (const columns of change.batches) {
    const folded = sharing.applyBatch(contents, table, columns, outcome.toggles);
    outcome.overridden += folded.overridden;
    outcome.broken += folded.broken;
  }
  folding.outcome = outcome;
}

/** The batches of a capture, as far as they can be read still. */
async function eventsOf(
  vm: string,
  row: CaptureRow,
  { tables }: Folding,
): Promise<readonly StoredEvent[]> {
  try {
    return await tables.pages.events(vm, row);
  } catch (thrown) {
    if (!isLedgerError(thrown) || thrown.code !== 'LOG_DAMAGED') throw thrown;
    return [];
  }
}

/**
 * Lets go of what an event names, but for what captures refer to that its writer had not seen. Their
 * batches are read again.
 */
async function foldRelease(
  change: ControlChange,
  data: ContentReleased,
  folding: Folding,
): Promise<void> {
  releaseSlots(folding, data, change.timeMs);
  const { vms } = folding.catalogue;
  const seen = data.seen === null ? undefined : vms.get(data.seen.vm);
  // Where that commit is lost, one before it: too much is looked at then, not too little.
  const from = seen?.rows.at(seen.rows.indexOf(data.seen!.capture));
  // Where that commit left the log, all that is told of since history begins is looked at.
  const gone = data.seen !== null && (seen?.isGone(data.seen.capture) ?? false);
  const after = from?.position ?? (gone ? seen!.gone!.position : -1n);
  for (const { vm, captures } of vms.values())
    for (const row of captures) {
      if (row.position <= after || row.position >= change.position) continue;
      const decoded = decodeBatches(await eventsOf(vm, row, folding));
      for (const { patches } of decoded.packs) revivePatches(folding, patches);
      reviveCapture(folding, decoded);
    }
}

async function foldRetirement(change: ControlChange, vm: string, folding: Folding): Promise<void> {
  const { catalogue, contents, sharing, tables } = folding;
  const entry = catalogue.vms.get(vm);
  if (entry === undefined || entry.rows.length === 0) return;
  const { position } = change;
  const table = await tables.before(entry, contents, { position, pages: 0 });
  if (table !== null) sharing.release(table);
}

/** Sharing as a model of the fold. Its identifiers are asked for when it is begun or loaded. */
export const sharingModel = (identifiers: () => IdentifierColumn): Model<Sharing, 'sharing'> => ({
  name: 'sharing',
  version: 2,
  initial() {
    const column = identifiers();
    column.clear();
    return new Sharing(column);
  },
  begin: (baseline) => sharingAt(baseline, identifiers()),
  async apply(_sharing, change, folding) {
    folding.outcome = AS_RECORDED;
    if (change._tag === 'capture') await foldCapture(change, folding);
    if (change._tag !== 'control') return;
    const { event } = change;
    if (event.type === 'VmRetired') await foldRetirement(change, event.data.vm, folding);
    const isLoss = event.type === 'ContentLost' || event.type === 'ContentFound';
    // What it takes along cannot be told by contents that are past it: all is folded anew then.
    if (isLoss && !folding.isNew)
      throw new IndexUnfit('content is lost, or found, in a past that was folded');
    if (event.type === 'ContentReleased') await foldRelease(change, event.data, folding);
  },
  write(sharing) {
    const writer = new StateWriter();
    sharing.save(writer);
    return writer;
  },
  read: (bytes) => Sharing.load(new StateReader(bytes), identifiers()),
});
