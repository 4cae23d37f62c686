// The clock: the domain has none of its own.

/** Milliseconds since 1970. */
export type Clock = () => number;
