// What those have in common who work on a guest whose memory arrives: the keeper (keeper-process.ts), who
// gives the memory, and who goes on with it.

/** What a keeper is told when it is of no use any more. */
export const END = 'end';

/** QEMU's control socket that is the keeper's own, and the keeper's, beside that of QEMU's control. */
export const MONITOR_SOCKET = 'monitor.sock';
export const KEEPER_SOCKET = 'keeper.sock';
/** Where others reach who gives the memory. */
export const GIVER_SOCKET = 'giver.sock';
