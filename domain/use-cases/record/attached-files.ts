// The attachments of a capture, taken in after its memory: their pages become contents, and rows of
// AttachmentsWritten in their order; their names stand in the commit.

import { KIND_MERGED, KIND_STORED, KIND_ZERO } from '../../events/pages-written.ts';
import type { CaptureView } from '../../ports/models.ts';
import {
  ATTACHMENTS_BYTES_MAX,
  bytesOfAttachment,
  type Attachment,
  type AttachmentEntry,
} from '../../values/attachment.ts';
import { isContent, type Holding } from '../../values/holding.ts';
import { toHex } from '../../values/identifier.ts';
import { PAGE_BYTES, wholePages } from '../../values/page.ts';
import type { BatchBuilder } from './batch-builder.ts';
import type { LoosePages } from './loose-pages.ts';

/** Bytes that are identified and stored at once. */
const PIECE_BYTES = 256 * PAGE_BYTES;

export interface AttachedFilesPorts {
  readonly view: CaptureView;
  readonly loose: LoosePages;
  readonly batches: BatchBuilder;
  readonly sha256: (bytes: Uint8Array) => Uint8Array;
}

export class AttachedFiles {
  readonly #ports: AttachedFilesPorts;
  #rows = 0;

  constructor(ports: AttachedFilesPorts) {
    this.#ports = ports;
  }

  /** Takes them in, one after the other in memory. */
  async take(attachments: readonly Attachment[]): Promise<readonly AttachmentEntry[]> {
    const entries: AttachmentEntry[] = [];
    let left = ATTACHMENTS_BYTES_MAX;
    for (const attachment of attachments) {
      const bytes = await bytesOfAttachment(attachment, left);
      left -= bytes.length;
      for (let at = 0; at < bytes.length; at += PIECE_BYTES)
        await this.#store(bytes.subarray(at, at + PIECE_BYTES));
      const sha256 = toHex(this.#ports.sha256(bytes));
      entries.push({ name: attachment.name, bytes: bytes.length, sha256 });
    }
    return entries;
  }

  async #store(bytes: Uint8Array): Promise<void> {
    for (const holding of await this.#ports.loose.store(wholePages(bytes))) this.#add(holding);
  }

  #add(holding: Holding): void {
    const { view, batches } = this.#ports;
    const reference = isContent(holding) ? view.reference(holding) : null;
    const gfn = this.#rows;
    this.#rows += 1;
    if (reference === null) batches.add({ kind: KIND_ZERO, gfn, reference });
    else
      batches.add({
        kind: reference._tag === 'pending' ? KIND_STORED : KIND_MERGED,
        gfn,
        reference,
      });
  }
}
