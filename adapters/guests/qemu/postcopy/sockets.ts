// Where those meet who work on a guest whose memory arrives: who gives the memory, who goes on with it,
// and the keeper of a way to its QEMU. All lie beside the socket of QEMU's control.

/** The socket of the memory. */
export const INCOMING_SOCKET = 'incoming.sock';
/** QEMU's control socket that is the keeper's own. */
export const MONITOR_SOCKET = 'monitor.sock';
/** Pipes by their names: what the keeper passes on to QEMU, and what QEMU says. */
export const KEEPER_ASKED = 'keeper.asked';
export const KEEPER_SAID = 'keeper.said';
/** Where others reach who gives the memory. */
export const GIVER_SOCKET = 'giver.sock';
