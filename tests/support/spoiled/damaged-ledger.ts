// Judges a ledger that was damaged: every point is right or refused with a clear error, and `verify`
// names exactly the points that fail.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { openLedger, verify, type Ledger } from '../../../index.ts';
import { isLedgerError } from '../../../domain/values/ledger-error.ts';
import type { Finding } from '../../../domain/values/finding.ts';
import { isRefused } from '../../../domain/values/refused.ts';
import { restoredDigest, type Expected } from '../ledgers/small-ledger.ts';
import { thrownText } from '../outcomes.ts';

/** Whether a finding's `affects` names a point: `vm@N`, `vm@N..M`, `vm@N..`. */
function isAffected(affects: readonly string[], point: string): boolean {
  const [vm, number] = point.split('@') as [string, string];
  return affects.some((text) => {
    const range = /^(?<vm>.+)@(?<first>\d+)(?<more>\.\.(?<last>\d*))?$/u.exec(text)?.groups;
    if (range === undefined) throw new TypeError(`${text} is no range of points`);
    const first = Number(range['first']);
    const last = range['more'] === undefined ? first : Number(range['last'] || Infinity);
    return range['vm'] === vm && first <= Number(number) && Number(number) <= last;
  });
}

/** What came of one damage. */
export interface Judgement {
  /** Points that cannot be restored, with the code each failed with. */
  readonly failed: ReadonlyMap<string, string>;
  readonly findings: readonly Finding[];
  /** Why the ledger could not be opened at all; null: it could. */
  readonly refusal: string | null;
  /** What must not be: wrong bytes, unclear failures, points that verify does not name. */
  readonly faults: readonly string[];
}

/** The code of a clear failure, or null: an unclear one. */
export function clearCode(thrown: unknown): string | null {
  if (isLedgerError(thrown)) return thrown.message.length > 20 ? thrown.code : null;
  return isRefused(thrown) ? thrown.refusal._tag : null;
}

const unclear = (doing: string, thrown: unknown): string =>
  `${doing}: unclear failure: ${thrownText(thrown)}`;

async function tryPoints(
  ledger: Ledger,
  request: { readonly expected: Expected; readonly scratch: string },
  faults: string[],
): Promise<Map<string, string>> {
  const failed = new Map<string, string>();
  for (const [point, digest] of request.expected) {
    const [vm, number] = point.split('@') as [string, string];
    try {
      const found = await restoredDigest(ledger, {
        vm,
        at: `@${number}`,
        scratch: request.scratch,
      });
      if (found !== digest) faults.push(`${point} restored WRONG BYTES`);
    } catch (thrown) {
      const code = clearCode(thrown);
      if (code === null) faults.push(unclear(`restore ${point}`, thrown));
      failed.set(point, code ?? 'unclear');
    }
  }
  return failed;
}

/** `latest` is the last capture that was recorded, or refused: never an earlier one. */
function checkLatest(ledger: Ledger, expected: Expected, faults: string[]): void {
  const last = new Map([...expected.keys()].map((point) => point.split('@') as [string, string]));
  for (const [vm, capture] of last) {
    try {
      const row = ledger.resolve(ledger.vm(vm), 'latest');
      if (row.capture !== Number(capture)) faults.push(`${vm} latest is not its last capture`);
    } catch (thrown) {
      if (clearCode(thrown) === null) faults.push(unclear(`resolve latest of ${vm}`, thrown));
    }
  }
}

export interface JudgeRequest {
  readonly url: string;
  readonly expected: Expected;
  /** A file that may be made and removed. */
  readonly scratch: string;
  /**
   * `gone`: without projections/. `kept`: with them. Either way the points that fail are exactly those
   * that verify names. `helps`: what is derived may still give back a point that the log has lost.
   */
  readonly derived: 'gone' | 'kept' | 'helps';
}

/** Opens the ledger, restores every point, verifies, and compares the two. */
export function judge(request: JudgeRequest): Promise<Judgement> {
  const { url, derived } = request;
  if (derived === 'gone') rmSync(join(url, 'projections'), { recursive: true, force: true });
  return judgeOpened(request, () => openLedger({ url, mode: 'read', threads: 0 }));
}

/** Whether a point was laid out: copies of its checkpoint restore it where what they are of is lost. */
function isLaidOut(ledger: Ledger, point: string): boolean {
  const [vm = '', capture] = point.split('@');
  const entry = ledger.state.catalogue.vms.get(vm);
  const named = entry?.checkpoints.filter((each) => each.capture === Number(capture)) ?? [];
  return named.some(({ layout }) => layout?.map != null);
}

/** The same of a ledger that lies anywhere; `scratch` is on its disk. */
export async function judgeOpened(
  request: Omit<JudgeRequest, 'url'>,
  open: () => Promise<Ledger>,
): Promise<Judgement> {
  const faults: string[] = [];
  const everything = new Map([...request.expected.keys()].map((point) => [point, 'not opened']));
  let ledger: Ledger;
  try {
    ledger = await open();
  } catch (thrown) {
    const refusal = clearCode(thrown);
    if (refusal === null) faults.push(unclear('open', thrown));
    return { failed: everything, findings: [], refusal: refusal ?? 'unclear', faults };
  }
  try {
    const failed = await tryPoints(ledger, request, faults);
    checkLatest(ledger, request.expected, faults);
    const { findings } = await verify(ledger, () => undefined);
    const affects = findings.flatMap((finding) => finding.affects);
    for (const point of request.expected.keys()) {
      const isNamed = isAffected(affects, point);
      if (failed.has(point) && !isNamed)
        faults.push(`${point} fails (${failed.get(point)}) but verify does not name it`);
      const isHelped = request.derived === 'helps' || isLaidOut(ledger, point);
      if (!failed.has(point) && isNamed && !isHelped)
        faults.push(`${point} restores but verify names it`);
    }
    return { failed, findings, refusal: null, faults };
  } catch (thrown) {
    faults.push(unclear('verify', thrown));
    return { failed: everything, findings: [], refusal: null, faults };
  } finally {
    try {
      await ledger.close();
    } catch (thrown) {
      faults.push(unclear('close', thrown));
    }
  }
}
