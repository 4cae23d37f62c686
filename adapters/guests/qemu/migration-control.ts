// QEMU's migration seen through QMP: what it does now, what its capabilities and parameters are, and
// how they become again what they were.

import * as t from 'io-ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { sentenceOf } from './failure.ts';
import type { Qmp } from './qmp.ts';

const Status = t.type({ status: t.string });
const Kvm = t.type({ enabled: t.boolean });
const Progress = t.partial({
  status: t.string,
  'error-desc': t.string,
  ram: t.partial({ 'dirty-sync-count': t.number }),
});
const Capabilities = t.array(t.type({ capability: t.string, state: t.boolean }));
const Parameters = t.partial({ 'max-bandwidth': t.number, 'downtime-limit': t.number });

type Capability = t.TypeOf<typeof Capabilities>[number];

export interface MigrationProgress {
  /** QEMU's word: `none`, `setup`, `active`, `completed`, ... */
  readonly status: string;
  readonly error: string | null;
  /** Passes over memory so far. */
  readonly passes: number;
}

/** Migration capabilities and parameters as they were before a capture. */
export interface MigrationSettings {
  readonly capabilities: readonly Capability[];
  readonly parameters: t.TypeOf<typeof Parameters>;
}

/** What must be known of a capture to bring it to an end for the guest's sake. */
export interface Unfinished {
  /** Whether the guest ran before. */
  readonly wasRunning: boolean;
  /** A background snapshot must be read to its end; a migration may be cancelled first. */
  readonly isCancellable: boolean;
  readonly settings: MigrationSettings;
}

/** What a guest that a capture stopped, and failed to let go on, may be in. */
const STOPPED_BY_CAPTURE = new Set(['paused', 'postmigrate', 'finish-migrate']);
/** A migration in one of these is over, or was never begun. */
const IDLE = new Set(['none', 'completed', 'failed', 'cancelled']);
/** Bytes a second: more than memory moves, so that never the limit is what a guest waits for. */
const BANDWIDTH_BYTES_MAX = 4 * 2 ** 30;
/** A limit of 0 makes QEMU send what changed while the guest stands still: at least 1. */
const DOWNTIME_LIMIT_MS = 20;
/** With this the migration completes at the end of the pass under way, whatever is left. */
const DOWNTIME_LIMIT_MS_MAX = 2_000_000;
const SETTLE_TIMEOUT_MS = 10_000;
const POLL_MS = 2;
/** Where nobody reads what QEMU says of a migration: not too often, the guest stands still. */
const ABANDONED_POLL_MS = 20;
const RETRY_MS = 50;

export const isIdle = (progress: MigrationProgress): boolean => IDLE.has(progress.status);

export const delay = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });

/** QEMU's word for what the guest does: `running`, `paused`, `postmigrate`, ... */
export async function runStateNow(qmp: Qmp): Promise<string> {
  return (await qmp.ask('query-status', Status)).status;
}

/**
 * Whether QEMU finds what a guest writes while it is migrated: KVM does. Without it (TCG), QEMU up to
 * 8.2 leaves pages writable, unseen, that it takes for unwritten, and later ones do so for a moment at
 * the start: a page sent before may be missing its last writes.
 */
export async function tracksWrites(qmp: Qmp): Promise<boolean> {
  return (await qmp.ask('query-kvm', Kvm)).enabled;
}

export async function progressOf(qmp: Qmp): Promise<MigrationProgress> {
  const answer = await qmp.ask('query-migrate', Progress);
  return {
    status: answer.status ?? 'none',
    error: answer['error-desc'] ?? null,
    passes: answer.ram?.['dirty-sync-count'] ?? 0,
  };
}

export async function settingsOf(qmp: Qmp): Promise<MigrationSettings> {
  return {
    capabilities: await qmp.ask('query-migrate-capabilities', Capabilities),
    parameters: await qmp.ask('query-migrate-parameters', Parameters),
  };
}

