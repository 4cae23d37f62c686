// The fingerprints of a VM's pages at its last capture (docs/format.md, "Keys"): kept with the keys,
// in keys/fingerprints/<vm>, because they follow from the group's key and the guest's memory. They
// only save work: where they are absent or in any doubt, every page is looked at again. The body may
// be far larger than memory should hold twice, so it goes by windows.

import { dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import { assert } from '../../../domain/values/assert.ts';
import { FINGERPRINT_BYTES } from '../../../domain/ports/page-engine.ts';
import type { Fingerprints } from '../../../domain/ports/page-engine.ts';
import { isName } from '../../../domain/events/streams.ts';
import { fileNameOf } from '../../files/file-name.ts';
import type { FilePort, OpenFile } from '../../files/file-port.ts';
import {
  decodeFingerprintsHeader,
  encodeFingerprintsHeader,
  FINGERPRINTS_HEADER_BYTES,
} from '../derived/state-file-layout.ts';
import type { FingerprintsHeader } from '../derived/state-file-layout.ts';
import { writeWhole } from '../../files/whole-file.ts';

/** Bytes that are read, written and checked at once. */
const WINDOW_BYTES = 2 ** 20;

/** The fingerprints of a VM at one of its captures. */
export interface VmFingerprints {
  readonly vm: string;
  readonly capture: number;
  /** What tells the capture's commit from any other: 64 bits. */
  readonly commit: bigint;
  /** A fingerprint for each page. Nobody writes to it while it is saved. */
  readonly body: Fingerprints;
}

export interface FingerprintFiles {
  /** What was last saved of the VM, or null: absent, damaged, or of another format. */
  load(vm: string): Promise<VmFingerprints | null>;
  /** Failures are not errors: without fingerprints the next capture looks at every page. */
  save(fingerprints: VmFingerprints): Promise<void>;
  drop(vm: string): Promise<void>;
}

/** Views of shared memory, one window after the other. */
function* windowsOf(memory: SharedArrayBuffer): Generator<Uint8Array> {
  for (let at = 0; at < memory.byteLength; at += WINDOW_BYTES)
    yield new Uint8Array(memory, at, Math.min(WINDOW_BYTES, memory.byteLength - at));
}

function crcOf(memory: SharedArrayBuffer): number {
  let crc = 0;
  for (const window of windowsOf(memory)) crc = crc32(window, crc);
  return crc;
}

/** Reads the body that the header describes, or null where it is not whole. */
async function readBody(file: OpenFile, header: FingerprintsHeader): Promise<Fingerprints | null> {
  const bodyBytes = header.pageCount * FINGERPRINT_BYTES;
  // The size is compared before anything is allocated for it.
  if ((await file.sizeBytes()) !== FINGERPRINTS_HEADER_BYTES + bodyBytes) return null;
  const body = new SharedArrayBuffer(bodyBytes);
  let offsetBytes = FINGERPRINTS_HEADER_BYTES;
  let crc = 0;
  for (const window of windowsOf(body)) {
    if ((await file.read(window, offsetBytes)) < window.length) return null;
    crc = crc32(window, crc);
    offsetBytes += window.length;
  }
  return crc === header.bodyCrc ? body : null;
}

async function readFile(file: OpenFile, vm: string): Promise<VmFingerprints | null> {
  const bytes = new Uint8Array(FINGERPRINTS_HEADER_BYTES);
  if ((await file.read(bytes, 0)) < bytes.length) return null;
  const header = decodeFingerprintsHeader(bytes);
  // Another VM's: on a file system that takes upper and lower case for the same.
  if (header === null || header.vm !== vm) return null;
  const body = await readBody(file, header);
  if (body === null) return null;
  return { vm, capture: header.capture, commit: header.commit, body };
}

function* partsOf(state: VmFingerprints): Generator<Uint8Array> {
  const pageCount = state.body.byteLength / FINGERPRINT_BYTES;
  yield encodeFingerprintsHeader({ ...state, pageCount, bodyCrc: crcOf(state.body) });
  yield* windowsOf(state.body);
}

/** The fingerprints kept in a folder of keys. */
export function openFingerprintFiles(options: {
  readonly files: FilePort;
  /** The folder keys/. */
  readonly folder: string;
}): FingerprintFiles {
  const { files } = options;
  const pathOf = (vm: string): string => {
    assert(isName(vm), 'fingerprints are of a VM with a name that names may be');
    return join(options.folder, 'fingerprints', fileNameOf(vm));
  };
  return {
    async load(vm) {
      const path = pathOf(vm);
      try {
        const file = await files.open(path, 'read');
        return await readFile(file, vm).finally(() => file.close());
      } catch {
        return null;
      }
    },
    async save(state) {
      const path = pathOf(state.vm);
      assert(
        state.body.byteLength % FINGERPRINT_BYTES === 0,
        'fingerprints are whole, one for each page of the VM',
      );
      try {
        await files.makeFolder(dirname(path));
        await writeWhole({
          files,
          path,
          parts: partsOf(state),
          as: 'derived',
          existing: 'replace',
        });
      } catch {
        // What is there may be older, but says of which capture it is.
      }
    },
    async drop(vm) {
      await files.remove(pathOf(vm)).catch(() => false);
    },
  };
}
