// A ledger's fingerprint (brief, section 4): a digest over (VM, capture, gfn, SHA-256 of content) and
// the checkpoints, nothing else, so that equal recordings in different stores have equal fingerprints.
//
// Each VM has a running sum, modulo 2^256, of SHA-256(gfn, content digest) over its pages; a page
// write takes the old term out and the new one in, so the cost is O(page events), not O(pages x captures).

import { toHex } from '../../domain/identifier.ts';
import { blockStarts, packLabel } from '../../domain/pack.ts';
import { PAGE_BYTES } from '../../domain/page.ts';
import type { PageEngine } from '../../domain/page-engine.ts';
import { FIRST_CONTENT, isContent, UNKNOWN } from '../../domain/page-writes.ts';
import type { PageStore } from '../../domain/ports.ts';
import { useRange } from '../../domain/use-cases/pack-ranges.ts';
import type { LedgerState, Replay } from '../ledger-state.ts';
import { walkTables } from './table-walk.ts';

export interface FingerprintPorts {
  readonly state: LedgerState;
  readonly replay: Replay;
  readonly store: PageStore;
  readonly engine: PageEngine;
  readonly sha256: (bytes: Uint8Array) => Uint8Array;
}

const DIGEST_BYTES = 32;
const MODULUS = 1n << 256n;

/** SHA-256 of every content, by content number; aliases are never held, so they may be absent. */
async function contentDigests(ports: FingerprintPorts): Promise<Uint8Array> {
  const { contents } = ports.state;
  const digests = new Uint8Array(contents.count * DIGEST_BYTES);
  for (const pack of contents.packs) {
    const { offsets } = blockStarts(pack.blocks);
    const offsetBytes = offsets[0]!;
    const lengthBytes = pack.sizeBytes - offsetBytes;
    const range = { name: pack.name, offsetBytes, lengthBytes };
    const label = packLabel(pack.name);
    const pages = await useRange(ports.store, range, (bytes) =>
      ports.engine.decode({ bytes, blocks: pack.blocks, label }),
    );
    for (let slot = 0; slot < pack.pages; slot += 1)
      digests.set(
        ports.sha256(pages.subarray(slot * PAGE_BYTES, (slot + 1) * PAGE_BYTES)),
        (pack.firstContent + slot) * DIGEST_BYTES,
      );
  }
  return digests;
}

/** The fingerprint of a ledger, lower-case hex. Reads every pack once. */
export async function ledgerFingerprint(ports: FingerprintPorts): Promise<string> {
  const { state, sha256 } = ports;
  const digests = await contentDigests(ports);
  const zero = sha256(new Uint8Array(PAGE_BYTES));
  const input = new Uint8Array(4 + DIGEST_BYTES);
  const view = new DataView(input.buffer);
  const term = (gfn: number, holding: number): bigint => {
    if (holding === UNKNOWN) return 0n;
    view.setUint32(0, gfn, true);
    const at = (holding - FIRST_CONTENT) * DIGEST_BYTES;
    input.set(isContent(holding) ? digests.subarray(at, at + DIGEST_BYTES) : zero, 4);
    return BigInt(`0x${toHex(sha256(input))}`);
  };
  const sums = new Map<string, bigint>();
  const lines: string[] = [];
  await walkTables(ports, {
    page: (vm, gfn, old, next) => {
      const sum = (sums.get(vm) ?? 0n) - term(gfn, old) + term(gfn, next);
      sums.set(vm, ((sum % MODULUS) + MODULUS) % MODULUS);
    },
    captured: ({ vm }, { capture }) => {
      lines.push(`capture ${vm} ${capture} ${(sums.get(vm) ?? 0n).toString(16)}`);
    },
  });
  for (const entry of state.catalogue.vms.values())
    for (const { name, capture } of entry.checkpoints)
      lines.push(`checkpoint ${entry.vm} ${name} ${capture}`);
  return toHex(sha256(new TextEncoder().encode(lines.toSorted().join('\n'))));
}
