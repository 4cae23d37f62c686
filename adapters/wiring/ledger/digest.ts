// The digest that packs, ledgers and recordings are named by.

import { hash } from 'node:crypto';

/** SHA-256 of bytes. */
export const sha256 = (bytes: Uint8Array): Uint8Array => hash('sha256', bytes, 'buffer');
