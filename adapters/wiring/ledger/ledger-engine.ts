// The page engine of a ledger, as it is used: started when it is first asked for, told what was added
// to the grammar of patterns meanwhile, and given the key of the sharing group that it works for.

import * as either from 'fp-ts/lib/Either.js';
import { LEDGER_STREAM } from '../../../domain/events/streams.ts';
import { decideLedger } from '../../../domain/ledger.ts';
import { initialPatterns, type PatternsState } from '../../../domain/patterns/index.ts';
import type { PageEngine } from '../../../domain/ports/page-engine.ts';
import { run } from '../../../domain/ports/run.ts';
import type { LedgerState } from '../../../projections/models/ledger-state.ts';
import { keyCheck, type GroupKeys } from '../../stores/keys/group-keys.ts';
import type { LedgerDecide } from './ledger-parts.ts';

/** What the engine takes of the ledger that it is of. */
export interface LedgerEngineOptions {
  readonly threads: number | undefined;
  readonly state: LedgerState;
  readonly keys: GroupKeys;
  readonly decide: LedgerDecide;
}

export class LedgerEngine {
  readonly #options: LedgerEngineOptions;
  #engine: PageEngine | null = null;
  /** The group whose key the engine has, and that key's check value. */
  #keyed: { readonly group: string; readonly check: string } | null = null;
  /** What the engine knows of the grammar of patterns. */
  #grammar: PatternsState = initialPatterns;

  constructor(options: LedgerEngineOptions) {
    this.#options = options;
  }

  /** The engine, loaded and started when it is first used: questions do without it. */
  async started(): Promise<PageEngine> {
    const { threads, state } = this.#options;
    const { createPageEngine } = await import('../../kernels/engine/page-engine.ts');
    this.#engine ??= createPageEngine(threads === undefined ? {} : { threads });
    const { patterns } = state.catalogue.facts;
    if (patterns !== this.#grammar) await this.#engine.useGrammar(patterns);
    this.#grammar = patterns;
    return this.#engine;
  }

  /** The check value of a group's key; null: no event made the group yet. */
  #check(group: string): string | null {
    return this.#options.state.catalogue.facts.groups.get(group) ?? null;
  }

  /** Makes sure that a group is in the ledger and the engine has its key. */
  async openGroup(group: string): Promise<void> {
    // What others added to the grammar since the engine was made is recognised from here on.
    await this.started();
    if (this.#check(group) === null) await this.#makeGroup(group);
    if (this.#hasKey(group)) return;
    const { key } = await run(this.#options.keys.load({ group, keyCheck: this.#check(group) }));
    await this.#useKey(group, key);
  }

  /** Another host may make the group at the same moment, with a key of its own: the first one counts. */
  async #makeGroup(group: string): Promise<void> {
    const { keys, state, decide } = this.#options;
    const made = await run(keys.create(group));
    const check = keyCheck(made.key);
    const command = { _tag: 'CreateGroup', group, keyCheck: check } as const;
    await decide(LEDGER_STREAM, () => decideLedger(state.catalogue.facts)(command));
    if (this.#check(group) !== check && made.isNew) await run(keys.discard(made));
  }

  /** Whether the engine has the key that the group was made with. */
  #hasKey(group: string): boolean {
    return this.#keyed?.group === group && this.#keyed.check === this.#check(group);
  }

  async #useKey(group: string, key: Uint8Array): Promise<void> {
    const { deriveEngineKeys } = await import('../../kernels/keys.ts');
    const engine = await this.started();
    await engine.useKeys(deriveEngineKeys(key));
    this.#keyed = { group, check: keyCheck(key) };
  }

  /** Sets a group's key in the engine where it is at hand. */
  async useKeyAtHand(group: string): Promise<boolean> {
    if (this.#hasKey(group)) return true;
    const key = await this.#options.keys.load({ group, keyCheck: this.#check(group) })();
    if (either.isLeft(key)) return false;
    await this.#useKey(group, key.right.key);
    return true;
  }

  async close(): Promise<void> {
    await this.#engine?.close();
  }
}
