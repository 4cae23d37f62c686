// What a host holds, told again and again: in its log, and over the link to hosts that have another one,
// each of which is told what has changed since it heard last.

import {
  advertise,
  advertisementOf,
  DEFAULT_RULE,
  pointsHeldNow,
  toldOf,
} from '../../wiring/hosts/contents.ts';
import { contentsAtHand } from '../../wiring/hosts/at-hand.ts';
import { EarlierTold } from '../../wiring/hosts/told-changes.ts';
import type { Ledger } from '../../wiring/ledger/ledger.ts';
import { hearContents, tellContents } from './contents.ts';
import type { Link } from './frames.ts';
import { greet } from './source.ts';

export interface AdvertiserOptions {
  readonly ledger: Ledger;
  readonly host: string;
  /** VMs whose memory this host has at hand; null: all. */
  readonly vms: readonly string[] | null;
  /** Shorter regions are left out. */
  readonly leastPages: number;
}

/** What was told. */
export interface ToldNow {
  readonly points: number;
  readonly regions: number;
  /** Regions that are not told, as there were too many. */
  readonly leftOut: number;
  /** Whether anything has changed since it was told last. */
  readonly isNew: boolean;
}

/** A peer that was told. */
export interface ToldPeer {
  readonly peer: string;
  /** Bytes on the link, both ways. */
  readonly bytes: number;
}

/** Tells what a host holds. */
export class Advertiser {
  readonly #options: AdvertiserOptions;
  /** What was told before, for peers that have it. */
  readonly earlier = new EarlierTold();

  constructor(options: AdvertiserOptions) {
    this.#options = options;
  }

  /** Says in the log what this host holds now, where that is something else than before. */
  async tell(): Promise<ToldNow> {
    const { ledger, host, vms, leastPages } = this.#options;
    const points = await pointsHeldNow(ledger, vms);
    const before = await toldOf(ledger, host);
    if (before !== null) this.earlier.keep(before.bytes);
    const isHeld = await contentsAtHand(ledger);
    const told = await advertisementOf(ledger, points, {
      rule: { ...DEFAULT_RULE, leastPages },
      isHeld,
    });
    const isNew = await advertise(ledger, host, told);
    const { regions, leftOut } = told;
    return { points: points.length, regions: regions.count, leftOut, isNew };
  }

  /** Reaches a peer, tells it, and hears what that holds. */
  async exchange(reach: () => Promise<Link>): Promise<ToldPeer> {
    const { ledger, host } = this.#options;
    const link = await reach();
    try {
      const { host: peer } = await greet(link, { from: host, to: null, ledger: ledger.id });
      await tellContents(link, ledger, { host, earlier: this.earlier });
      await hearContents(link, ledger, { peer, facts: null });
      return { peer, bytes: link.bytes };
    } finally {
      link.close();
    }
  }
}
