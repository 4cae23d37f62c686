// Who holds a point, and whether he can still be there: a process of a host, known by what no two
// processes have in common. No clock says that a holder has gone: he may be busy, or asleep.

/** What points are held for. */
export type LeaseKind = 'resume' | 'mount' | 'server' | 'clone' | 'debugger';

/** A host, as a process of it sees it. */
export interface Host {
  /** Its name. */
  readonly host: string;
  /** What its system is known by from one start to the next; null: it does not say. */
  readonly machine: string | null;
  /** What this start of it is known by; null: it does not say. */
  readonly boot: string | null;
  /** The namespaces in which numbers and times of processes count; null: it does not say. */
  readonly space: string | null;
}

/** A process that holds points. */
export interface Holder extends Host {
  /** Its number. */
  readonly process: number;
  /** When it started, in the host's ticks since that did; null: it is not known. */
  readonly started: number | null;
}

/** What a host knows of a process of this number: null where there is none. */
export type ProcessLook = (process: number) => { readonly started: number | null } | null;

/** `elsewhere`: nobody here can tell. */
export type HolderFate = 'alive' | 'dead' | 'elsewhere';

/**
 * What has become of a holder, as seen from a host. A process of the same start of a system is looked
 * up, where numbers mean the same; one of an earlier start of the same host is dead. Whoever is not
 * known to be dead is not.
 */
export function fateOf(holder: Holder, here: Host, look: ProcessLook): HolderFate {
  if (holder.boot === null || here.boot === null) return 'elsewhere';
  if (holder.boot !== here.boot) {
    const isSameHost = holder.machine !== null && holder.machine === here.machine;
    return isSameHost && holder.host === here.host ? 'dead' : 'elsewhere';
  }
  if (holder.space === null || holder.space !== here.space) return 'elsewhere';
  const found = look(holder.process);
  if (found === null) return 'dead';
  const isAnother =
    found.started !== null && holder.started !== null && found.started !== holder.started;
  return isAnother ? 'dead' : 'alive';
}
