// A ledger's fingerprint: a digest over (VM, capture, gfn, SHA-256 of content) of the captures that can
// be restored, but for those that nothing but a lease keeps, and the checkpoints, nothing else, so that
// equal recordings in different stores have equal fingerprints.
//
// Each VM has a running sum, modulo 2^256, of SHA-256(gfn, content digest) over its pages; a page
// write takes the old term out and the new one in, so the cost is O(page events), not O(pages x captures).

import { toHex } from '../../domain/values/identifier.ts';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import {
  FIRST_CONTENT,
  UNKNOWN,
  ZERO,
  contentOf,
  holdingOfContent,
  holdingOfPattern,
  isContent,
  isInPack,
  isKeptPattern,
  keptPatternOf,
  type Holding,
} from '../../domain/values/holding.ts';
import { isGivenUp } from '../../domain/points.ts';
import { PUBLIC_PATTERNS } from '../../domain/patterns/public-patterns.ts';
import type { PageReader } from '../../domain/use-cases/pages/page-reader.ts';
import type { LedgerState, Replay } from '../models/ledger-state.ts';
import { walkTables } from './table-walk.ts';

export interface FingerprintPorts {
  readonly state: LedgerState;
  readonly replay: Replay;
  readonly pages: PageReader;
  readonly sha256: (bytes: Uint8Array) => Uint8Array;
}

const DIGEST_BYTES = 32;
const PAGES_AT_ONCE = 256;
const MODULUS = 1n << 256n;

/** SHA-256 of what pages hold. */
class Digests {
  readonly #ports: FingerprintPorts;
  readonly #contents: Uint8Array;
  readonly #patterns: Uint8Array;
  readonly #publics: Uint8Array;

  constructor(ports: FingerprintPorts) {
    this.#ports = ports;
    const { contents } = ports.state;
    this.#contents = new Uint8Array(contents.count * DIGEST_BYTES);
    this.#patterns = new Uint8Array(contents.patternCount * DIGEST_BYTES);
    this.#publics = new Uint8Array(FIRST_CONTENT * DIGEST_BYTES);
  }

  /** Reads every page that is kept once; what was forgotten, or is an alias, stays zeros. */
  async fill(): Promise<void> {
    const { contents, catalogue } = this.#ports.state;
    const publics = PUBLIC_PATTERNS.map((_, i) => i + 1);
    const added = catalogue.facts.patterns.map(({ number }) => number);
    const holdings: Holding[] = [ZERO, ...publics, ...added];
    for (let i = 0; i < contents.count; i += 1)
      if (!contents.aliases.has(i)) holdings.push(holdingOfContent(i));
    for (let i = 0; i < contents.patternCount; i += 1)
      if (!contents.patternAliases.has(i)) holdings.push(holdingOfPattern(i));
    // In the order of places, so that every block is decoded once.
    const ordered = holdings
      .map((holding) => ({ holding, place: isInPack(holding) ? contents.placeOf(holding) : 0 }))
      .filter(({ place }) => place >= 0)
      .toSorted((a, b) => a.place - b.place);
    const room = new Uint8Array(PAGES_AT_ONCE * PAGE_BYTES);
    for (let first = 0; first < ordered.length; first += PAGES_AT_ONCE) {
      const some = ordered.slice(first, first + PAGES_AT_ONCE).map(({ holding }) => holding);
      const pages = await this.#ports.pages.read(some, room);
      for (const [i, holding] of some.entries()) {
        const page = pages.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES);
        this.of(holding).set(this.#ports.sha256(page));
      }
    }
  }

  /** The digest of a holding, in place. */
  of(holding: Holding): Uint8Array {
    if (isContent(holding)) return rowOf(this.#contents, contentOf(holding));
    if (isKeptPattern(holding)) return rowOf(this.#patterns, keptPatternOf(holding));
    return rowOf(this.#publics, holding);
  }
}

const rowOf = (column: Uint8Array, row: number): Uint8Array =>
  column.subarray(row * DIGEST_BYTES, (row + 1) * DIGEST_BYTES);

/** The fingerprint of a ledger, lower-case hex. Reads every page that is kept once. */
export async function ledgerFingerprint(ports: FingerprintPorts): Promise<string> {
  const { state, sha256 } = ports;
  const digests = new Digests(ports);
  await digests.fill();
  const input = new Uint8Array(4 + DIGEST_BYTES);
  const view = new DataView(input.buffer);
  const term = (gfn: number, holding: number): bigint => {
    if (holding === UNKNOWN) return 0n;
    view.setUint32(0, gfn, true);
    input.set(digests.of(holding), 4);
    return BigInt(`0x${toHex(sha256(input))}`);
  };
  const sums = new Map<string, bigint>();
  const lines: string[] = [];
  await walkTables(ports, {
    page: (vm, gfn, old, next) => {
      const sum = (sums.get(vm) ?? 0n) - term(gfn, old) + term(gfn, next);
      sums.set(vm, ((sum % MODULUS) + MODULUS) % MODULUS);
    },
    captured: (entry, { capture }) => {
      const { vm } = entry;
      if (isGivenUp(entry.points, capture)) return;
      lines.push(`capture ${vm} ${capture} ${(sums.get(vm) ?? 0n).toString(16)}`);
    },
  });
  for (const entry of state.catalogue.vms.values())
    for (const { name, capture } of entry.checkpoints)
      lines.push(`checkpoint ${entry.vm} ${name} ${capture}`);
  return toHex(sha256(new TextEncoder().encode(lines.toSorted().join('\n'))));
}
