// The URL of a ledger in memory.

/** A ledger that ends with its process. */
export const MEMORY_URL = 'memory:';

export const isMemoryUrl = (url: string): boolean => url === MEMORY_URL;
