// The hosts of a workgroup, each by a stream of its own: what it is, what it said that it holds, and that
// it left. What a host holds is told in generations: the last one that is whole counts, and stands for
// all of it.

import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import type { EventOf } from './events/control.ts';
import type { HostFacts } from './events/host-codecs.ts';
import { isName } from './events/streams.ts';
import type { Refusal } from './values/refusals.ts';

export type HostsEvent = EventOf<'HostJoined' | 'ContentsAdvertised' | 'HostLeft'>;

/** What a host has for guests. */
export type Hardware = Omit<HostFacts, 'host' | 'address' | 'distances'>;

/** A part of what a host says that it holds. */
export type AdvertisedPart = EventOf<'ContentsAdvertised'>['data'];

/** What a host said last that it holds. */
export type Advertised = Omit<AdvertisedPart, 'host' | 'part' | 'bytes'>;

/** A host, as its stream says. */
export interface HostState {
  /** Null: it has not joined, or has left. */
  readonly facts: HostFacts | null;
  /** The highest generation of which anything was told; 0: nothing was. */
  readonly generation: number;
  /** The last generation of which every part is there; null: there is none. */
  readonly advertised: Advertised | null;
  /** The generation that is being told, and how many parts of it are there, the first ones; null: none is. */
  readonly arriving: (Advertised & { readonly there: number }) | null;
}

export const initialHost: HostState = {
  facts: null,
  generation: 0,
  advertised: null,
  arriving: null,
};

/** A host comes into the workgroup, or says of itself what has changed. */
export interface JoinHost extends HostFacts {
  readonly _tag: 'JoinHost';
}

/** A host says what it holds: parts of a generation that is newer than the last, or the next ones of it. */
export interface AdvertiseContents {
  readonly _tag: 'AdvertiseContents';
  readonly host: string;
  readonly parts: readonly AdvertisedPart[];
}

/** A host goes: nothing is moved to it any more, and what it held counts for nothing. */
export interface LeaveWorkgroup {
  readonly _tag: 'LeaveWorkgroup';
  readonly host: string;
}

export type HostsCommand = JoinHost | AdvertiseContents | LeaveWorkgroup;

const isSame = (a: HostFacts | null, b: HostFacts): boolean =>
  JSON.stringify(a) === JSON.stringify(b);

/** Refuses a host that is not in the workgroup. */
const requireJoined = (state: HostState, host: string): Either<Refusal, HostFacts> =>
  state.facts === null ? either.left({ _tag: 'HostUnknown', host }) : either.right(state.facts);

/** What a command brings about of a host: nothing where it is so already, or why not. */
export const decideHost =
  (state: HostState) =>
  (command: HostsCommand): Either<Refusal, readonly HostsEvent[]> => {
    switch (command._tag) {
      case 'JoinHost': {
        const { _tag, ...data } = command;
        const bad = [data.host, ...data.distances.map(({ host }) => host)].find(
          (host) => !isName(host),
        );
        if (bad !== undefined) return either.left({ _tag: 'BadHostName', host: bad });
        return either.right(isSame(state.facts, data) ? [] : [{ type: 'HostJoined', data }]);
      }
      case 'AdvertiseContents':
        return either.map(() => advertised(state, command))(requireJoined(state, command.host));
      case 'LeaveWorkgroup': {
        const { host } = command;
        const left: readonly HostsEvent[] = [{ type: 'HostLeft', data: { host } }];
        return either.map(() => left)(requireJoined(state, host));
      }
      default:
        return command satisfies never;
    }
  };

/** Nothing of what is told again, or came too late: a later generation says more. */
function advertised(
  state: HostState,
  { parts }: AdvertiseContents,
): readonly EventOf<'ContentsAdvertised'>[] {
  const [first] = parts;
  if (first === undefined || first.digest === state.advertised?.digest) return [];
  const { arriving } = state;
  const isNext = arriving?.generation === first.generation && arriving.there + 1 === first.part;
  if (!isNext && first.generation <= state.generation) return [];
  return parts.map((data) => ({ type: 'ContentsAdvertised', data }));
}

/** What is told of a generation so far, with a part more; null: it is not the next one of it. */
function withPart(
  arriving: HostState['arriving'],
  { host: _host, part, bytes: _bytes, ...told }: AdvertisedPart,
): HostState['arriving'] {
  if (part === 1) return { ...told, there: 1 };
  const isNext =
    arriving !== null &&
    arriving.generation === told.generation &&
    arriving.digest === told.digest &&
    arriving.parts === told.parts &&
    arriving.there + 1 === part;
  return isNext ? { ...arriving, there: part } : null;
}

/** A host after an event. */
export function evolveHost(state: HostState, event: HostsEvent): HostState {
  switch (event.type) {
    case 'HostJoined':
      return { ...state, facts: event.data };
    case 'ContentsAdvertised': {
      const arriving = withPart(state.arriving, event.data);
      const generation = Math.max(state.generation, event.data.generation);
      if (arriving === null || arriving.there < arriving.parts)
        return { ...state, generation, arriving };
      const { there: _there, ...whole } = arriving;
      return { ...state, generation, advertised: whole, arriving: null };
    }
    case 'HostLeft':
      // Its generations go on where it joins again.
      return { ...initialHost, generation: state.generation };
    default:
      return event satisfies never;
  }
}
