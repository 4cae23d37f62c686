// Attachments given back: the small files that were recorded beside a capture, byte for byte.

import { join } from 'node:path';
import { openAttachedFile } from '../../guests/attached-file.ts';
import { openReplacement, type Replacement } from '../../files/replacement.ts';
import { sharedMemory } from '../../../domain/ports/guests.ts';
import { assertWhole } from '../../../domain/use-cases/pages/patch-chain.ts';
import type { Attachment, AttachmentEntry } from '../../../domain/values/attachment.ts';
import { commandEndOf } from '../../../domain/values/command-outcome.ts';
import { toHex } from '../../../domain/values/identifier.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { attachedHoldings } from '../../../projections/attachments.ts';
import { decodeBatches } from '../../../projections/commits.ts';
import { sha256 } from '../ledger/digest.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { labelOf, type VmPoint } from '../ledger/vm-point.ts';

/**
 * A regular file of this host, to keep beside a capture. SOURCE_UNREADABLE and SOURCE_SIZE at once,
 * SOURCE_CHANGED where it is written to while it is read.
 */
export const attachmentOfFile = (name: string, path: string): Promise<Attachment> =>
  openAttachedFile(name, path);

/** Only the owner's: it is a part of a guest. */
const FOLDER_PERMISSIONS = 0o700;

/** What the pages of each attachment of a point hold. */
async function holdingsOfPoint(ledger: Ledger, { entry, row }: VmPoint) {
  const { contents, tables } = ledger.state;
  const { attachments } = decodeBatches(await tables.events(entry.vm, row));
  return attachedHoldings(contents, row.attachments, attachments);
}

/** The bytes of an attachment. POINT_DAMAGED, PACK_MISSING, PACK_DAMAGED. */
async function bytesOf(
  ledger: Ledger,
  { entry, row }: VmPoint,
  of: { readonly attachment: AttachmentEntry; readonly holdings: Uint32Array },
): Promise<Uint8Array> {
  const { name, bytes, sha256: expected } = of.attachment;
  const label = `the attachment ${name} of ${labelOf({ entry, row })}`;
  assertWhole(of.holdings, label);
  const memory = new SharedArrayBuffer(of.holdings.length * PAGE_BYTES);
  const reader = await ledger.pageReader();
  const target = { file: sharedMemory(memory), offsetBytes: 0 };
  await reader.fill({ table: of.holdings, label }, target);
  const whole = new Uint8Array(memory).slice(0, bytes);
  const found = toHex(sha256(whole));
  if (found === expected) return whole;
  throw new LedgerError(
    'POINT_DAMAGED',
    `${label} has the digest ${found}, but its commit says ${expected}; run \`pageledger verify\``,
    { vm: entry.vm, capture: row.capture, name },
  );
}

/** The attachments of a point with their bytes, one after the other. POINT_DAMAGED, PACK_MISSING, PACK_DAMAGED. */
export async function* attachmentsOf(
  ledger: Ledger,
  point: VmPoint,
): AsyncGenerator<{ readonly name: string; readonly bytes: Uint8Array }> {
  const holdings = await holdingsOfPoint(ledger, point);
  for (const [i, attachment] of point.row.attachments.entries()) {
    const bytes = await bytesOf(ledger, point, { attachment, holdings: holdings[i]! });
    yield { name: attachment.name, bytes };
  }
}

/** What a command left that ran while a point's guest stood still. */
export interface CommandWord {
  /** How it ended: `exit-0`, `signal-SIGKILL`, `late`, ... */
  readonly end: string;
  /** What it printed, at most 64 KiB. */
  readonly output: Uint8Array;
}

/** Of the point's own attachment, or null where no command ran. POINT_DAMAGED, PACK_MISSING, PACK_DAMAGED. */
export async function commandWordOf(ledger: Ledger, point: VmPoint): Promise<CommandWord | null> {
  const { attachments } = point.row;
  const at = attachments.findIndex(({ name }) => commandEndOf(name) !== null);
  const attachment = attachments[at];
  if (attachment === undefined) return null;
  const holdings = (await holdingsOfPoint(ledger, point))[at]!;
  const output = await bytesOf(ledger, point, { attachment, holdings });
  return { end: commandEndOf(attachment.name)!, output };
}

/** Files that are whole and wait to be given their names. */
export interface ReadyFiles {
  readonly paths: readonly string[];
  /** Makes them durable and gives each its name. */
  place(): Promise<void>;
  /** Leaves everything as it was. */
  discard(): Promise<void>;
}

/**
 * Writes the attachments of a point into a folder, which is made where there is none. TARGET_EXISTS
 * where one of them is there already, unless `isForced`.
 */
export async function readyAttachments(
  ledger: Ledger,
  point: VmPoint,
  { folder, isForced }: { readonly folder: string; readonly isForced: boolean },
): Promise<ReadyFiles> {
  const { files } = ledger;
  const names = point.row.attachments.map(({ name }) => name);
  if (names.length > 0 && (await files.facts(folder)) === null)
    await files.makeFolder(folder, FOLDER_PERMISSIONS);
  const paths = names.map((name) => join(folder, name));
  const opened: Replacement[] = [];
  const discard = async (): Promise<void> => {
    for (const each of opened) await each.discard();
  };
  try {
    for (const path of paths) opened.push(await openReplacement({ files, path, isForced }));
    let at = 0;
    for await (const { bytes } of attachmentsOf(ledger, point)) {
      await opened[at]!.file.write(bytes, 0);
      at += 1;
    }
  } catch (thrown) {
    await discard();
    throw thrown;
  }
  const place = async (): Promise<void> => {
    for (let next = opened[0]; next !== undefined; next = opened[0]) {
      await next.place();
      opened.shift();
    }
  };
  return { paths, place, discard };
}
