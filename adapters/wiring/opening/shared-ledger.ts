// A ledger that hosts share: its log on a server, its packs in an object store or a folder that all
// of them see (page-places.ts), and on each host only what is derived, and the keys.

import { randomBytes, randomUUID } from 'node:crypto';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import * as either from 'fp-ts/lib/Either.js';
import { pipe } from 'fp-ts/lib/function.js';
import * as taskEither from 'fp-ts/lib/TaskEither.js';
import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import { nodeFiles } from '../../files/files.ts';
import { openStateFiles } from '../../stores/derived/state-files.ts';
import { openLocalState } from '../../stores/ledger-folder/local-state.ts';
import { decodeControl } from '../../../domain/events/control.ts';
import { LEDGER_STREAM } from '../../../domain/events/streams.ts';
import { eventAt } from '../../../domain/ports/event-log.ts';
import {
  decideLedger,
  evolveLedger,
  initialLedger,
  type LedgerFacts,
} from '../../../domain/ledger.ts';
import { run, valueOf } from '../../../domain/ports/run.ts';
import { decideInto } from '../../../domain/use-cases/decide.ts';
import { assert } from '../../../domain/values/assert.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { refuse } from '../../../domain/values/refused.ts';
import { thisActor } from '../ledger/actor.ts';
import { agreedStore } from './agreed-store.ts';
import { Ledger } from '../ledger/ledger.ts';
import type { LedgerLog, LedgerPages, LedgerParts } from '../ledger/ledger-parts.ts';
import { countLogBytes } from './log-bytes.ts';
import type { OpenLedgerOptions } from './options.ts';
import { openPages, placeUrl, type ClaimedPages } from './page-places.ts';

/** A ledger's log on a server that hosts share. */
export interface SharedLog {
  readonly log: LedgerLog;
  /** The ledger's name there. */
  readonly name: string;
  /** The server's URL, as it may be repeated: without secrets. */
  readonly shownUrl: string;
}

type MadeLedger = NonNullable<LedgerFacts['ledger']>;

/** The page store's URL as the ledger remembers it: the same for every host, without secrets. */
function pageStoreUrl({ pageStore }: OpenLedgerOptions, { shownUrl }: SharedLog): string {
  if (pageStore !== undefined) return placeUrl(pageStore);
  throw refuse({
    _tag: 'BadUrl',
    url: shownUrl,
    why: 'there is no ledger yet, and one on a server is created with a place for its packs: say --page-store s3://BUCKET/PREFIX, or a folder that all its hosts see',
  });
}

/**
 * The store, which makes sure before it first writes or deletes that the place is the ledger's. A
 * ledger that has packs already has claimed it: what is there without a claim is another place.
 */
function claimedFirst(
  store: ClaimedPages,
  { id, hasPacks }: { readonly id: string; readonly hasPacks: () => boolean },
): LedgerPages {
  let claim: Promise<either.Either<LedgerError, void>> | null = null;
  const claimed: TaskEither<LedgerError, void> = async () => {
    claim ??= (hasPacks() ? store.checkClaim(id) : store.claim(id))();
    const outcome = await claim;
    if (either.isLeft(outcome)) claim = null;
    return outcome;
  };
  return {
    ...store,
    isOurs: () => store.checkClaim(id),
    put: (pack) =>
      pipe(
        claimed,
        taskEither.flatMap(() => store.put(pack)),
      ),
    putPart: (part) =>
      pipe(
        claimed,
        taskEither.flatMap(() => store.putPart(part)),
      ),
    putMark: (mark) =>
      pipe(
        claimed,
        taskEither.flatMap(() => store.putMark(mark)),
      ),
    delete: (name) =>
      pipe(
        claimed,
        taskEither.flatMap(() => store.delete(name)),
      ),
  };
}

/** As ids of ledgers are made; folders and locks of this host bear them. */
const LEDGER_ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/u;

function checked(made: LedgerFacts['ledger']): LedgerFacts['ledger'] {
  if (made === null || LEDGER_ID.test(made.id)) return made;
  throw new LedgerError(
    'NOT_A_LEDGER',
    `the first event of stream ${LEDGER_STREAM} names a ledger ${made.id}, and an identifier of 32 hex digits was expected: it is no event of this program; use another ledger name`,
    { found: made.id },
  );
}

