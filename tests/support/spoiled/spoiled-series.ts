// A ledger in memory that has an event of every kind which recorders, forgetting and compaction write.

import type { StoredEvent } from '../../../domain/ports/event-log.ts';
import { compact, forgetPoints, retireVm, takeCheckpoint } from '../../../index.ts';
import { catalogueBytes, catalogueText } from '../../../projections/models/catalogue-state.ts';
import { StateWriter } from '../../../projections/models/state-bytes.ts';
import type { LossyFiles } from '../../simulation/lossy-files.ts';
import { freshDisk, openWorld, recordTable } from '../ledgers/compaction-world.ts';

export interface SpoiledSeries {
  readonly files: LossyFiles;
  readonly events: readonly StoredEvent[];
  /** The catalogue and the contents as a baseline has them. */
  readonly catalogue: Uint8Array;
  readonly contents: Uint8Array;
  /** What their state files hold. */
  readonly catalogueState: Uint8Array;
  readonly contentsState: Uint8Array;
}

/** Records it. */
export async function recordSeries(folder: string): Promise<SpoiledSeries> {
  const files = freshDisk();
  const ledger = await openWorld(files);
  const record = (vm: string, table: readonly number[]): Promise<unknown> =>
    recordTable(ledger, { vm, group: null, table, folder });
  await record('a', [32, 48, 1, 64]);
  await record('b', [32, 80, 2, 3]);
  await record('a', [33, 48, 1, 65]);
  await takeCheckpoint(ledger, { vm: 'a', name: 'named', capture: 1 });
  await record('a', [34, 49, 4, 65]);
  await forgetPoints(ledger, { vm: 'a', before: '@3' });
  await compact(ledger, { graceMs: 3_600_000, isDryRun: false });
  await record('b', [34, 81, 2, 3]);
  await record('d', [36, 1, 2, 3]);
  await retireVm(ledger, 'd');
  const events: StoredEvent[] = [];
  for await (const chunk of ledger.log.read({ from: 0n }))
    for (const item of chunk.items) if (item._tag === 'event') events.push(item.event);
  const writer = new StateWriter();
  ledger.state.contents.save(writer);
  const catalogue = new TextEncoder().encode(catalogueText(ledger.state.catalogue));
  const contents = writer.bytes().slice();
  const stateWriter = new StateWriter();
  ledger.state.contents.saveState(stateWriter);
  const contentsState = stateWriter.bytes().slice();
  const catalogueState = catalogueBytes(ledger.state.catalogue).bytes().slice();
  await ledger.close();
  return { files, events, catalogue, contents, catalogueState, contentsState };
}
