// A ledger that hosts share: its log on EventStoreDB, its packs in an object store or a folder that
// all of them see, and on each host only what is derived, and the keys (brief, section 2).

import { randomBytes, randomUUID } from 'node:crypto';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import * as either from 'fp-ts/lib/Either.js';
import { pipe } from 'fp-ts/lib/function.js';
import * as taskEither from 'fp-ts/lib/TaskEither.js';
import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import { nodeFiles } from '../files/node-files.ts';
import { openClaimedFolder } from '../stores/ledger-folder/claimed-folder.ts';
import {
  openEventStoreLog,
  type EventStoreLog,
} from '../stores/event-log-eventstoredb/event-log-eventstoredb.ts';
import { parseLedgerUrl, withoutSecrets } from '../stores/event-log-eventstoredb/ledger-url.ts';
import { openLocalState, type LocalState } from '../stores/ledger-folder/local-state.ts';
import { openStateFiles } from '../stores/derived/state-files.ts';
import { assert } from '../../domain/values/assert.ts';
import { decodeControl } from '../../domain/events/control.ts';
import { isLedgerError, LedgerError } from '../../domain/values/ledger-error.ts';
import { type StateFiles } from '../../domain/ports/derived-files.ts';
import { run, valueOf } from '../../domain/ports/run.ts';
import { refuse } from '../../domain/values/refused.ts';
import { LEDGER_STREAM } from '../../domain/events/streams.ts';
import {
  decideLedger,
  evolveLedger,
  initialLedger,
  type LedgerFacts,
} from '../../domain/ledger.ts';
import { decideInto } from '../../domain/use-cases/decide.ts';
import { agreedStore, storeUrl } from './agreed-store.ts';
import { Ledger, type LedgerPages, type LedgerParts } from './ledger.ts';
import type { OpenLedgerOptions } from './options.ts';

/** What is kept of packs in an object store on this host, unless said otherwise. */
const CACHE_BYTES_MAX = 4 * 1024 ** 3;
const LOG_BYTES_FILE = 'log-bytes';
/** What an event takes in the server's log besides its data, about. */
const EVENT_OVERHEAD_BYTES = 100;

type MadeLedger = NonNullable<LedgerFacts['ledger']>;

/** A page store, and the way to make its place a ledger's. */
interface ClaimedPages extends LedgerPages {
  /** Makes the place the ledger's, where it is nobody's. STORE_TAKEN. */
  claim(id: string): TaskEither<LedgerError, void>;
  /** Makes sure that the place is the ledger's. STORE_TAKEN, STORE_MISSING. */
  checkClaim(id: string): TaskEither<LedgerError, void>;
  /** Whether the place is a ledger's. */
  isClaimed(): TaskEither<LedgerError, boolean>;
}

/** The page store's URL as the ledger remembers it: the same for every host, without secrets. */
function pageStoreUrl(options: OpenLedgerOptions): string {
  const { pageStore } = options;
  if (pageStore === undefined)
    throw refuse({
      _tag: 'BadUrl',
      url: withoutSecrets(options.url),
      why: 'there is no ledger yet, and one on a server is created with a place for its packs: say --page-store s3://BUCKET/PREFIX, or a folder that all its hosts see',
    });
  return storeUrl(pageStore);
}

/** Packs in a folder that all hosts see. */
const folderPages = (options: OpenLedgerOptions, folder: string): ClaimedPages =>
  openClaimedFolder({ files: options.files ?? nodeFiles, folder });

/** Packs in an object store, read through this host's cache. */
async function bucketPages(
  options: OpenLedgerOptions,
  { url, cache }: { readonly url: string; readonly cache: string },
): Promise<ClaimedPages> {
  const { openS3PageStore } = await import('../stores/page-store-s3/page-store-s3.ts');
  const { cachePages } = await import('../stores/page-store-cached/cached-pages.ts');
  const { onNotice, patienceMs } = options;
  const told = onNotice === undefined ? {} : { onNotice };
  const bucket = openS3PageStore({
    url,
    ...told,
    ...(patienceMs === undefined ? {} : { patienceMs }),
  });
  const cached = cachePages({
    store: bucket,
    files: options.files ?? nodeFiles,
    folder: cache,
    bytesMax: options.cacheBytesMax ?? CACHE_BYTES_MAX,
    ...told,
  });
  return {
    ...cached,
    origin: bucket,
    claim: (id) => bucket.claim(id),
    checkClaim: (id) => bucket.checkClaim(id),
    isClaimed: () => bucket.isClaimed(),
    // A put is whole or not there at all.
    removeLeftovers: () => taskEither.of(0),
    close: async () => {
      await cached.close();
      await bucket.close();
    },
  };
}

