// The captures of a VM as a text, a line each, which an editor shows where it would show code: the line
// that it stands at is the capture that is looked at, and a step goes to the next one.

import { RecentMap } from '../../../domain/values/recent-map.ts';
import type { VmEntry } from '../../../projections/models/vm-entry.ts';
import type { DebuggedVm } from '../../wiring/time-travel/debugged-vm.ts';
import { capturesText } from '../gdb/monitor.ts';
import { Unanswerable } from './requests.ts';

/** Lines of one text: a long history has several. */
const LINES_MAX = 4096;
/** Texts that a client may still ask for. */
const KEPT_MAX = 64;

/** Captures in order, and from which of them on a text has them. */
interface Part {
  readonly moments: readonly number[];
  readonly from: number;
}

/** Where a moment is in a text. */
export interface SourceLine {
  /** By which the text is asked for. */
  readonly reference: number;
  readonly name: string;
  /** From 1. */
  readonly line: number;
}

export class HistorySource {
  readonly #parts = new RecentMap<number, Part>({ max: KEPT_MAX });
  #last = 0;

  /** Where a VM stands now. What is told of stays as it is when more is recorded. */
  lineOf({ past: { moments }, moment, vm }: DebuggedVm): SourceLine {
    const from = moment - (moment % LINES_MAX);
    const last = this.#parts.get(this.#last);
    if (last?.moments !== moments || last.from !== from) {
      this.#last += 1;
      this.#parts.set(this.#last, { moments, from });
    }
    const end = moments[Math.min(from + LINES_MAX, moments.length) - 1]!;
    const name = `${vm}@${moments[from]!} to @${end}`;
    return { reference: this.#last, name, line: moment - from + 1 };
  }

  /** A text that was told of. Unanswerable where it is too long ago, or never was. */
  text(reference: number, entry: VmEntry): string {
    const part = this.#parts.get(reference);
    if (part === undefined) throw new Unanswerable('there is no such source');
    const { moments, from } = part;
    return capturesText(entry, moments.slice(from, from + LINES_MAX)).join('\n');
  }
}
