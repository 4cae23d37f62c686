// What hosts hold, told over the link by hosts that have a ledger each: each folds the other's
// advertisement into its own. Who has an earlier one is told what has changed since.

import type { HostFacts } from '../../../domain/events/host-codecs.ts';
import { linkInvalid } from '../../wiring/hosts/arrival.ts';
import { foldTold, toldOf, TOLD_BYTES_MAX } from '../../wiring/hosts/contents.ts';
import {
  changeSince,
  digestTold,
  EarlierTold,
  toldAfter,
} from '../../wiring/hosts/told-changes.ts';
import type { Ledger } from '../../wiring/ledger/ledger.ts';
import { FRAME_BYTES_MAX, type Link } from './frames.ts';
import { Gathered } from './gathered.ts';
import { BODIES, bodyOf, readBody } from './messages.ts';

const NOTHING = new Uint8Array(0);

/** Tells what a host says of itself and holds; nothing where it has said neither. */
export async function tellContents(
  link: Link,
  ledger: Ledger,
  of: {
    readonly host: string;
    /** What it told before, as far as that is at hand; absent: nothing is. */
    readonly earlier?: EarlierTold;
  },
): Promise<void> {
  const { host, earlier = new EarlierTold() } = of;
  const told = await toldOf(ledger, host);
  if (told !== null) {
    await link.send('contents', bodyOf(told.facts));
    const { digest } = readBody(BODIES.known, await link.expect('known'));
    const change = changeSince(digest, told.bytes, earlier);
    if (change !== null) await link.send('change', NOTHING);
    const bytes = change ?? told.bytes;
    for (let at = 0; at < bytes.length; at += FRAME_BYTES_MAX)
      await link.send('part', bytes.subarray(at, at + FRAME_BYTES_MAX));
  }
  await link.send('sent', NOTHING);
}

/** Takes what a peer tells from here on: false where it is known already, or there is nothing. LINK_INVALID. */
export async function hearContents(
  link: Link,
  ledger: Ledger,
  of: { readonly peer: string; readonly facts: HostFacts | null },
): Promise<boolean> {
  const told = new Gathered(TOLD_BYTES_MAX, 'what it holds');
  let { facts } = of;
  // What it told last, as long as that can be read: a change is one of this, whoever else tells meanwhile.
  let known: Uint8Array = NOTHING;
  let isChange = false;
  const sayKnown = async (): Promise<void> => {
    known = (await toldOf(ledger, of.peer))?.bytes ?? NOTHING;
    await link.send('known', bodyOf({ digest: digestTold(known) }));
  };
  if (facts !== null) await sayKnown();
  for (;;) {
    const frame = await link.next();
    if (frame === null) throw linkInvalid('it ended before it had said what it holds');
    if (frame.kind === 'sent') break;
    if (frame.kind === 'contents' && facts === null) {
      facts = readBody(BODIES.contents, frame.body);
      await sayKnown();
    } else if (frame.kind === 'change' && facts !== null && !isChange && told.bytes.length === 0)
      isChange = true;
    else if (frame.kind === 'part' && facts !== null) told.add(frame.body);
    else throw linkInvalid(`${frame.kind} came out of turn`);
  }
  if (facts === null) return false;
  if (facts.host !== of.peer) throw linkInvalid(`host ${of.peer} tells of host ${facts.host}`);
  const bytes = isChange ? toldAfter(of.peer, known, told.bytes) : told.bytes;
  return foldTold(ledger, { facts, bytes });
}
