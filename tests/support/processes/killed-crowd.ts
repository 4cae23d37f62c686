// Recorders, a compactor, a forgetter and readers at work on one ledger, each killed at random moments
// and started again, half of them in namespaces of their own where the system lets us: what was
// committed is there and right, and whoever is not killed does its work.

import { spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compact, openLedger, recordImages, verify, type Ledger } from '../../../index.ts';
import { jsonRows, LedgerCommands, withoutSummary, type Outcome } from '../command-line.ts';
import { changeImage, makeImage, seededRandom, type Random } from '../images.ts';
import { digestOf, restoredDigest } from '../ledgers/small-ledger.ts';
import { thrownText } from '../outcomes.ts';

const PAGES = 384;
const IMAGES = 5;
const RECORDED_VMS = ['left', 'right'] as const;
/** A ledger is left for a new one after so many kills. */
const KILLS_A_LEDGER = 50;
/** Captures that forgetting leaves of a VM. */
const KEPT = 3;
/** How long a command is thought to take before one has ended. */
const FIRST_GUESS_MS = 400;

const SEPARATE = ['unshare', '--net', '--mount'];
/** What puts a command into namespaces of its own; null: that is not permitted here. */
export const separately: readonly string[] | null =
  [SEPARATE, [...SEPARATE, '--user', '--map-root-user']].find(
    ([program, ...words]) => spawnSync(program!, [...words, 'true']).status === 0,
  ) ?? null;

type Kind = 'record' | 'compact' | 'forget' | 'restore' | 'verify';

export interface CrowdRun {
  readonly kills: number;
  /** Of them, of processes in namespaces of their own. */
  readonly separate: number;
  readonly killed: Readonly<Record<Kind, number>>;
  /** Commands that came to their end. */
  readonly ended: Readonly<Record<Kind, number>>;
  readonly ledgers: number;
  /** Captures that were committed, and points that were restored to compare them. */
  readonly captures: number;
  readonly restored: number;
  readonly faults: readonly string[];
}

export interface CrowdRequest {
  readonly kills: number;
  readonly seed: number;
  /** For images and ledgers. */
  readonly folder: string;
  readonly tell: (sentence: string) => void;
}

const noKinds = (): Record<Kind, number> => ({
  record: 0,
  compact: 0,
  forget: 0,
  restore: 0,
  verify: 0,
});

const sleep = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });

/** Images of the VMs: capture N is of the Nth one, round and round, whoever recorded it. */
class Images {
  readonly #paths = new Map<string, string[]>();
  readonly #digests = new Map<string, string[]>();

  constructor({ folder, seed }: CrowdRequest) {
    const base = makeImage({ seed, pages: PAGES });
    for (const [n, vm] of RECORDED_VMS.entries()) {
      const series = [changeImage(base, { seed: seed + 100 * n + 1, changedPages: 20 })];
      while (series.length < IMAGES)
        series.push(
          changeImage(series.at(-1)!, {
            seed: seed + 100 * n + 1 + series.length,
            changedPages: 60,
          }),
        );
      this.#digests.set(vm, series.map(digestOf));
      const paths = series.map((_, i) => join(folder, `${vm}-${i + 1}.raw`));
      for (const [i, path] of paths.entries()) writeFileSync(path, series[i]!);
      this.#paths.set(vm, paths);
    }
  }

  files(vm: string, capture: number, count: number): string[] {
    const paths = this.#paths.get(vm)!;
    return Array.from({ length: count }, (_, i) => paths[(capture - 1 + i) % IMAGES]!);
  }

  digest(vm: string, capture: number): string {
    return this.#digests.get(vm)![(capture - 1) % IMAGES]!;
  }
}

/** Captures of a VM, and whether each is forgotten. */
const capturesOf = (ledger: Ledger, vm: string): ReadonlyMap<number, boolean> => {
  const entry = ledger.state.catalogue.vms.get(vm);
  return new Map(
    (entry?.captures ?? []).map(({ capture }) => [capture, entry!.isForgotten(capture)]),
  );
};

