// Files in which lost content may be: of memory, in any format that is recorded, and such as were kept
// beside a capture, by their digest.

import { bytesOfAttachment, ATTACHMENT_BYTES_MAX } from '../../../domain/values/attachment.ts';
import { toHex } from '../../../domain/values/identifier.ts';
import { checkImage } from '../../guests/sources.ts';
import { attachmentOfFile } from '../record/attachments.ts';
import { sha256 } from '../ledger/digest.ts';
import type { Ledger } from '../ledger/ledger.ts';

/** A file that somebody gave. */
export interface HealFile {
  readonly path: string;
  readonly isImage: boolean;
  /** Its bytes are those of a file that was kept beside a capture. */
  readonly isAttachment: boolean;
}

/** Digests of the files that were kept beside captures, by how long they are. */
function attachedDigests(ledger: Ledger): Map<number, Set<string>> {
  const digests = new Map<number, Set<string>>();
  for (const { captures } of ledger.vms())
    for (const { attachments } of captures)
      for (const { bytes, sha256: digest } of attachments)
        digests.set(bytes, (digests.get(bytes) ?? new Set()).add(digest));
  return digests;
}

/** The bytes of a file that was kept beside a capture. SOURCE_UNREADABLE, SOURCE_CHANGED. */
export const bytesOfFile = async (path: string): Promise<Uint8Array> =>
  bytesOfAttachment(await attachmentOfFile(path, path), ATTACHMENT_BYTES_MAX);

/** What the files are, before any work is done. Refuses one that is neither memory nor was kept. */
export async function healFilesOf(
  ledger: Ledger,
  paths: readonly string[],
): Promise<readonly HealFile[]> {
  const { files, clock } = ledger;
  const digests = attachedDigests(ledger);
  const found: HealFile[] = [];
  for (const path of paths) {
    const facts = await files.facts(path);
    const kept = facts?.isFile === true ? digests.get(facts.sizeBytes) : undefined;
    const isAttachment = kept?.has(toHex(sha256(await bytesOfFile(path)))) ?? false;
    const checked = await checkImage({ path, clock })();
    if (checked._tag === 'Left' && !isAttachment) throw checked.left;
    found.push({ path, isImage: checked._tag === 'Right', isAttachment });
  }
  return found;
}
