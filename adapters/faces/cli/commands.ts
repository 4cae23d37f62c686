// Every command of pageledger, a line each, in the order in which `--help` lists them. What a command
// takes and does is in its file.

import type { CommandFile, CommandLine } from './command.ts';

const line = (name: string, summary: string, load: () => Promise<CommandFile>): CommandLine => ({
  name,
  summary,
  load,
});

/** What is common to commands of two words, for `--help`. */
export const FAMILIES: Readonly<Record<string, string>> = {
  record: 'record captures of a VM',
  group: 'sharing groups and their keys',
  export: 'files for other programs',
  serve: 'points for other programs',
  host: 'the hosts between which guests move',
};

// prettier-ignore
export const COMMANDS: readonly CommandLine[] = [
  line('init', 'make a ledger', () => import('./commands/init.ts')),
  line('record image', 'each file is one capture: raw images, QEMU migration streams', () => import('./commands/record-image.ts')),
  line('record qemu', 'captures of a running QEMU guest, until Ctrl-C', () => import('./commands/record-qemu.ts')),
  line('restore', 'memory at a point into a file', () => import('./commands/restore.ts')),
  line('resume', 'start a guest from a point', () => import('./commands/resume.ts')),
  line('clone', 'start several guests from one point, over one copy of its memory', () => import('./commands/clone.ts')),
  line('clones', 'the clones that run, and those that are parked', () => import('./commands/clones.ts')),
  line('park', 'record a clone for good, and end its process until it is woken', () => import('./commands/park.ts')),
  line('wake', 'start a parked clone again', () => import('./commands/wake.ts')),
  line('serve nbd', 'points as disks, for any NBD client', () => import('./commands/serve-nbd.ts')),
  line('mount', 'a point as a file, to read with any tool or to start guests over', () => import('./commands/mount.ts')),
  line('unmount', 'end such a file', () => import('./commands/unmount.ts')),
  line('vms', 'the VMs', () => import('./commands/vms.ts')),
  line('captures', "a VM's captures", () => import('./commands/captures.ts')),
  line('checkpoints', 'named points', () => import('./commands/checkpoints.ts')),
  line('log', 'the events', () => import('./commands/log.ts')),
  line('subscribe', 'events after a place, or the states of a projection, as they come; always JSON', () => import('./commands/subscribe.ts')),
  line('history', 'every version of a page', () => import('./commands/history.ts')),
  line('who', 'which VMs and pages hold, or held, a content', () => import('./commands/who.ts')),
  line('diff', 'pages that differ between two points', () => import('./commands/diff.ts')),
  line('read', 'bytes of a point, by page or by address', () => import('./commands/read.ts')),
  line('values', 'every value that bytes of a guest had', () => import('./commands/values.ts')),
  line('find', 'where bytes stood, first and last', () => import('./commands/find.ts')),
  line('ps', 'the processes of a Linux guest at a point', () => import('./commands/ps.ts')),
  line('owners', 'who owns the pages of a Linux guest at a point', () => import('./commands/owners.ts')),
  line('dmesg', "the messages of a Linux guest's kernel at a point", () => import('./commands/dmesg.ts')),
  line('symbols', 'names and addresses of a Linux kernel at a point', () => import('./commands/symbols.ts')),
  line('export symbols', 'symbols and types of a Linux kernel at a point, as a file for debuggers', () => import('./commands/export-symbols.ts')),
  line('gdb', 'a debugger over the history, backwards too', () => import('./commands/gdb.ts')),
  line('dap', 'the same for editors, by the Debug Adapter Protocol', () => import('./commands/dap.ts')),
  line('bisect', 'the first capture at which something is true of a guest', () => import('./commands/bisect.ts')),
  line('sharing', 'how memory is made up and what it costs', () => import('./commands/sharing.ts')),
  line('large-pages', 'which parts of 2 MiB of memory are cold, and what splitting them brings', () => import('./commands/large-pages.ts')),
  line('checkpoint', 'name a point, which keeps it, or give a name up', () => import('./commands/checkpoint.ts')),
  line('leases', 'who holds points, so that they are not forgotten', () => import('./commands/leases.ts')),
  line('lease', 'end a lease whose holder is gone', () => import('./commands/lease.ts')),
  line('forget', 'give points up that no rule, checkpoint or lease keeps', () => import('./commands/forget.ts')),
  line('compact', 'store what is kept smaller, and give back what nobody needs', () => import('./commands/compact.ts')),
  line('retire', "end a VM's life; its history stays", () => import('./commands/retire.ts')),
  line('drop', 'end a VM wholly: its captures are forgotten, the last too', () => import('./commands/drop.ts')),
  line('head', 'a digest of the log, to write down for `verify --since`', () => import('./commands/head.ts')),
  line('verify', 'read everything back and check it', () => import('./commands/verify.ts')),
  line('patterns', 'what is recognised in pages, and described instead of stored', () => import('./commands/patterns.ts')),
  line('patterns add', 'recognise pages of a data string too, in the captures that follow', () => import('./commands/patterns-add.ts')),
  line('copy', 'a ledger into another, of any kind; goes on where it was interrupted', () => import('./commands/copy.ts')),
  line('migrate', 'where a guest would go that has to move', () => import('./commands/migrate.ts')),
  line('host join', 'come into the workgroup, or say what has changed of this host', () => import('./commands/host-join.ts')),
  line('host list', 'the hosts of the workgroup', () => import('./commands/host-list.ts')),
  line('host advertise', 'say what this host holds', () => import('./commands/host-advertise.ts')),
  line('host leave', 'go out of the workgroup', () => import('./commands/host-leave.ts')),
  line('completion', 'completion of commands and options, for bash, zsh or fish', () => import('./commands/completion.ts')),
  line('man', 'the manual page, for man -l -', () => import('./commands/man.ts')),
  line('demo', 'record a real guest and resume it from an earlier moment', () => import('./commands/demo.ts')),
  line('group list', 'the groups, and whether this host has their keys', () => import('./commands/group-list.ts')),
  line('group export', "a group's key into a file, for another host to record into the group", () => import('./commands/group-export.ts')),
  line('group import', 'keep a key that another host exported', () => import('./commands/group-import.ts')),
];
