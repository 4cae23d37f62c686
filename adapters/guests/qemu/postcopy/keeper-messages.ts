// What a keeper (keeper-process.ts) and who asks it have in common.

/** What a keeper is told when it is of no use any more. */
export const END = 'end';

/** QEMU's control socket that is the keeper's own, and the keeper's, beside that of QEMU's control. */
export const MONITOR_SOCKET = 'monitor.sock';
export const KEEPER_SOCKET = 'keeper.sock';
