// Operating failures: what the disk, the network, a guest or foreign bytes did. Each code has a row
// in docs/errors.md. A message says what was found, what was expected, where, and what to do.

/** Every code an operating failure can bear, in the order of docs/errors.md. */
export const LEDGER_ERROR_CODES = [
  'NOT_A_LEDGER',
  'NEWER_FORMAT',
  'LEDGER_EXISTS',
  'LEDGER_CLOSED',
  'LEDGER_DIVERGED',
  'READ_ONLY',
  'DISK_FULL',
  'IO_FAILED',
  'VM_BUSY',
  'COMPACTION_BUSY',
  'REVISION_CONFLICT',
  'EVENT_TOO_LARGE',
  'LOG_DAMAGED',
  'LOG_UNREACHABLE',
  'LOG_REFUSED',
  'EVENT_INVALID',
  'EVENT_NEWER',
  'PACK_MISSING',
  'PACK_DAMAGED',
  'STORE_UNREACHABLE',
  'STORE_REFUSED',
  'STORE_MISSING',
  'STORE_TAKEN',
  'POINT_DAMAGED',
  'KEY_MISSING',
  'KEY_DAMAGED',
  'SOURCE_UNREADABLE',
  'SOURCE_EMPTY',
  'SOURCE_SIZE',
  'SOURCE_FORMAT',
  'STREAM_TRUNCATED',
  'STREAM_INVALID',
  'STREAM_UNSUPPORTED',
  'QMP_UNREACHABLE',
  'QMP_PROTOCOL',
  'QMP_REFUSED',
  'QMP_LOST',
  'QEMU_FAILED',
  'GUEST_DISK',
  'TARGET_EXISTS',
  'TARGET_UNWRITABLE',
  'NOT_FOUND',
  'MISSING_TOOL',
  'PROJECTION_FAILED',
] as const;

export type LedgerErrorCode = (typeof LEDGER_ERROR_CODES)[number];

/** The facts of a failure: file, offset, found, expected and the like. Secrets never stand here. */
export type ErrorFacts = Readonly<Record<string, string | number | bigint | boolean | null>>;

/** One failure of the world outside. */
export class LedgerError extends Error {
  override readonly name = 'LedgerError';
  readonly code: LedgerErrorCode;
  readonly data: ErrorFacts;

  constructor(code: LedgerErrorCode, message: string, data: ErrorFacts = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.data = data;
  }
}

/** Whether a thrown thing is a LedgerError, also across realms. */
export const isLedgerError = (thrown: unknown): thrown is LedgerError =>
  typeof thrown === 'object' &&
  thrown !== null &&
  (thrown as { name?: unknown }).name === 'LedgerError' &&
  typeof (thrown as { code?: unknown }).code === 'string';