/** One ledger and who is at work on it. */
class Crowd {
  readonly #images: Images;
  readonly #commands: LedgerCommands;
  readonly #random: Random;
  readonly #url: string;
  readonly #scratch: string;
  /** Captures that recorders have said were committed. */
  readonly #acknowledged = new Map<string, Set<number>>(
    RECORDED_VMS.map((vm) => [vm, new Set<number>()]),
  );
  readonly #typicalMs = new Map<Kind, number>();
  readonly killed = noKinds();
  readonly ended = noKinds();
  readonly faults: string[] = [];
  separate = 0;
  captures = 0;
  restored = 0;
  #killsLeft: number;

  constructor(of: {
    readonly url: string;
    readonly images: Images;
    readonly random: Random;
    readonly kills: number;
  }) {
    this.#url = of.url;
    this.#images = of.images;
    this.#commands = new LedgerCommands(of.url);
    this.#random = of.random;
    this.#killsLeft = of.kills;
    this.#scratch = `${of.url}.restored`;
  }

  async #look<A>(work: (ledger: Ledger) => A | Promise<A>, mode: 'read' | 'write'): Promise<A> {
    const ledger = await openLedger({ url: this.#url, mode, threads: 0 });
    try {
      return await work(ledger);
    } finally {
      await ledger.close();
    }
  }

  #capturesOf(vm: string): Promise<ReadonlyMap<number, boolean>> {
    return this.#look((ledger) => capturesOf(ledger, vm), 'read');
  }

  /** Starts a command and kills it at some moment, or a little after it has ended. */
  async #runAndKill(kind: Kind, words: readonly string[]): Promise<Outcome> {
    const through = this.#random(2) === 0 ? separately : null;
    const isSeparate = through !== null;
    const startMs = performance.now();
    const command = this.#commands.start(words, through === null ? {} : { through });
    const typicalMs = this.#typicalMs.get(kind) ?? FIRST_GUESS_MS;
    await Promise.race([sleep(this.#random(Math.ceil(1.2 * typicalMs))), command.ended]);
    if (this.#killsLeft > 0) command.signal('SIGKILL');
    const outcome = await command.ended;
    if (outcome.signal === 'SIGKILL') {
      this.#killsLeft -= 1;
      this.killed[kind] += 1;
      if (isSeparate) this.separate += 1;
      return outcome;
    }
    this.ended[kind] += 1;
    this.#typicalMs.set(kind, performance.now() - startMs);
    return outcome;
  }

  /** Notes what a command that was not killed may not say. */
  #judge(what: string, { exitCode, signal, stderr }: Outcome, isRight: boolean): void {
    if (signal === 'SIGKILL' || isRight) return;
    this.faults.push(`${what}: exit ${exitCode}: ${stderr}`);
  }

  async #record(vm: string): Promise<void> {
    const captures = (await this.#capturesOf(vm)).size;
    const files = this.#images.files(vm, captures + 1, 2);
    const outcome = await this.#runAndKill('record', [
      '--json',
      'record',
      'image',
      '--vm',
      vm,
      ...files,
    ]);
    const lines = outcome.stdout.toString('utf8');
    for (const row of withoutSummary(jsonRows(lines.slice(0, lines.lastIndexOf('\n') + 1))))
      this.#acknowledged.get(vm)!.add(Number(row['capture']));
    this.#judge(`record of ${vm}`, outcome, outcome.exitCode === 0);
  }

  async #compact(): Promise<void> {
    const outcome = await this.#runAndKill('compact', ['compact', '--grace', '0s']);
    this.#judge('compact', outcome, outcome.exitCode === 0);
  }

  async #forget(): Promise<void> {
    const outcome = await this.#runAndKill('forget', ['forget', '--keep-last', `${KEPT}`]);
    this.#judge('forget', outcome, outcome.exitCode === 0);
  }

  async #read(vm: string): Promise<void> {
    if (this.#random(3) === 0) {
      const outcome = await this.#runAndKill('verify', ['verify']);
      return this.#judge(`verify: ${outcome.stdout.toString()}`, outcome, outcome.exitCode === 0);
    }
    const captures = [...(await this.#capturesOf(vm)).keys()];
    const capture = captures[this.#random(captures.length)]!;
    const words = ['restore', '--vm', vm, '--at', `@${capture}`, '--to', '-'];
    const outcome = await this.#runAndKill('restore', words);
    const { exitCode, stdout, stderr } = outcome;
    const isForgotten = exitCode === 5 && stderr.includes('POINT_FORGOTTEN');
    const isRight = exitCode === 0 && digestOf(stdout) === this.#images.digest(vm, capture);
    this.#judge(`restore of ${vm}@${capture}`, outcome, isForgotten || isRight);
  }

  /** Works on until nobody is to be killed any more. */
  async #workOn(work: () => Promise<void>): Promise<void> {
    while (this.#killsLeft > 0 && this.faults.length === 0)
      await work().catch((thrown: unknown) => {
        this.faults.push(thrownText(thrown));
      });
  }

  /** All at work beside each other. */
  async work(): Promise<void> {
    await this.#look(async (ledger) => {
      for (const vm of RECORDED_VMS)
        await recordImages(
          ledger,
          { vm, group: null },
          { files: this.#images.files(vm, 1, 1), timeMs: null },
          () => undefined,
        );
    }, 'write');
    await Promise.all([
      ...RECORDED_VMS.map((vm) => this.#workOn(() => this.#record(vm))),
      this.#workOn(() => this.#compact()),
      this.#workOn(() => this.#forget()),
      this.#workOn(() => this.#read(RECORDED_VMS[this.#random(2)]!)),
    ]);
  }

  /** What is wrong with the ledger that they left, before and after it was compacted. */
  async check(): Promise<void> {
    await this.#look(async (ledger) => {
      await this.#checkPoints(ledger, 'left');
      await compact(ledger, { graceMs: 0, isDryRun: false });
      await this.#checkPoints(ledger, 'compacted');
      const { findings } = await verify(ledger, () => undefined);
      for (const { kind, where, reason } of findings)
        this.faults.push(`verify: ${kind} ${where} ${reason}`);
    }, 'write');
  }

  async #checkPoints(ledger: Ledger, when: string): Promise<void> {
    for (const vm of RECORDED_VMS) {
      const captures = capturesOf(ledger, vm);
      this.captures += captures.size;
      for (const capture of this.#acknowledged.get(vm)!)
        if (!captures.has(capture)) this.faults.push(`${when}: ${vm}@${capture} is lost`);
      for (const [capture, isForgotten] of captures) {
        if (isForgotten) {
          if (capture > captures.size - KEPT)
            this.faults.push(`${when}: ${vm}@${capture} of ${captures.size} is forgotten`);
          continue;
        }
        const at = `@${capture}`;
        const digest = await restoredDigest(ledger, { vm, at, scratch: this.#scratch });
        this.restored += 1;
        if (digest !== this.#images.digest(vm, capture))
          this.faults.push(`${when}: ${vm}@${capture} is other memory`);
      }
    }
  }
}

/** Kills so many, a ledger after the other. */
export async function runCrowd(request: CrowdRequest): Promise<CrowdRun> {
  const { folder, seed, tell } = request;
  const random = seededRandom(seed);
  const images = new Images(request);
  const total = { killed: noKinds(), ended: noKinds() };
  const counts = { kills: 0, separate: 0, ledgers: 0, captures: 0, restored: 0 };
  const faults: string[] = [];
  while (counts.kills < request.kills && faults.length === 0) {
    const url = join(folder, `ledger-${counts.ledgers}`);
    await (await openLedger({ url, mode: 'init', threads: 0 })).close();
    const kills = Math.min(KILLS_A_LEDGER, request.kills - counts.kills);
    const crowd = new Crowd({ url, images, random, kills });
    await crowd.work();
    await crowd.check().catch((thrown: unknown) => {
      faults.push(thrownText(thrown));
    });
    for (const kind of Object.keys(total.killed) as Kind[]) {
      total.killed[kind] += crowd.killed[kind];
      total.ended[kind] += crowd.ended[kind];
      counts.kills += crowd.killed[kind];
    }
    counts.ledgers += 1;
    counts.separate += crowd.separate;
    counts.captures += crowd.captures;
    counts.restored += crowd.restored;
    faults.push(...crowd.faults.map((fault) => `ledger ${counts.ledgers}, seed ${seed}: ${fault}`));
    tell(`${counts.kills} killed, ${counts.ledgers} ledgers, ${faults.length} faults`);
    if (faults.length === 0) rmSync(url, { recursive: true });
  }
  return { ...counts, ...total, faults };
}
