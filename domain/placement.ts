// Where a guest goes: the hosts that have what it needs, ranked by what they have in common with it, of
// equals the nearest. Pure and total: of the same facts everybody chooses the same host.

import type { HostFacts, RankedHost } from './events/host-codecs.ts';

/** What hosts are ranked by. */
export const RANKED_BY = ['regions', 'pages', 'used'] as const;
export type RankedBy = (typeof RANKED_BY)[number];

/** The least that a host has to have for a guest. */
export interface Needs {
  readonly cores: number;
  readonly memoryBytes: number;
  /** Features of the CPU that the guest may use, as it sees that of its host; empty: it does not. */
  readonly features: readonly string[];
  /** The version of QEMU that its device state is of; null: it is not known. */
  readonly qemu: string | null;
}

/** A host, and what it has in common with the guest. */
export interface Candidate {
  readonly facts: HostFacts;
  readonly regions: number;
  readonly pages: number;
  readonly used: number;
  readonly moveBytes: number;
  /** Null: nobody says. */
  readonly distance: number | null;
}

const versionOf = (text: string): readonly number[] => text.split('.').map(Number);

/** Whether a version is another or later. A device state is read by its own version and by later ones. */
function isAtLeast(version: string, least: string): boolean {
  const [have, need] = [versionOf(version), versionOf(least)];
  for (const [i, part] of need.entries()) {
    const own = have[i] ?? 0;
    if (own !== part) return own > part;
  }
  return true;
}

/** What a host lacks for a guest; empty: nothing. */
export function lacks(facts: HostFacts, needs: Needs): readonly string[] {
  const has = new Set(facts.features);
  const missing = needs.features.filter((feature) => !has.has(feature));
  return [
    ...(facts.cores < needs.cores ? [`${facts.cores} of ${needs.cores} cores`] : []),
    ...(facts.memoryBytes < needs.memoryBytes
      ? [`${facts.memoryBytes} of ${needs.memoryBytes} bytes of memory`]
      : []),
    ...(missing.length === 0 ? [] : [`the CPU's ${missing.join(', ')}`]),
    ...(facts.qemu === null
      ? ['QEMU']
      : needs.qemu !== null && !isAtLeast(facts.qemu, needs.qemu)
        ? [`QEMU ${needs.qemu}`]
        : []),
  ];
}

/** Smaller first; what is not known last. */
const byDistance = (a: number | null, b: number | null): number =>
  (a ?? Infinity) === (b ?? Infinity) ? 0 : (a ?? Infinity) - (b ?? Infinity);

/** The hosts, best first: those that have what is needed, then by what is in common, distance and name. */
export const rank = (
  candidates: readonly Candidate[],
  { needs, by }: { readonly needs: Needs; readonly by: RankedBy },
): readonly RankedHost[] =>
  candidates
    .map(({ facts, ...common }) => ({
      host: facts.host,
      eligible: lacks(facts, needs).length === 0,
      ...common,
    }))
    .toSorted(
      (a, b) =>
        Number(b.eligible) - Number(a.eligible) ||
        b[by] - a[by] ||
        byDistance(a.distance, b.distance) ||
        (a.host < b.host ? -1 : 1),
    );

/** The host that a guest goes to: the first that has what it needs; null: none has. */
export const chosenOf = (ranked: readonly RankedHost[]): string | null =>
  ranked.find(({ eligible }) => eligible)?.host ?? null;
