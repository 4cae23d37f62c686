// A capture's device state, put together again from the pages that its event refers to.

import { assert } from '../assert.ts';
import { LedgerError } from '../ledger-error.ts';
import { blockStarts, packLabel, sliceBlocks } from '../pack.ts';
import { hasReference, type PageColumns } from '../page-columns.ts';
import { PAGE_BYTES, pagesOf } from '../page.ts';
import type { PageEngine } from '../page-engine.ts';
import type { PageStore } from '../ports.ts';
import type { ReadPack } from '../read-models.ts';
import { useRange } from './pack-ranges.ts';

export interface DevicePorts {
  readonly engine: PageEngine;
  readonly store: PageStore;
  /** The pack of a name; undefined where its event was lost. */
  readonly packByName: (name: string) => ReadPack | undefined;
}

/** One page of a pack. */
async function readSlot(ports: DevicePorts, pack: ReadPack, slot: number): Promise<Uint8Array> {
  const { slots, offsets } = blockStarts(pack.blocks);
  const block = slots.findIndex((start, i) => slot >= start && slot < (slots[i + 1] ?? 0));
  assert(block >= 0, 'a slot lies in a block');
  const offsetBytes = offsets[block]!;
  const lengthBytes = offsets[block + 1]! - offsetBytes;
  const range = { name: pack.name, offsetBytes, lengthBytes };
  const blocks = sliceBlocks(pack.blocks, block, block + 1);
  const label = packLabel(pack.name);
  const pages = await useRange(ports.store, range, (bytes) =>
    ports.engine.decode({ bytes, blocks, label }),
  );
  const at = (slot - slots[block]!) * PAGE_BYTES;
  return pages.slice(at, at + PAGE_BYTES);
}

/** The parts of a device state. POINT_DAMAGED where a pack of it is not known. */
export async function readDevice(ports: DevicePorts, columns: PageColumns): Promise<Uint8Array[]> {
  const bytes = new Uint8Array(columns.kinds.length * PAGE_BYTES);
  for (let row = 0; row < columns.kinds.length; row += 1) {
    if (!hasReference(columns.kinds[row]!)) continue;
    const name = columns.packs[columns.packIndexes[row]!]!;
    const pack = ports.packByName(name);
    const slot = columns.slots[row]!;
    if (pack === undefined || slot >= pack.pages)
      throw new LedgerError(
        'POINT_DAMAGED',
        `the device state of capture ${columns.capture} is lost: the event of ${packLabel(name)} is damaged; run \`pageledger verify\``,
        { pack: name },
      );
    bytes.set(await readSlot(ports, pack, slot), row * PAGE_BYTES);
  }
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const length of columns.parts) {
    if (at + length > bytes.length)
      throw new LedgerError(
        'EVENT_INVALID',
        `the device state of capture ${columns.capture} claims ${length} bytes where ${bytes.length - at} are left; run \`pageledger verify\``,
        { capture: columns.capture },
      );
    parts.push(bytes.slice(at, at + length));
    at += pagesOf(length) * PAGE_BYTES;
  }
  return parts;
}
