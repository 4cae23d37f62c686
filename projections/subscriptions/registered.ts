// Projections by name: those that come with the ledger, and those that a user of the library adds.

import { assert } from '../../domain/values/assert.ts';
import { refuse } from '../../domain/values/refused.ts';
import type { Projection } from '../projection.ts';
import { pageWrites } from './builtin/page-writes.ts';
import { sharingCounts } from './builtin/sharing-counts.ts';
import { vmCaptures } from './builtin/vm-captures.ts';

/** Of whatever state: who asks for one by its name only passes the state on. */
export type AnyProjection = Projection<unknown>;

const registered = new Map<string, AnyProjection>();

/** Makes a projection known by its name. Two of one name would read each other's state. */
export function registerProjection<S>(projection: Projection<S>): void {
  const { name } = projection;
  assert(!registered.has(name), `one projection is registered as ${name}`);
  registered.set(name, projection);
}

registerProjection(sharingCounts);
registerProjection(vmCaptures);
registerProjection(pageWrites);

/** Names that are registered, in the order of their registration. */
export const projectionNames = (): readonly string[] => [...registered.keys()];

/** The projection of a name; refused where there is none. */
export function projectionNamed(name: string): AnyProjection {
  const projection = registered.get(name);
  if (projection === undefined)
    throw refuse({ _tag: 'ProjectionUnknown', name, known: projectionNames() });
  return projection;
}
