// What a server of a master's memory gives beside the pages: what each page is known by, the guest's devices
// and small blocks, and the key that both sides prove they have.

import { createHmac, hkdfSync } from 'node:crypto';
import { PassThrough } from 'node:stream';
import { IDENTIFIER_BYTES } from '../../../domain/ports/page-engine.ts';
import { accepted, run } from '../../../domain/ports/run.ts';
import { contentOf, isContent } from '../../../domain/values/holding.ts';
import { addTo } from '../../../domain/values/grouped.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { blockLayoutOf, layOut } from '../../../domain/values/raw-layout.ts';
import { memoryMapOf } from '../../../projections/models/page-tables.ts';
import { readGroupKey, type GroupKey } from '../../stores/keys/group-keys.ts';
import { nodeFiles } from '../../files/files.ts';
import { KEY_FILE_BYTES_MAX } from '../../stores/keys/group-key-file.ts';
import { readPoint } from '../points/point-reader.ts';
import { restoreToStream } from '../restore/restore.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { tableOf, type VmPoint } from '../ledger/vm-point.ts';

const SERVER_LABEL = 'pageledger 1 memory server: TLS pre-shared key';
const SERVER_KEY_BYTES = 32;

/** By what a client and a server of a group's memory know each other (docs/format.md, "Keys"). */
export const serverKeyOf = ({ group, key }: GroupKey) => ({
  identity: group,
  key: new Uint8Array(hkdfSync('sha512', key, '', SERVER_LABEL, SERVER_KEY_BYTES)),
});

const SEAL_LABEL = 'pageledger 1 memory server: seal';
/** Bytes of a seal. */
export const SEAL_BYTES = 32;

/** What a server gives beside the pages. */
export type SealedPart = 'identifiers' | 'devices';

/**
 * Seals what a server gives of a master beside its pages: HMAC-SHA-256 (RFC 2104) of the part's name, a zero, the
 * master's, a zero and the bytes, by a key that is derived of the group's. Who has not that key cannot make one.
 */
export function sealBy({ key }: GroupKey) {
  const sealing = new Uint8Array(hkdfSync('sha512', key, '', SEAL_LABEL, SERVER_KEY_BYTES));
  return (part: SealedPart, master: string, bytes: Uint8Array): Uint8Array =>
    createHmac('sha256', sealing).update(`${part}\0${master}\0`).update(bytes).digest();
}

/** The group's key of a point's VM; null: it is not on this host. */
export async function keyAtHand(ledger: Ledger, { entry }: VmPoint): Promise<GroupKey | null> {
  const group = entry.state.registered?.group ?? '';
  const keyCheck = ledger.state.catalogue.facts.groups.get(group) ?? null;
  try {
    const { key } = await run(ledger.keys.load({ group, keyCheck }));
    return { group, key };
  } catch (thrown) {
    if (thrown instanceof LedgerError && thrown.code === 'KEY_MISSING') return null;
    throw thrown;
  }
}

/** A group's key out of a file that `group export` wrote. KEY_DAMAGED. */
export async function keyInFile(path: string): Promise<GroupKey> {
  const bytes = await nodeFiles.load(path, KEY_FILE_BYTES_MAX);
  if (bytes !== null) return readGroupKey(new TextDecoder().decode(bytes), path);
  throw new LedgerError(
    'SOURCE_UNREADABLE',
    `there is no file ${path}; the one that \`pageledger group export\` wrote was expected`,
    { path },
  );
}

/** Pages that are known by their content only once they are made. */
const MADE_AT_ONCE = 256;

/**
 * What each page of a block is known by, IDENTIFIER_BYTES a page, in order; null where the key that makes
 * them is not on this host. Pages of contents have theirs in the ledger; others are made, and identified.
 */
export async function identifiersOf(
  ledger: Ledger,
  point: VmPoint,
  block: string,
): Promise<Uint8Array | null> {
  const { vm } = point.entry;
  const layout = accepted(blockLayoutOf(memoryMapOf(point), { vm, block }));
  const whole = await tableOf(ledger, point, { isWhole: true });
  if (!(await ledger.useKeyAtHand(point.entry.state.registered?.group ?? ''))) return null;
  const table = layOut(layout, whole);
  await ledger.state.catchUp({ heavy: true });
  const identifiers = new Uint8Array(table.length * IDENTIFIER_BYTES);
  const made = new Map<number, number[]>();
  for (const [page, holding] of table.entries()) {
    const known = isContent(holding) ? ledger.state.sharing.column.read(contentOf(holding)) : null;
    if (known !== null) identifiers.set(known, page * IDENTIFIER_BYTES);
    else addTo(made, holding, page);
  }
  const engine = await ledger.engine();
  const { reader } = await readPoint(ledger, { point, table: whole });
  const holdings = [...made.keys()];
  for (let at = 0; at < holdings.length; at += MADE_AT_ONCE) {
    const some = Uint32Array.from(holdings.slice(at, at + MADE_AT_ONCE));
    const pages = await reader.read(some, new Uint8Array(some.length * PAGE_BYTES));
    const { identifiers: found } = engine.identify(pages);
    for (const [i, holding] of some.entries())
      for (const page of made.get(holding)!)
        identifiers.set(
          found.subarray(i * IDENTIFIER_BYTES, (i + 1) * IDENTIFIER_BYTES),
          page * IDENTIFIER_BYTES,
        );
  }
  return identifiers;
}

/** A migration stream of a point without the pages of a block. */
export async function devicesOf(
  ledger: Ledger,
  point: VmPoint,
  block: string,
): Promise<Uint8Array> {
  const pipe = new PassThrough();
  const parts: Buffer[] = [];
  pipe.on('data', (part: Buffer) => parts.push(part));
  await restoreToStream(ledger, point, { format: 'qemu', without: [block], writable: pipe });
  return Buffer.concat(parts);
}
