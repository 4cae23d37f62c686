// What a ledger's URL may name, a line each. What only one kind of ledger needs is loaded where one of
// the kind is opened.

import { isServerUrl } from '../../stores/event-log-eventstoredb/ledger-url.ts';
import { refuse } from '../../../domain/values/refused.ts';
import { openFolder } from './folder-ledger.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { isMemoryUrl } from './memory-url.ts';
import type { OpenLedgerOptions } from './options.ts';

/** A kind of ledger. */
interface LedgerScheme {
  readonly takes: (url: string) => boolean;
  readonly open: (options: OpenLedgerOptions) => Promise<Ledger>;
}

/** Of any URL, and of a server's also where its slashes were forgotten. */
const SCHEME = /^(?:[A-Za-z][A-Za-z0-9+.-]*:\/\/|(?:esdb|kurrentdb|kurrent|kdb)(?:\+discover)?:)/iu;

const openMemory: LedgerScheme['open'] = async (options) =>
  (await import('./memory-ledger.ts')).openMemory(options);

const openOnEventStoreDb: LedgerScheme['open'] = async (options) => {
  const [{ openShared }, { openSharedLog }] = await Promise.all([
    import('./shared-ledger.ts'),
    import('../../stores/event-log-eventstoredb/event-log-eventstoredb.ts'),
  ]);
  return openShared(options, await openSharedLog(options));
};

/** Refuses a URL of anything that a ledger cannot be. */
function refuseUrl({ url }: OpenLedgerOptions): never {
  throw refuse({
    _tag: 'BadUrl',
    url: SCHEME.exec(url)?.[0] ?? url,
    why: 'a ledger is a folder, or esdb://HOST?ledger=NAME',
  });
}

/** The first that takes a URL has it. */
export const SCHEMES: readonly LedgerScheme[] = [
  { takes: isMemoryUrl, open: openMemory },
  { takes: isServerUrl, open: openOnEventStoreDb },
  { takes: (url) => SCHEME.test(url), open: refuseUrl },
  { takes: () => true, open: openFolder },
];
