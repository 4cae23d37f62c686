// Where the double's idea of EventStoreDB 23.10.6 stands in one place: numbers, texts and the choices
// that a client can see. Each says how it is known. 'As measured on 23.10.6': seen from a client of a
// running server. 'Read, not measured': from that version's public source only, so it is a guess
// until a running server has confirmed it, and the first suspect when the two differ.

/** As measured on 23.10.6: data bytes of one append, inclusive; type and metadata do not count. */
export const APPEND_BYTES_DEFAULT = 1_048_576;
/** As measured on 23.10.6: what `--max-append-size` can be raised to. */
export const APPEND_BYTES_RAISED = 16_767_216;
/** As measured on 23.10.6: one gRPC message; above it the status is RESOURCE_EXHAUSTED (8). */
export const MESSAGE_BYTES_MAX = 16_767_216;

/** What GetSupportedMethods answers. Read, not measured: the methods it names, see cluster.ts. */
export const SERVER_VERSION = '23.10.6';

/** As measured on 23.10.6: events of a page, and with it the width of a checkpoint's default window. */
export const PAGE_EVENTS = 32;

/** As measured on 23.10.6: bytes of a record beside its stream, type, data and metadata. */
export const RECORD_OVERHEAD_BYTES = 88;
/** As measured on 23.10.6: what a new epoch writes takes 548 bytes, and no reader of $all sees it. */
export const EPOCH_RECORDS_BYTES = [146, 402];
/** As measured on 23.10.6: the first event that $all shows, written by an empty server at its start. */
export const FIRST_EVENT = {
  stream: '$$$scavenges',
  type: '$metadata',
  data: {
    $maxAge: 2_592_000,
    $acl: { $r: '$ops', $w: [], $d: [], $mr: [], $mw: [] },
  },
} as const;

/** As measured on 23.10.6: revision of the record that a hard delete writes. */
export const TOMBSTONE_REVISION = 0x7fff_ffff_ffff_ffffn;
/** As measured on 23.10.6: `$tb` of a soft-deleted stream. */
export const SOFT_DELETED_BEFORE = TOMBSTONE_REVISION;

/** A subscription to a stream without events waits, as measured on 23.10.6; how often it looks is read. */
export const MISSING_STREAM_POLL_MS = 50;

/** As measured on 23.10.6: status ABORTED (10) and this text end a slow consumer's subscription. */
export const CONSUMER_TOO_SLOW =
  'Operation timed out: Consumer too slow to handle event while live. Client resubscription required.';

/** As measured on 23.10.6: the texts of a read that fails, with UNKNOWN (2). */
export const READ_ALL_FAILED = 'Unexpected ReadAllResult: Error';
export const READ_STREAM_FAILED = 'Unexpected ReadStreamResult: Error';
/** As measured on 23.10.6: what any failure without a text of its own becomes, with UNKNOWN (2). */
export const HANDLER_FAILED = 'Exception was thrown by handler.';