/** Every capability off but the named ones: most of the others change what the stream holds. */
export async function setOnly(
  qmp: Qmp,
  settings: MigrationSettings,
  wanted: readonly string[],
): Promise<void> {
  const capabilities = settings.capabilities
    .map(({ capability, state: before }) => ({
      capability,
      before,
      state: wanted.includes(capability),
    }))
    .filter(({ before, state }) => before || state)
    .map(({ capability, state }) => ({ capability, state }));
  await qmp.execute('migrate-set-capabilities', { capabilities });
}

export async function setQuick(qmp: Qmp): Promise<void> {
  await qmp.execute('migrate-set-parameters', {
    'max-bandwidth': BANDWIDTH_BYTES_MAX,
    'downtime-limit': DOWNTIME_LIMIT_MS,
  });
}

/** Makes a migration that does not converge end with the pass under way. */
export async function forceCompletion(qmp: Qmp): Promise<void> {
  await qmp.execute('migrate-set-parameters', { 'downtime-limit': DOWNTIME_LIMIT_MS_MAX });
}

/** Everything `setOnly` and `setQuick` may have changed, as it was. */
export async function restoreSettings(qmp: Qmp, settings: MigrationSettings): Promise<void> {
  const now = await qmp.ask('query-migrate-capabilities', Capabilities);
  const changed = settings.capabilities.filter(({ capability, state }) =>
    now.some((other) => other.capability === capability && other.state !== state),
  );
  if (changed.length > 0) {
    await qmp.execute('migrate-set-capabilities', { capabilities: changed });
  }
  if (Object.keys(settings.parameters).length > 0) {
    await qmp.execute('migrate-set-parameters', { ...settings.parameters });
  }
}

/** Waits until no migration is under way; what it ended as. */
export async function untilIdle(
  qmp: Qmp,
  { timeoutMs = SETTLE_TIMEOUT_MS, pollMs = POLL_MS } = {},
): Promise<MigrationProgress> {
  const limit = performance.now() + timeoutMs;
  for (;;) {
    const progress = await progressOf(qmp);
    if (isIdle(progress)) return progress;
    if (performance.now() > limit) {
      throw new LedgerError(
        'QMP_PROTOCOL',
        `${qmp.path}: the migration is still ${progress.status} after ${timeoutMs} ms; ` +
          'look at query-migrate, and end it with migrate_cancel',
        { path: qmp.path, status: progress.status },
      );
    }
    await delay(pollMs);
  }
}

/**
 * Lets a guest run again. Just after a migration QEMU may refuse because the migration "is not
 * finalized yet": that, and only that, is tried again.
 */
export async function continueGuest(qmp: Qmp): Promise<void> {
  const limit = performance.now() + SETTLE_TIMEOUT_MS;
  for (;;) {
    try {
      await qmp.execute('cont');
      return;
    } catch (error) {
      const isEarly = sentenceOf(error).includes('not finalized');
      if (!isEarly || performance.now() > limit) throw error;
    }
    await delay(1);
  }
}

/** Lets a guest run that a capture stopped; any other is left as it is. */
export async function letRun(qmp: Qmp): Promise<void> {
  if (STOPPED_BY_CAPTURE.has(await runStateNow(qmp))) await continueGuest(qmp);
}

/**
 * Brings a migration that nobody records any more to its end, lets a guest run that ran, and puts
 * QEMU's settings back; what fails is tried again, for as long as QEMU is there and `timeoutMs` lasts.
 * Meanwhile somebody must read what QEMU sends.
 */
export async function settle(
  qmp: Qmp,
  { wasRunning, isCancellable, settings }: Unfinished,
  timeoutMs = Infinity,
): Promise<void> {
  const limit = performance.now() + timeoutMs;
  for (;;) {
    try {
      if (isCancellable && !isIdle(await progressOf(qmp))) await qmp.execute('migrate_cancel');
      await untilIdle(qmp, { timeoutMs: limit - performance.now(), pollMs: ABANDONED_POLL_MS });
      if (wasRunning) await letRun(qmp);
      await restoreSettings(qmp, settings);
      return;
    } catch (error) {
      if (qmp.lost !== null || performance.now() > limit) throw error;
    }
    await delay(RETRY_MS);
  }
}
