// Keys of the kernels, derived from a sharing group's key. Identifiers are shown
// and stored, fingerprints never leave the host: the two keys are derived under labels of their own,
// so that nothing about one follows from the other.

import { hkdfSync } from 'node:crypto';
import { assert } from '../../domain/values/assert.ts';
import { KEY_BYTES } from '../../domain/ports/page-engine.ts';
import type { EngineKeys } from '../../domain/ports/page-engine.ts';
import { FINGERPRINT_KEY_BYTES } from './engine/kernels.ts';

const IDENTIFIER_LABEL = 'pageledger 1 identifier: keyed BLAKE3-256 of a page';
const FINGERPRINT_LABEL = 'pageledger 1 fingerprint: NH of a page, three passes';

const derive = (key: Uint8Array, out: { label: string; lengthBytes: number }): Uint8Array =>
  new Uint8Array(hkdfSync('sha512', key, new Uint8Array(0), out.label, out.lengthBytes));

/** The kernels' keys for a sharing group's key of KEY_BYTES bytes. */
export function deriveEngineKeys(groupKey: Uint8Array): EngineKeys {
  assert(groupKey.byteLength === KEY_BYTES, `a group's key has ${KEY_BYTES} bytes`);
  return {
    identifierKey: derive(groupKey, { label: IDENTIFIER_LABEL, lengthBytes: KEY_BYTES }),
    fingerprintKey: derive(groupKey, {
      label: FINGERPRINT_LABEL,
      lengthBytes: FINGERPRINT_KEY_BYTES,
    }),
  };
}
