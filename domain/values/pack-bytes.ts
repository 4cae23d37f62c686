// The bytes of a pack, and the name that was made of them: whoever is given both in this form, in the
// process where that was done, need not make it of them again.

import { toHex } from './identifier.ts';

export class PackBytes {
  readonly bytes: Uint8Array;
  /** Their SHA-256 in lower-case hex. */
  readonly name: string;

  /** Names bytes, which are not written to any more for as long as somebody may store them. */
  constructor(bytes: Uint8Array, sha256: (bytes: Uint8Array) => Uint8Array) {
    this.bytes = bytes;
    this.name = toHex(sha256(bytes));
  }
}
