// Calls of the system that Node.js does not have, which koffi makes. Loaded when the first one is needed:
// most command lines need none, and it takes them time.

/** Calls that give back -1 where they fail: 0 here where they do not, or the number of the error. */
export interface Libc {
  /** flock(2) on an open file. */
  readonly flock: (fd: number, operation: number) => number;
  /** fcntl(2) with a number. */
  readonly fcntl: (fd: number, command: number, value: number) => number;
}

async function load(): Promise<Libc> {
  const { load: library, errno } = await import('koffi');
  const own = library(null);
  const flock = own.func('int flock(int fd, int operation)') as Libc['flock'];
  const fcntl = own.func('int fcntl(int fd, int command, ...)') as (
    fd: number,
    command: number,
    type: 'int',
    value: number,
  ) => number;
  const failing = (answer: number): number => (answer < 0 ? errno() : 0);
  return {
    flock: (fd, operation) => failing(flock(fd, operation)),
    fcntl: (fd, command, value) => failing(fcntl(fd, command, 'int', value)),
  };
}

let loaded: Promise<Libc> | null = null;

/** The calls; fails where koffi cannot be loaded. */
export const libc = (): Promise<Libc> => (loaded ??= load());
