// Contents that are asked about as bytes: their identifiers, in every group whose key this host has.

import { CLASS_NONE, IDENTIFIER_BYTES } from '../../../domain/ports/page-engine.ts';
import { toHex } from '../../../domain/values/identifier.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import type { Ledger } from '../ledger/ledger.ts';

/** What pages are known by in one group; null: a pattern, which has no identifier. */
interface AskedContents {
  readonly group: string;
  readonly identifiers: readonly (string | null)[];
}

/**
 * The identifiers of whole pages in each group whose key is here, and the groups whose key is not.
 * KEY_MISSING where this host has none.
 */
export async function identifiersOf(
  ledger: Ledger,
  pages: Uint8Array,
): Promise<{ readonly groups: readonly AskedContents[]; readonly withoutKey: readonly string[] }> {
  const groups: AskedContents[] = [];
  const withoutKey: string[] = [];
  for (const group of [...ledger.state.catalogue.facts.groups.keys()].toSorted()) {
    if (!(await ledger.useKeyAtHand(group))) {
      withoutKey.push(group);
      continue;
    }
    const { classes, identifiers } = (await ledger.engine()).identify(pages);
    groups.push({
      group,
      identifiers: Array.from({ length: pages.length / PAGE_BYTES }, (_, n) =>
        classes[n] === CLASS_NONE
          ? toHex(identifiers.subarray(n * IDENTIFIER_BYTES, (n + 1) * IDENTIFIER_BYTES))
          : null,
      ),
    });
  }
  if (groups.length === 0 && withoutKey.length > 0)
    throw new LedgerError(
      'KEY_MISSING',
      `what bytes are known by cannot be told: the key of no group is here (${withoutKey.join(', ')}); run \`pageledger group export\` on a host that has it, and \`pageledger group import\` here`,
      { groups: withoutKey.join(', ') },
    );
  return { groups, withoutKey };
}
