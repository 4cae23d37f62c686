// A small ledger that has one of everything: two VMs that share content, several captures, a
// checkpoint, a device state; and what each of its points must give back.

import { createHash } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  deviceStateOf,
  openLedger,
  recordImages,
  restoreToFile,
  takeCheckpoint,
  type Ledger,
} from '../../../index.ts';
import type { FilePort } from '../../../adapters/files/file-port.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { takeSnapshot, type Snapshot } from '../disks/folder-snapshot.ts';
import * as stream from '../guest/stream-bytes.ts';
import { changeImage, makeImage, pageAt } from '../images.ts';

/** Digest of each point's memory and device state, by `vm@N`. */
export type Expected = Map<string, string>;

export const digestOf = (bytes: Uint8Array): string =>
  createHash('sha256').update(bytes).digest('hex');

const SMALL_PAGES = 40;
export const SMALL_CHECKPOINT = { vm: 'alpha', name: 'first', capture: 1 };

/** A QEMU stream of one block of RAM with these bytes. */
export function streamOf(memory: Uint8Array): Buffer {
  const pages = memory.length / PAGE_BYTES;
  const records = Array.from({ length: pages }, (_, gfn) =>
    stream.page(gfn, pageAt(memory, gfn), gfn === 0 ? 'pc.ram' : undefined),
  );
  return stream.bytesOf(
    stream.head(),
    stream.start([{ name: 'pc.ram', pages }]),
    stream.end(...records),
    stream.tail(),
  );
}

export interface RecordBytes {
  readonly vm: string;
  readonly bytes: Uint8Array;
  /** A scratch file; removed afterwards. */
  readonly scratch: string;
}

/** Records one image held in memory: the number of the capture. */
export async function recordBytes(ledger: Ledger, request: RecordBytes): Promise<number> {
  writeFileSync(request.scratch, request.bytes);
  let capture = 0;
  try {
    await recordImages(
      ledger,
      { vm: request.vm, group: null },
      { files: [request.scratch], timeMs: null },
      (row) => {
        capture = row.capture;
      },
    );
  } finally {
    rmSync(request.scratch, { force: true });
  }
  return capture;
}

const DEVICES = stream.devices();
const DEVICE_DIGEST = digestOf(
  stream.bytesOf(stream.head(), DEVICES.sections, DEVICES.description),
);

/** Digest of the device state of a capture of `streamOf`; empty for a raw image. */
async function deviceDigest(ledger: Ledger, vm: string, at: string): Promise<string> {
  const entry = ledger.vm(vm);
  const row = ledger.resolve(entry, at);
  if (row.mode !== 'stream') return '';
  const { head, sections, description } = await deviceStateOf(ledger, { entry, row });
  return digestOf(stream.bytesOf(head, sections, description));
}

/** Digest of memory and device state at a point; fails as restoring does. */
export async function restoredDigest(
  ledger: Ledger,
  point: { readonly vm: string; readonly at: string; readonly scratch: string },
): Promise<string> {
  const entry = ledger.vm(point.vm);
  const row = ledger.resolve(entry, point.at);
  await ledger.files.remove(point.scratch);
  const target = { path: point.scratch, isForced: false, format: 'raw' as const };
  await restoreToFile(ledger, { entry, row }, target);
  const memory = digestOf((await ledger.files.load(point.scratch, 2 ** 31))!);
  return memory + (await deviceDigest(ledger, point.vm, point.at));
}

/** Images of VM alpha, from which beta differs in a few pages. */
export function smallImages(): { readonly alpha: Uint8Array[]; readonly beta: Uint8Array[] } {
  const first = makeImage({ seed: 7, pages: SMALL_PAGES });
  const second = changeImage(first, { seed: 8, changedPages: 9 });
  const third = changeImage(second, { seed: 9, changedPages: 5 });
  const other = changeImage(first, { seed: 10, changedPages: 4 });
  return {
    alpha: [first, second, third],
    beta: [other, changeImage(other, { seed: 11, changedPages: 3 })],
  };
}

/** Writes the small ledger into a folder: alpha's captures interleaved with beta's. */
export async function makeSmallLedger(options: {
  readonly url: string;
  readonly scratch: string;
  readonly files?: FilePort;
}): Promise<Expected> {
  const { alpha, beta } = smallImages();
  const scratch = join(options.scratch, 'image');
  const files = options.files === undefined ? {} : { files: options.files };
  const ledger = await openLedger({ url: options.url, mode: 'create', threads: 0, ...files });
  const expected: Expected = new Map();
  const add = async (vm: string, memory: Uint8Array, bytes = memory): Promise<void> => {
    const capture = await recordBytes(ledger, { vm, bytes, scratch });
    const device = bytes === memory ? '' : DEVICE_DIGEST;
    expected.set(`${vm}@${capture}`, digestOf(memory) + device);
  };
  await add('alpha', alpha[0]!);
  await add('beta', beta[0]!, streamOf(beta[0]!));
  await takeCheckpoint(ledger, SMALL_CHECKPOINT);
  await add('alpha', alpha[1]!);
  await add('beta', beta[1]!, streamOf(beta[1]!));
  await add('alpha', alpha[2]!);
  await ledger.close();
  return expected;
}

/** A ledger of one VM, `guest`, with these images as its captures. */
export async function makeGuestLedger(options: {
  readonly url: string;
  readonly scratch: string;
  readonly images: readonly Uint8Array[];
}): Promise<void> {
  const ledger = await openLedger({ url: options.url, mode: 'create', threads: 0 });
  for (const bytes of options.images)
    await recordBytes(ledger, { vm: 'guest', bytes, scratch: join(options.scratch, 'image') });
  await ledger.close();
}

/** The format, log and packs of a ledger: what a refused command leaves as it was. */
export const recordOf = (url: string): Snapshot =>
  new Map([...takeSnapshot(url)].filter(([name]) => /^(log\/0|packs|format)/u.test(name)));