const openPages = (
  options: OpenLedgerOptions,
  at: { readonly url: string; readonly cache: string },
): Promise<ClaimedPages> =>
  at.url.startsWith('s3://')
    ? bucketPages(options, at)
    : Promise.resolve(folderPages(options, at.url));

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
    put: (pack) =>
      pipe(
        claimed,
        taskEither.flatMap(() => store.put(pack)),
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
async function madeIn(log: EventStoreLog): Promise<LedgerFacts['ledger']> {
  const range = { stream: LEDGER_STREAM, fromRevision: 0, count: 1, fromPosition: 0n };
  for await (const [first] of log.readStream(range)) {
    if (first === undefined) continue;
    const event = valueOf(decodeControl(first));
    if (event.type === 'LedgerCreated') return checked(evolveLedger(initialLedger, event).ledger);
    throw new LedgerError(
      'NOT_A_LEDGER',
      `the first event of stream ${LEDGER_STREAM} is a ${first.type}, and a LedgerCreated was expected: this is no ledger's stream; use another ledger name`,
      { type: first.type },
    );
  }
  return null;
}

/** Makes the ledger: the first LedgerCreated in its stream counts, also where two hosts make it at once. */
async function create(options: OpenLedgerOptions, log: EventStoreLog): Promise<MadeLedger> {
  const url = pageStoreUrl(options);
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
    const ports = { log, clock: options.clock ?? Date.now, randomBytes, catchUp };
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

/** Bytes of the events, counted on from what was counted before. */
async function countBytes(log: EventStoreLog, files: StateFiles): Promise<number> {
  try {
    return await countOn(log, files);
  } catch (thrown) {
    if (!isLedgerError(thrown) || thrown.code !== 'LOG_REFUSED') throw thrown;
    // The log was put back from a copy: what was counted last is not in it any more.
    await files.drop(LOG_BYTES_FILE);
    return countOn(log, files);
  }
}

async function countOn(log: EventStoreLog, files: StateFiles): Promise<number> {
  const kept = await files.load(LOG_BYTES_FILE);
  const isWhole = kept?.length === 16;
  const view = isWhole ? new DataView(kept.buffer, kept.byteOffset) : null;
  let next = view?.getBigUint64(0, true) ?? 0n;
  let bytes = Number(view?.getBigUint64(8, true) ?? 0n);
  for await (const chunk of log.read({ from: next })) {
    ({ next } = chunk);
    for (const item of chunk.items)
      if (item._tag === 'event') bytes += item.event.data.length + EVENT_OVERHEAD_BYTES;
  }
  const counted = new DataView(new ArrayBuffer(16));
  counted.setBigUint64(0, next, true);
  counted.setBigUint64(8, BigInt(bytes), true);
  await files.save(LOG_BYTES_FILE, new Uint8Array(counted.buffer));
  return bytes;
}

/** What a ledger on a server is made of, once the event that made it is known. */
async function partsOf(
  options: OpenLedgerOptions,
  log: EventStoreLog,
  {
    made,
    name,
    hasPacks,
  }: {
    readonly made: MadeLedger;
    readonly name: string;
    readonly hasPacks: () => boolean;
  },
): Promise<LedgerParts> {
  const files = options.files ?? nodeFiles;
  const { id, pageStore } = made;
  const local: LocalState = await run(
    openLocalState({ files, root: stateFolder(options), name, id }),
  );
  const agreed = await agreedStore({
    ledger: name,
    inLog: pageStore,
    told: options.pageStore,
    at: { files, folder: local.folder },
    onNotice: options.onNotice ?? (() => undefined),
  });
  const store = await openPages(options, { url: agreed.url, cache: local.cache });
  // Another place than the log says has to be the ledger's already.
  if (agreed.isOther) await run(store.checkClaim(id));
  await agreed.remember();
  const stateFiles = openStateFiles({ files, folder: local.projections });
  return {
    id,
    log,
    store: claimedFirst(store, { id, hasPacks }),
    paths: { keys: options.keys ?? local.keys, projections: local.projections },
    locks: { files, folder: local.locks },
    isShared: true,
    findings: [],
    logBytes: () => countBytes(log, stateFiles),
  };
}

/** Opens a ledger on a server; makes it first where the mode says so. */
export async function openShared(options: OpenLedgerOptions): Promise<Ledger> {
  const { connectionString, ledger: name } = parseLedgerUrl(options.url);
  const { onNotice, patienceMs } = options;
  const log = await run(
    openEventStoreLog({
      url: connectionString,
      ledger: name,
      ...(onNotice === undefined ? {} : { onNotice: ({ text }) => onNotice(text) }),
      ...(patienceMs === undefined ? {} : { limits: { giveUpAfterMs: patienceMs } }),
    }),
  );
  try {
    const found = await madeIn(log);
    const { mode } = options;
    if (found !== null && mode === 'init') throw exists(name);
    if (found === null && mode !== 'init' && mode !== 'create') throw absent(name);
    const made = found ?? (await create(options, log));
    let ledger: Ledger | null = null;
    const hasPacks = (): boolean => (ledger?.state.contents.packs.length ?? 0) > 0;
    ledger = new Ledger(await partsOf(options, log, { made, name, hasPacks }), options);
    await ledger.load();
    return ledger;
  } catch (thrown) {
    await log.close();
    throw thrown;
  }
}
