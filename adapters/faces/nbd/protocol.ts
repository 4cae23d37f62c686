// The numbers of the NBD protocol (fixed newstyle negotiation, structured replies, metadata contexts),
// and the bounds that we set to what a client may make us hold.

export const HANDSHAKE_MAGIC = 0x4e42_444d_4147_4943n;
export const OPTION_MAGIC = 0x4948_4156_454f_5054n;
export const OPTION_REPLY_MAGIC = 0x0003_e889_0455_65a9n;
export const REQUEST_MAGIC = 0x2560_9513;
export const SIMPLE_REPLY_MAGIC = 0x6744_6698;
export const STRUCTURED_REPLY_MAGIC = 0x668e_33ef;

/** Flags of the handshake: the server's, which a client answers with those that it knows. */
export const HANDSHAKE = { fixedNewstyle: 1, noZeroes: 2 } as const;

/** What a client asks before it reads. */
export const OPTION = {
  exportName: 1,
  abort: 2,
  list: 3,
  startTls: 5,
  info: 6,
  go: 7,
  structuredReply: 8,
  listMetaContext: 9,
  setMetaContext: 10,
} as const;

/** What it is answered. */
export const OPTION_REPLY = {
  ack: 1,
  server: 2,
  info: 3,
  metaContext: 4,
  unsupported: 0x8000_0001,
  policy: 0x8000_0002,
  invalid: 0x8000_0003,
  tlsRequired: 0x8000_0005,
  unknown: 0x8000_0006,
  tooBig: 0x8000_0009,
} as const;

/** What may be said of an export. */
export const INFO = { export: 0, name: 1, description: 2, blockSize: 3 } as const;

/** Flags of an export. */
export const EXPORT_FLAG = {
  hasFlags: 1,
  readOnly: 1 << 1,
  sendFlush: 1 << 2,
  sendDf: 1 << 7,
  canMultiConn: 1 << 8,
} as const;

export const COMMAND = {
  read: 0,
  write: 1,
  disconnect: 2,
  flush: 3,
  trim: 4,
  cache: 5,
  writeZeroes: 6,
  blockStatus: 7,
} as const;

/** Flags of a command: none of its answer may be cut; one extent is enough. */
export const COMMAND_FLAG = { doNotFragment: 1 << 2, requireOne: 1 << 3 } as const;

/** Parts of a structured reply. */
export const CHUNK = {
  none: 0,
  data: 1,
  hole: 2,
  blockStatus: 5,
  error: 0x8001,
} as const;
/** On the last part of a structured reply. */
export const CHUNK_DONE = 1;

/** What failed, as the numbers that the protocol fixes. */
export const NBD_ERROR = {
  notPermitted: 1,
  inputOutput: 5,
  invalid: 22,
  overflow: 75,
  shutdown: 108,
} as const;
export type NbdError = (typeof NBD_ERROR)[keyof typeof NBD_ERROR];

/** The context that says what is there, and its flags. */
export const ALLOCATION = 'base:allocation';
export const ALLOCATION_FLAG = { hole: 1, zero: 2 } as const;
/** Contexts that say what differs from another point of the VM: this, and the point. */
export const CHANGED = 'pageledger:changed:';
export const CHANGED_FLAG = 1;

/** Most bytes of a name or other string that a client sends. */
export const STRING_BYTES_MAX = 4096;
/** Most bytes that come with an option. */
export const OPTION_BYTES_MAX = 64 * 1024;
/** Most contexts that a client sets. */
export const CONTEXTS_MAX = 16;
/** Most bytes of a read: clients that are told nothing ask for no more. */
export const READ_BYTES_MAX = 32 * 1024 * 1024;
/** Most bytes of an answer that are made at once. */
export const PIECE_BYTES = 1024 * 1024;
/** Most extents that one answer tells of. */
export const EXTENTS_MAX = 16_384;
