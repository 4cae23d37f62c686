// Given these events, when this command comes, then exactly these events follow, or this refusal.
// The expected value is the whole list.

import * as either from 'fp-ts/lib/Either.js';
import { expect } from '@jest/globals';

/** A decider as the domain writes it: decide, evolve, and a state to begin with. */
export interface Decider<State, Command, Event, Refusal> {
  readonly initial: State;
  readonly decide: (state: State) => (command: Command) => either.Either<Refusal, readonly Event[]>;
  readonly evolve: (state: State, event: Event) => State;
}

export interface Given<Command, Event, Refusal> {
  when(command: Command): {
    then(...events: readonly Event[]): void;
    thenNothing(): void;
    thenRefused(refusal: Refusal): void;
  };
}

/** A specification of a decider: `given(...past).when(command).then(...events)`. */
export const specify =
  <State, Command, Event, Refusal>(decider: Decider<State, Command, Event, Refusal>) =>
  (...past: readonly Event[]): Given<Command, Event, Refusal> => ({
    when(command) {
      let state = decider.initial;
      for (const event of past) state = decider.evolve(state, event);
      const outcome = decider.decide(state)(command);
      return {
        then: (...events) => expect(outcome).toEqual(either.right(events)),
        thenNothing: () => expect(outcome).toEqual(either.right([])),
        thenRefused: (refusal) => expect(outcome).toEqual(either.left(refusal)),
      };
    },
  });
