// Memory at guest-physical addresses.

/** A run of memory, in bytes. */
export interface MemoryRun {
  readonly address: number;
  readonly length: number;
}

/** The address behind a run. */
export const endOfRun = ({ address, length }: MemoryRun): number => address + length;