/** The ledger as the event that made it says; null where there is none yet. */
async function madeIn(log: LedgerLog): Promise<LedgerFacts['ledger']> {
  const range = { stream: LEDGER_STREAM, fromRevision: 0, fromPosition: 0n };
  const first = await eventAt(log, range);
  if (first === null) return null;
  const event = valueOf(decodeControl(first));
  if (event.type === 'LedgerCreated') return checked(evolveLedger(initialLedger, event).ledger);
  throw new LedgerError(
    'NOT_A_LEDGER',
    `the first event of stream ${LEDGER_STREAM} is a ${first.type}, and a LedgerCreated was expected: this is no ledger's stream; use another ledger name`,
    { type: first.type },
  );
}

/** Makes the ledger: the first LedgerCreated in its stream counts, also where two hosts make it at once. */
async function create(options: OpenLedgerOptions, shared: SharedLog): Promise<MadeLedger> {
  const { log } = shared;
  const url = pageStoreUrl(options, shared);
  const store = await openPages(options, { url, cache: '' });
  try {
    const isTaken = await run(store.isClaimed());
    let ledger = isTaken ? await madeIn(log) : null;
    if (ledger !== null) return ledger;
    const id = randomUUID();
    // Where it is taken, by another ledger, this says so before there is an event.
    if (isTaken) await run(store.claim(id));
    const catchUp = async (): Promise<void> => {
      ledger = await madeIn(log);
    };
    const { clock = Date.now, by = thisActor() } = options;
    const ports = { log, clock, by, randomBytes, catchUp };
    const command = {
      _tag: 'CreateLedger',
      ledger: id,
      pageStore: url,
    } as const;
    await decideInto(ports, LEDGER_STREAM, () =>
      decideLedger({ ...initialLedger, ledger })(command),
    );
    assert(ledger !== null, 'what was appended is read');
    return ledger;
  } finally {
    await store.close();
  }
}

const absent = (name: string): LedgerError =>
  new LedgerError(
    'NOT_FOUND',
    `there is no ledger ${name} on that server; \`pageledger init\` with --page-store makes one; to use another, say ?ledger=NAME in --ledger or $PAGELEDGER`,
    { ledger: name },
  );

const exists = (name: string): LedgerError =>
  new LedgerError(
    'LEDGER_EXISTS',
    `there is a ledger ${name} on that server already, and a new one was to be made; record into it, or choose another name`,
    { ledger: name },
  );

/** Where this host keeps what is local of ledgers that lie elsewhere. */
function stateFolder(options: OpenLedgerOptions): string {
  // Empty or relative it does not count: keys do not belong into whatever folder one works in.
  const home = process.env['XDG_STATE_HOME'] ?? '';
  const root = isAbsolute(home) ? home : join(homedir(), '.local', 'state');
  return options.stateFolder ?? join(root, 'pageledger');
}

/** What a ledger on a server is made of, once the event that made it is known. */
async function partsOf(
  options: OpenLedgerOptions,
  { log, name }: SharedLog,
  { made, hasPacks }: { readonly made: MadeLedger; readonly hasPacks: () => boolean },
): Promise<LedgerParts> {
  const files = options.files ?? nodeFiles;
  const { id, pageStore } = made;
  const { cache, folder, keys, projections, locks } = await run(
    openLocalState({ files, root: stateFolder(options), name, id }),
  );
  const agreed = await agreedStore({
    ledger: name,
    inLog: pageStore,
    told: options.pageStore,
    at: { files, folder },
    onNotice: options.onNotice ?? (() => undefined),
  });
  const store = await openPages(options, { url: agreed.url, cache });
  // Another place than the log says has to be the ledger's already.
  if (agreed.isOther) await run(store.checkClaim(id));
  await agreed.remember();
  const stateFiles = openStateFiles({ files, folder: projections });
  return {
    id,
    log,
    store: claimedFirst(store, { id, hasPacks }),
    local: { files, keys: options.keys ?? keys, projections, locks },
    isShared: true,
    findings: [],
    logBytes: () => countLogBytes(log, stateFiles),
  };
}

/** Opens a ledger whose log is on a server; makes it first where the mode says so. */
export async function openShared(options: OpenLedgerOptions, shared: SharedLog): Promise<Ledger> {
  const { log, name } = shared;
  try {
    const found = await madeIn(log);
    const { mode } = options;
    if (found !== null && mode === 'init') throw exists(name);
    if (found === null && mode !== 'init' && mode !== 'create') throw absent(name);
    const made = found ?? (await create(options, shared));
    let ledger: Ledger | null = null;
    const hasPacks = (): boolean => ledger?.state.contents.hasPacks ?? false;
    ledger = new Ledger(await partsOf(options, shared, { made, hasPacks }), options);
    await ledger.load();
    return ledger;
  } catch (thrown) {
    await log.close();
    throw thrown;
  }
}
