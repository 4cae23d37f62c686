// Where the packs of a ledger on a server lie: what this host was told (`--page-store`), else what it
// agreed on when it was told first. What the log says of it, anybody who can write there may have
// written: it is shown, and followed only where the host was told the same.

import { isAbsolute } from 'node:path';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { isRefused } from '../../../domain/values/refused.ts';
import {
  loadAgreedStore,
  saveAgreedStore,
  type AgreedStoreFile,
} from '../../stores/ledger-folder/agreed-store.ts';
import { placeUrl } from './page-places.ts';

const unfit = (ledger: string, found: string): LedgerError =>
  new LedgerError(
    'NOT_A_LEDGER',
    `the first event of ledger ${ledger} says of its packs ${found}, and expected is s3://BUCKET/PREFIX or an absolute folder: it is no event of this program; use another ledger name`,
    { ledger, found },
  );

/** The place that a ledger's first event names. NOT_A_LEDGER where it is none. */
function storeInLog(ledger: string, pageStore: string | null): string {
  if (pageStore === null) throw unfit(ledger, 'that they lie with its log');
  const isFolder = !pageStore.includes('://');
  if (isFolder && !isAbsolute(pageStore)) throw unfit(ledger, pageStore);
  try {
    return placeUrl(pageStore);
  } catch (thrown) {
    if (isRefused(thrown)) throw unfit(ledger, thrown.message);
    throw thrown;
  }
}

const unconfirmed = (ledger: string, found: string): LedgerError =>
  new LedgerError(
    'STORE_UNCONFIRMED',
    `the log of ledger ${ledger} says that its packs lie at ${found}, and this host has not been told so; requests there bear this host's credentials: if it is the right place, say --page-store '${found}' once`,
    { ledger, found },
  );

export interface StoreQuestion {
  /** The ledger's name on its server. */
  readonly ledger: string;
  /** What its first event says. */
  readonly inLog: string | null;
  /** What was said on opening, or undefined. */
  readonly told: string | undefined;
  /** Where this host keeps what it agreed on. */
  readonly at: AgreedStoreFile;
  readonly onNotice: (sentence: string) => void;
}

export interface AgreedStore {
  readonly url: string;
  /** Whether the log says something else. */
  readonly isOther: boolean;
  /** Remembers what was told. A disk that refuses it is told again the next time. */
  remember(): Promise<void>;
}

/** Where the packs lie for this host. STORE_UNCONFIRMED, NOT_A_LEDGER; BadUrl is thrown. */
export async function agreedStore(question: StoreQuestion): Promise<AgreedStore> {
  const { ledger, at, onNotice } = question;
  const inLog = storeInLog(ledger, question.inLog);
  const known = await loadAgreedStore(at);
  const told = question.told === undefined ? null : placeUrl(question.told);
  const url = told ?? known;
  if (url === null) throw unconfirmed(ledger, inLog);
  if (url !== inLog)
    onNotice(
      `the log of ledger ${ledger} says that its packs lie at ${inLog}; this host uses ${url}, as it was told`,
    );
  return {
    url,
    isOther: url !== inLog,
    remember: async () => {
      if (url !== known) await saveAgreedStore(at, url).catch(() => undefined);
    },
  };
}
