// Operating failures: what the disk, the network, a guest or foreign bytes did. Each code has a row
// in docs/errors.md. A message says what was found, what was expected, where, and what to do.

/**
 * What a failure is to whoever meets it: of its own kind; of how it was asked; stored bytes that are
 * damaged; somebody else who is at it; something that is not there; a server, guest or disk that does
 * not answer, or is full.
 */
export type FailureKind = 'failed' | 'usage' | 'damage' | 'busy' | 'absent' | 'away';

export interface FailureFacts {
  readonly kind: FailureKind;
  /** What to do, in general; the message may know more. */
  readonly advice: string;
}

/** Every code an operating failure can bear, in the order of docs/errors.md, which holds this too. */
export const LEDGER_ERRORS = {
  NOT_A_LEDGER: {
    kind: 'failed',
    advice: "Give the ledger's own folder, or an empty or absent one to make a ledger.",
  },
  NEWER_FORMAT: { kind: 'failed', advice: 'Use that release or a later one.' },
  LEDGER_EXISTS: { kind: 'failed', advice: 'Open it, or choose another place.' },
  LEDGER_CLOSED: {
    kind: 'failed',
    advice: 'Open it again; if a write had failed, see to its cause first.',
  },
  LEDGER_DIVERGED: { kind: 'failed', advice: 'Copy into a new ledger.' },
  READ_ONLY: { kind: 'failed', advice: 'Give write permission, or use a command that only reads.' },
  DISK_FULL: { kind: 'away', advice: 'Free space and run the command again.' },
  IO_FAILED: {
    kind: 'away',
    advice: 'See to the device, the path or the permissions it names, then run the command again.',
  },
  VM_BUSY: {
    kind: 'busy',
    advice:
      'Say `--wait 1m` to wait for it, stop the other one (its process id is given where it is known), or record another VM.',
  },
  COMPACTION_BUSY: {
    kind: 'busy',
    advice: 'Run `compact` again when the other has ended, or say `--wait 10m`.',
  },
  REVISION_CONFLICT: {
    kind: 'busy',
    advice: 'Make sure one recorder records the VM, and run the command again.',
  },
  EVENT_TOO_LARGE: {
    kind: 'failed',
    advice: 'Report it: the ledger cuts its events smaller than that.',
  },
  LOG_DAMAGED: {
    kind: 'damage',
    advice:
      'Run `pageledger verify`; it names the captures that are affected. Restore the log from a copy.',
  },
  LOG_REPLACED: {
    kind: 'failed',
    advice:
      'Run the command again: what is derived is made anew. A subscriber begins anew; see docs/backup.md.',
  },
  LOG_TOO_OLD: {
    kind: 'failed',
    advice:
      'Put back the log that was there when compaction ran, or one that is newer; or put the packs of the same backup beside this one, see docs/backup.md.',
  },
  LOG_UNREACHABLE: {
    kind: 'away',
    advice:
      'Start the server, or check the address in `--ledger` and the network between; then run the command again: what was committed is safe.',
  },
  LOG_REFUSED: {
    kind: 'failed',
    advice:
      "See the reason in the message; check user and password in the ledger's URL and the rights on the ledger's streams.",
  },
  EVENT_INVALID: {
    kind: 'damage',
    advice: 'Run `pageledger verify`; report it if this release wrote the event.',
  },
  EVENT_NEWER: { kind: 'failed', advice: 'Use the release that wrote it, or a later one.' },
  PACK_MISSING: { kind: 'damage', advice: 'Put it back from a copy of the ledger.' },
  PACK_DAMAGED: {
    kind: 'damage',
    advice:
      'Run `pageledger verify`; it names the captures that are affected. Repair from a copy of the ledger.',
  },
  PACK_UNREADABLE: {
    kind: 'away',
    advice:
      'See to the disk or the permissions the message names. Where it stays so, move the file away and run `verify --repair` with whatever may have its pages.',
  },
  STORE_UNREACHABLE: {
    kind: 'away',
    advice:
      "Start it, or check the endpoint in the page store's URL; then run the command again: what was committed is safe.",
  },
  STORE_REFUSED: {
    kind: 'failed',
    advice:
      "See the reason in the message; check the AWS environment variables and files, and this machine's clock.",
  },
  STORE_MISSING: { kind: 'absent', advice: "Create it, or check the page store's URL." },
  STORE_UNCONFIRMED: {
    kind: 'usage',
    advice: 'Say `--page-store URL` once, if that is where the packs lie.',
  },
  STORE_TAKEN: { kind: 'failed', advice: 'Give another prefix or folder.' },
  POINT_DAMAGED: {
    kind: 'damage',
    advice: 'Choose another point, or repair from a copy of the ledger.',
  },
  PAGE_UNKNOWN: {
    kind: 'absent',
    advice:
      'Say `--unknown zero` where zeros will do for them, choose another point, or record a dump that leaves nothing out (`makedumpfile -d 0`).',
  },
  KEY_MISSING: {
    kind: 'absent',
    advice:
      'Run `pageledger group export` on a host that has it, and `pageledger group import` here.',
  },
  KEY_DAMAGED: { kind: 'damage', advice: 'Put it back from a copy.' },
  SOURCE_UNREADABLE: { kind: 'failed', advice: 'Check the path and its permissions.' },
  SOURCE_EMPTY: { kind: 'failed', advice: 'Check that it was written, and give it again.' },
  SOURCE_SIZE: {
    kind: 'failed',
    advice: 'Give a complete image of the same VM, and nothing that is still being written.',
  },
  SOURCE_CHANGED: {
    kind: 'failed',
    advice: 'Stop what writes to it, or copy it while nothing does, and record it again.',
  },
  SOURCE_FORMAT: {
    kind: 'failed',
    advice: 'Name it with `--format`, or give a file of a format that is read (docs/importing.md).',
  },
  STREAM_TRUNCATED: {
    kind: 'failed',
    advice: 'Write it again; the message says at what byte it ends.',
  },
  STREAM_INVALID: {
    kind: 'failed',
    advice: 'Check that it is a whole QEMU migration stream, and write it again.',
  },
  STREAM_UNSUPPORTED: {
    kind: 'failed',
    advice: 'Switch off in QEMU the capability the message names.',
  },
  QMP_UNREACHABLE: {
    kind: 'away',
    advice:
      'Start QEMU with `-qmp unix:PATH,server=on,wait=off` and give that path; one client at a time.',
  },
  QMP_PROTOCOL: {
    kind: 'failed',
    advice: 'Give the socket of `-qmp`, not of a monitor or a console.',
  },
  QMP_REFUSED: {
    kind: 'failed',
    advice: 'See to the reason, for example another migration in progress.',
  },
  QMP_LOST: { kind: 'away', advice: 'See whether QEMU still runs, and record again.' },
  QEMU_FAILED: { kind: 'failed', advice: 'See to what QEMU says.' },
  GUEST_DISK: {
    kind: 'failed',
    advice:
      'Add `snapshot=on` or `readonly=on` to the disk, or say `--disk-ok` if the disk is of that moment.',
  },
  GUEST_ARRIVING: {
    kind: 'busy',
    advice:
      'Wait until the guest has all its memory; where it was left on demand, interrupt its `resume` once, which gives it the rest.',
  },
  TARGET_EXISTS: {
    kind: 'failed',
    advice: 'Choose another name, or say `--force` where the command has it.',
  },
  TARGET_UNWRITABLE: { kind: 'failed', advice: 'Check the path and its permissions.' },
  ADDRESS_UNUSABLE: {
    kind: 'failed',
    advice: 'Give another address, or end what listens there.',
  },
  BISECT_STOPPED: {
    kind: 'failed',
    advice: 'See to what the command says; 125 passes over a point at which it cannot tell.',
  },
  MOUNT_FAILED: {
    kind: 'failed',
    advice: 'See to what nbdfuse says; the point can be read by `serve nbd` and `restore` as well.',
  },
  MOUNT_BUSY: {
    kind: 'busy',
    advice: 'End what has the file open, and unmount again.',
  },
  PEER_UNREACHABLE: {
    kind: 'away',
    advice: 'Start `serve memory` there, or check the address and the network between.',
  },
  PEER_REFUSED: {
    kind: 'failed',
    advice: 'Give both sides the same key (`group export`), of the group that the VM is of.',
  },
  CLONE_UNPARKABLE: {
    kind: 'failed',
    advice: 'Record it with `record qemu`, end it, and start it again with `clone` from there.',
  },
  MEMORY_UNACCOUNTED: {
    kind: 'failed',
    advice: 'Run it as root or in a group with the memory controller, or without a limit.',
  },
  LINK_INVALID: {
    kind: 'failed',
    advice: 'See that both hosts have the same release, and that the peer is who it should be.',
  },
  LINK_REFUSED: {
    kind: 'failed',
    advice: "See to the reason, which is the other host's.",
  },
  LINK_LOST: {
    kind: 'away',
    advice:
      'See whether `host serve` runs there, with the same workgroup key; then run `migrate --resolve`, where a guest was to move.',
  },
  NOT_FOUND: {
    kind: 'absent',
    advice:
      'See `pageledger vms`, `group list` or `checkpoints`; check `--ledger`; `pageledger init` makes a ledger.',
  },
  GUEST_UNDESCRIBED: {
    kind: 'absent',
    advice:
      'Questions about pages and addresses need no description of the guest; see docs/guests.md for what a guest has to keep.',
  },
  GUEST_INVALID: {
    kind: 'failed',
    advice:
      'Ask at another point: the guest may have been at work on it, or its memory is damaged or made up.',
  },
  STAND_IN_UNFIT: {
    kind: 'usage',
    advice:
      'Give a file of the kernel that ran in the guest; see docs/guests.md for how it is made.',
  },
  STAND_IN_FOREIGN: {
    kind: 'usage',
    advice:
      'Give a list of the kernel that ran in the guest: of the same build, of this or another boot.',
  },
  MISSING_TOOL: { kind: 'failed', advice: 'Install the package the message names.' },
  PROJECTION_FAILED: {
    kind: 'failed',
    advice: 'Mend the projection; its state goes on from where it was kept last.',
  },
} as const satisfies Readonly<Record<string, FailureFacts>>;

export type LedgerErrorCode = keyof typeof LEDGER_ERRORS;

/** The facts of a failure: file, offset, found, expected and the like. Secrets never stand here. */
export type ErrorFacts = Readonly<Record<string, string | number | bigint | boolean | null>>;

/** One failure of the world outside. */
export class LedgerError extends Error {
  override readonly name = 'LedgerError';
  readonly code: LedgerErrorCode;
  readonly facts: ErrorFacts;

  constructor(code: LedgerErrorCode, message: string, facts: ErrorFacts = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.facts = facts;
  }

  get advice(): string {
    return LEDGER_ERRORS[this.code].advice;
  }
}

/** Whether a thrown thing is a LedgerError, also across realms. */
export const isLedgerError = (thrown: unknown): thrown is LedgerError =>
  typeof thrown === 'object' &&
  thrown !== null &&
  (thrown as { name?: unknown }).name === 'LedgerError' &&
  typeof (thrown as { code?: unknown }).code === 'string';
