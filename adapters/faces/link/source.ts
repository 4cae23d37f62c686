// The source of a migration: announces a capture's pages, sends those that the target asks for, and hands
// the guest over.

import type { OfferedCapture } from '../../wiring/hosts/departure.ts';
import { Departure } from '../../wiring/hosts/departure.ts';
import { decideOnMigration } from '../../wiring/hosts/migrations.ts';
import type { Ledger } from '../../wiring/ledger/ledger.ts';
import type { VmPoint } from '../../wiring/ledger/vm-point.ts';
import { partsOfDevice } from '../../../domain/values/device-state.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { linkInvalid } from '../../wiring/hosts/arrival.ts';
import { FRAME_BYTES_MAX, type FrameKind, type Link } from './frames.ts';
import {
  announcedBody,
  BODIES,
  bodyOf,
  LINK_MAGIC,
  LINK_VERSION,
  pagesBody,
  patchesBody,
  readBody,
  readWanted,
  SENT_PAGES_MAX,
  type BodyOf,
} from './messages.ts';

/** A migration as its start says it. */
export interface Moving {
  readonly vm: string;
  readonly migration: string;
  readonly capture: number;
  readonly from: string;
  readonly to: string;
  readonly kind: string;
}

/** What was moved of a capture. */
export interface Moved {
  readonly capture: number;
  /** The number that it has at the target. */
  readonly there: number;
  readonly regions: number;
  readonly pages: number;
  /** Those of the pages that went as patches. */
  readonly patched: number;
  readonly held: number;
  /** Pages that the target was thought to have, and had not. */
  readonly stale: number;
  readonly bytes: number;
}

/** A refusal of the peer, as it says it. */
export class PeerRefused extends LedgerError {}

/** The next message, which is of this kind, or the peer's refusal of what was asked. */
async function answer(link: Link, kind: FrameKind): Promise<Uint8Array> {
  const frame = await link.next();
  if (frame === null)
    throw new LedgerError('LINK_LOST', `the other host ended where ${kind} was expected`, {});
  if (frame.kind === 'refused') {
    const { code, message } = readBody(BODIES.refused, frame.body);
    throw new PeerRefused('LINK_REFUSED', `the other host refuses: ${message}`, { code });
  }
  if (frame.kind !== kind) throw linkInvalid(`${frame.kind} came where ${kind} was expected`);
  return frame.body;
}

/** Who the other host is, and which ledger it has. */
export type Peer = Pick<BodyOf<'hello'>, 'host' | 'ledger'>;

/** Says who this is, and hears who the other is. LINK_INVALID where it is not the one that was meant. */
export async function greet(
  link: Link,
  {
    from,
    to,
    ledger,
  }: { readonly from: string; readonly to: string | null; readonly ledger: string | null },
): Promise<Peer> {
  const own = { magic: LINK_MAGIC, version: LINK_VERSION, host: from, ledger };
  await link.send('hello', bodyOf(own));
  const peer = readBody(BODIES.hello, await answer(link, 'hello'));
  const { version, host } = peer;
  if (version !== LINK_VERSION) throw linkInvalid(`its link is of version ${version}`);
  if (to !== null && host !== to) throw linkInvalid(`it is host ${host}, and not ${to}`);
  return peer;
}

async function sendDevice(link: Link, departure: Departure): Promise<void> {
  const device = await departure.device();
  const step = FRAME_BYTES_MAX - 1;
  for (const [i, part] of device === null ? [] : partsOfDevice(device).entries())
    for (let at = 0; at < part.length; at += step)
      await link.send('device', Buffer.concat([Uint8Array.of(i), part.subarray(at, at + step)]));
}

