// What a memory server is told of clones by the host where they run.

import type { ToldClone, ToldLook } from '../../wiring/clones/far-clones.ts';
import { nameOfTold } from './clone-names.ts';
import { FarClient } from './far-client.ts';
import type { FarServer } from './far-memory.ts';

/** Tells a memory server of a clone of this host. PEER_UNREACHABLE; PEER_REFUSED: it is not noted there. */
export async function tellServer(
  { at, key }: FarServer,
  told: ToldClone | ToldLook,
): Promise<void> {
  const client = await FarClient.open(at, { name: nameOfTold(told), key });
  client.close();
}
