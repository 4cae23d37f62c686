// Given these events, when this command comes, then exactly these events follow, or this refusal:
// `expect(given(...past).when(command)).toEqual(events(...))`. The expected value is the whole list.

import * as either from 'fp-ts/lib/Either.js';

/** A decider as the domain writes it: decide, evolve, and a state to begin with. */
export interface Decider<State, Command, Event, Refusal> {
  readonly initial: State;
  readonly decide: (state: State) => (command: Command) => either.Either<Refusal, readonly Event[]>;
  readonly evolve: (state: State, event: Event) => State;
}

/** What happened before; a command then has an outcome. */
export type Given<Command, Event, Refusal> = (...past: readonly Event[]) => {
  when(command: Command): either.Either<Refusal, readonly Event[]>;
};

export const specify =
  <State, Command, Event, Refusal>(
    decider: Decider<State, Command, Event, Refusal>,
  ): Given<Command, Event, Refusal> =>
  (...past) => ({
    when: (command) => decider.decide(past.reduce(decider.evolve, decider.initial))(command),
  });

/** The outcome of a command that brings these events about, in this order. */
export const events = <Event>(...list: readonly Event[]): either.Either<never, readonly Event[]> =>
  either.right(list);

/** The outcome of a command that is refused. */
export const refusal = <Refusal>(why: Refusal): either.Either<Refusal, never> => either.left(why);