/** Sends the pages that were asked for; how many of them as patches. */
async function sendPages(link: Link, departure: Departure): Promise<number> {
  let patched = 0;
  for await (const sent of departure.pages()) {
    const bytes = sent._tag === 'whole' ? sent.pages : sent.masks;
    for (let at = 0; at < bytes.length; at += SENT_PAGES_MAX * PAGE_BYTES) {
      const some = bytes.subarray(at, at + SENT_PAGES_MAX * PAGE_BYTES);
      const page = at / PAGE_BYTES;
      if (sent._tag === 'whole') await link.send('pages', pagesBody(sent.firstPage + page, some));
      else
        await link.send(
          'patches',
          patchesBody(sent.gfns.subarray(page, page + SENT_PAGES_MAX), some),
        );
    }
    if (sent._tag === 'patches') patched += sent.gfns.length;
  }
  return patched;
}

/** Sends a capture. What the target has is not sent. */
export async function sendCapture(
  ledger: Ledger,
  link: Link,
  {
    point,
    before = null,
    moving,
    promised,
  }: {
    readonly point: VmPoint;
    /** The point that was sent over this link before; null, absent: none was. */
    readonly before?: VmPoint | null;
    readonly moving: Moving;
    /** Pages that the target is thought to have. */
    readonly promised: Iterable<number>;
  },
): Promise<Moved> {
  const bytesBefore = link.bytes;
  const departure = await Departure.of(ledger, point, before);
  const offered: OfferedCapture = departure.offer;
  await link.send('offer', bodyOf({ migration: moving, offered }));
  for (const pages of departure.announced()) {
    await link.send('identifiers', announcedBody(pages));
    const wanted = readWanted(await answer(link, 'wanted'), pages.kinds.length);
    await departure.want(pages.firstPage, wanted);
  }
  const patched = await sendPages(link, departure);
  await sendDevice(link, departure);
  await link.send('sent', new Uint8Array(0));
  const { capture: there, held } = readBody(BODIES.recorded, await answer(link, 'recorded'));
  const stale = departure.staleAmong(promised);
  const moved = { capture: point.row.capture, there, held, stale, patched, ...departure.wanted };
  const done = { ...moved, bytes: link.bytes - bytesBefore };
  await noteMoved(ledger, moving, done);
  return done;
}

const noteMoved = async (ledger: Ledger, moving: Moving, moved: Moved): Promise<void> => {
  const { vm, migration } = moving;
  const { capture, regions, pages, bytes, held, stale } = moved;
  const patched = moved.patched === 0 ? null : moved.patched;
  const data = { vm, migration, capture, regions, pages, bytes, held, stale, patched };
  await decideOnMigration(ledger, vm, { _tag: 'NoteMoved', ...data });
};

/** Gives the guest up and lets the target have it; how long it stood is known to neither alone. */
export async function handOver(
  ledger: Ledger,
  link: Link,
  { moving, capture }: { readonly moving: Moving; readonly capture: number },
): Promise<void> {
  const { vm, migration } = moving;
  await decideOnMigration(ledger, vm, { _tag: 'HandOver', vm, migration, capture });
  await link.send('handOver', bodyOf({ vm, migration }));
  readBody(BODIES.completed, await answer(link, 'completed'));
}

/** Lets a target with the same log read a point, as it would have to later. LINK_REFUSED where it cannot. */
export async function checkTarget(
  link: Link,
  of: { readonly vm: string; readonly capture: number },
): Promise<void> {
  await link.send('check', bodyOf(of));
  await answer(link, 'checked');
}

/** Asks a host to move the guest of a VM: here, to another, or where it finds best. LINK_REFUSED. */
export async function askSource(link: Link, of: BodyOf<'request'>): Promise<BodyOf<'moved'>> {
  await link.send('request', bodyOf(of));
  return readBody(BODIES.moved, await answer(link, 'moved'));
}

/** Asks a target what became of a migration: what it has not completed it gives up. */
export async function askTarget(
  link: Link,
  { vm, migration }: Pick<Moving, 'vm' | 'migration'>,
): Promise<'completed' | 'failed'> {
  await link.send('ask', bodyOf({ vm, migration }));
  return readBody(BODIES.answer, await answer(link, 'answer')).phase;
}
