// What other programs call what a command does here, for people who come from them.

const NAMES: readonly (readonly [ours: string, ...theirs: readonly string[]])[] = [
  ['forget` and `pageledger compact', 'prune', 'expire'],
  ['compact', 'gc', 'vacuum', 'trim', 'optimize', 'repack'],
  ['verify', 'check', 'fsck', 'scrub', 'validate', 'repair', 'audit'],
  ['sharing` and `pageledger vms', 'stats', 'stat', 'info', 'usage', 'du', 'df'],
  ['captures --vm NAME', 'snapshots', 'ls', 'list', 'show'],
  ['record image` or `pageledger record qemu', 'backup', 'save', 'snapshot', 'capture', 'import'],
  ['restore', 'extract', 'dump', 'get', 'download', 'checkout'],
  ['resume', 'rollback', 'revert', 'run', 'start', 'load', 'loadvm'],
  ['forget --at VM@N` or `pageledger drop --vm NAME', 'delete', 'remove', 'rm', 'delvm'],
  ['checkpoint', 'tag', 'name', 'savevm', 'bookmark'],
  ['unmount', 'umount'],
  ['init', 'create', 'new'],
  ['log', 'events', 'audit-log', 'reflog'],
  ['subscribe', 'watch', 'tail', 'follow'],
  ['read', 'cat', 'hexdump', 'xxd', 'x', 'memread'],
  ['find', 'grep', 'search', 'strings'],
  ['group list', 'key', 'keys'],
  ['ps', 'pslist', 'tasks', 'processes'],
  ['dmesg', 'kmsg', 'printk'],
  ['export symbols', 'dwarf'],
  ['--version', 'version'],
  ['copy', 'cp', 'sync', 'replicate', 'mirror', 'push', 'pull'],
  ['leases', 'locks', 'lock'],
  ['lease --end ID', 'unlock'],
];

const OURS = new Map(NAMES.flatMap(([ours, ...theirs]) => theirs.map((name) => [name, ours])));

/** The sentence of a parser that knows no such command, and what does it here. */
export function withPeersName(sentence: string): string {
  const [, name = ''] = /unknown command '([^']*)'/u.exec(sentence) ?? [];
  const ours = OURS.get(name);
  if (ours === undefined) return sentence;
  return `error: unknown command '${name}': here that is \`pageledger ${ours}\`\n`;
}
