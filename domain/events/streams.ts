// How streams are named (docs/events.md). A VM's recorder is the only writer of its `vm-` stream;
// checkpoints have a stream of their own, so that a point can be named while its VM is recorded.

/** What the ledger itself did: its creation, its groups. */
export const LEDGER_STREAM = 'ledger';
/** What compaction did to the page store. */
export const STORE_STREAM = 'store';
/** What was let go of the log, and what stands for it. */
export const HISTORY_STREAM = 'history';
const VM_PREFIX = 'vm-';
const POINTS_PREFIX = 'points-';
const RESTORES_PREFIX = 'restores-';
const MIGRATIONS_PREFIX = 'migrations-';
const HOST_PREFIX = 'host-';
const LARGE_PREFIX = 'large-';

export const vmStream = (vm: string): string => VM_PREFIX + vm;
export const pointsStream = (vm: string): string => POINTS_PREFIX + vm;
/** How memory of a VM was given back. */
export const restoresStream = (vm: string): string => RESTORES_PREFIX + vm;
/** Which parts of a VM's memory are held large, and which small. */
export const largeStream = (vm: string): string => LARGE_PREFIX + vm;

/** How a VM's guest moved between hosts, and who runs it. */
export const migrationsStream = (vm: string): string => MIGRATIONS_PREFIX + vm;
/** What a host of the workgroup is and holds. */
export const hostStream = (host: string): string => HOST_PREFIX + host;

/** The VM whose recorder writes this stream, or null. */
export const vmOfStream = (stream: string): string | null =>
  stream.startsWith(VM_PREFIX) ? stream.slice(VM_PREFIX.length) : null;

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/u;

/** Most characters of a VM's or a checkpoint's name. */
export const NAME_CHARACTERS_MAX = 128;
/** Most characters of a group's name: it stands in a pack's header. */
const GROUP_CHARACTERS_MAX = 63;

export const isName = (name: string): boolean =>
  NAME.test(name) && name.length <= NAME_CHARACTERS_MAX;
export const isGroupName = (name: string): boolean =>
  NAME.test(name) && name.length <= GROUP_CHARACTERS_MAX;
