// What a bench is, and what it is given.

import type { Row } from './measure.ts';

export interface BenchContext {
  /** Small sizes and few samples: does the bench work, not what does it measure. */
  readonly isQuick: boolean;
  /** A folder for images and ledgers, shared by the benches of a run. */
  readonly folder: string;
  readonly tell: (sentence: string) => void;
}

export interface Bench {
  readonly name: string;
  readonly title: string;
  /** Runs only when named or with --peers: it needs other programs. */
  readonly isPeer?: boolean;
  /** Runs only when named: it takes long, and shows that something holds, not how quick it is. */
  readonly isLong?: boolean;
  run(context: BenchContext): Promise<readonly Row[]>;
}

export const MIB = 2 ** 20;
export const GIB = 2 ** 30;
