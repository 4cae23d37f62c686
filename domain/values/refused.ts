// A refusal as something that can be thrown through an asynchronous use case and shown at the edge.

import { refusalText } from './refusal-texts.ts';
import type { Refusal } from './refusals.ts';

/** The domain said no. */
export class Refused extends Error {
  override readonly name = 'Refused';
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(refusalText(refusal));
    this.refusal = refusal;
  }
}

export const refuse = (refusal: Refusal): Refused => new Refused(refusal);

/** Whether a thrown thing is a refusal, also across realms. */
export const isRefused = (thrown: unknown): thrown is Refused =>
  typeof thrown === 'object' && thrown !== null && 'name' in thrown && thrown.name === 'Refused';
