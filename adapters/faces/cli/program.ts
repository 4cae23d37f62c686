// The commands and their options (brief, section 5). What a command does is in a file of its own,
// loaded when it is called.

import { Command, InvalidArgumentError } from 'commander';

const wholeNumber = (text: string): number => {
  if (!/^\d{1,15}$/u.test(text))
    throw new InvalidArgumentError('a whole number from 0 was expected.');
  return Number(text);
};

const positiveNumber = (text: string): number => {
  const value = wholeNumber(text);
  if (value < 1) throw new InvalidArgumentError('a whole number from 1 was expected.');
  return value;
};

const address = (text: string): number => {
  const value = /^(0x[0-9a-f]+|\d+)$/iu.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value))
    throw new InvalidArgumentError('an address was expected, as 0x7fff0000 or in decimal.');
  return value;
};

/** The parser. Commands reject with their failure; usage errors are CommanderErrors. */
export function buildProgram(): Command {
  const program = new Command('pageledger')
    .description('An event-sourced memory-state ledger for virtual machines.')
    .option(
      '--ledger <url>',
      'the ledger: a folder, or esdb://HOST?ledger=NAME (default: $PAGELEDGER, else ./.pageledger)',
    )
    .option(
      '--page-store <url>',
      'where a ledger that is created on a server has its packs: s3://BUCKET/PREFIX, or a folder',
    )
    .option('--json', 'print newline-delimited JSON')
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .addHelpText('after', POINTS);
  addRecord(program);
  addRestore(program);
  addQuestions(program);
  addKeeping(program);
  addGroups(program);
  for (const command of [
    program,
    ...program.commands,
    ...program.commands.flatMap((c) => c.commands),
  ])
    command.exitOverride().showHelpAfterError('(pageledger COMMAND --help tells more)');
  return program;
}

const POINTS = `
Points: latest, @N (Nth capture), pos:N, time:2026-11-20T10:00:00Z, ago:10s, cp:NAME
Exit codes: 0 done, 1 failed, 2 bad usage, 3 integrity damage found`;

function addRecord(program: Command): void {
  const record = program.command('record').description('record captures of a VM');
  record
    .command('image')
    .description('each file is one capture: raw images, QEMU migration streams')
    .argument('<file...>', 'images, oldest first; - is standard input')
    .requiredOption('--vm <name>', 'the VM they are of')
    .option('--group <group>', 'sharing group of a new VM (default: default)')
    .option(
      '--share <scope>',
      'what a new VM may share: pattern (patterns inside itself), vm (its own pages) or group (the default)',
    )
    .option('--time <time>', "time of the captures (default: each file's modification time)")
    .option('--format <format>', 'raw or qemu (default: recognised)')
    .action(async (files: string[], _options, command: Command) =>
      (await import('./record.ts')).recordImage(files, command),
    );
  record
    .command('qemu')
    .description('captures of a running QEMU guest, until Ctrl-C')
    .requiredOption('--vm <name>', 'the VM it is')
    .requiredOption('--qmp <socket>', "path of the guest's QMP socket")
    .option('--group <group>', 'sharing group of a new VM (default: default)')
    .option(
      '--share <scope>',
      'what a new VM may share: pattern (patterns inside itself), vm (its own pages) or group (the default)',
    )
    .option('--every <duration>', 'time from one capture to the next', '5s')
    .option('--count <n>', 'captures to take (default: until stopped)', positiveNumber)
    .action(async (_options, command: Command) =>
      (await import('./record.ts')).recordQemu(command),
    );
}

function addRestore(program: Command): void {
  program
    .command('restore')
    .description('memory at a point into a file')
    .requiredOption('--vm <name>', 'the VM')
    .option('--at <point>', 'the point', 'latest')
    .requiredOption('--to <file>', 'the file; - is standard output')
    .option('--format <format>', 'raw or qemu', 'raw')
    .option('--force', 'replace an existing file')
    .action(async (_options, command: Command) => (await import('./restore.ts')).restore(command));
  program
    .command('resume')
    .description('start a guest from a point')
    .argument('[command...]', "after --: QEMU's command line (default: the recorded one)")
    .requiredOption('--vm <name>', 'the VM')
    .requiredOption('--at <point>', 'the point')
    .option('--eager', 'send all memory before the guest runs')
    .option('--disk-ok', 'the disks are as they were at that moment')
    .action(async (words: string[], _options, command: Command) =>
      (await import('./restore.ts')).resume(words, command),
    );
}

function addQuestions(program: Command): void {
  program
    .command('vms')
    .description('the VMs')
    .action(async (_options, command: Command) => (await import('./list.ts')).vms(command));
  program
    .command('captures')
    .description("a VM's captures")
    .requiredOption('--vm <name>', 'the VM')
    .action(async (_options, command: Command) => (await import('./list.ts')).captures(command));
  program
    .command('checkpoints')
    .description('named points')
    .option('--vm <name>', 'of one VM')
    .action(async (_options, command: Command) => (await import('./list.ts')).checkpoints(command));
  program
    .command('log')
    .description('the events')
    .option('--vm <name>', 'of one VM')
    .option('--type <type>', 'of one type; a page event type matches the batches that hold one')
    .option('--from <point>', 'from here on: a position, pos:, time: or ago:')
    .option('--to <point>', 'up to here, included')
    .option('--pages', 'expand batches to page events')
    .option('--follow', 'go on with what comes')
    .action(async (_options, command: Command) => (await import('./log.ts')).log(command));
  program
    .command('subscribe')
    .description('events after a place, or the states of a projection, as they come; always JSON')
    .option('--from <place>', 'after this: the place of a row, a position, or latest')
    .option('--pages', 'expand batches to page events')
    .option('--type <type>', 'of one type; a page event type matches the batches that hold one')
    .option('--vm <name>', 'of one VM')
    .option('--projection <name>', 'states of sharing, vms or writes, or of a module (./mine.js)')
    .action(async (_options, command: Command) =>
      (await import('./subscribe.ts')).subscribe(command),
    );
  program
    .command('history')
    .description('every version of a page')
    .requiredOption('--vm <name>', 'the VM')
    .option('--page <gfn>', "the page's number", wholeNumber)
    .option('--address <address>', 'a guest-physical address in the page', address)
    .action(async (_options, command: Command) => (await import('./audit.ts')).history(command));
  program
    .command('who')
    .description('which VMs and pages hold, or held, a content')
    .requiredOption('--identifier <hex>', "the content's identifier, or its first 8 digits or more")
    .option('--at <point>', 'who holds it at latest, pos:, time: or ago: (default: who ever did)')
    .action(async (_options, command: Command) => (await import('./who.ts')).who(command));
  program
    .command('diff')
    .description('pages that differ between two points')
    .argument('<a>', 'a point')
    .argument('<b>', "another one; VM/POINT for another VM's")
    .requiredOption('--vm <name>', 'the VM')
    .option('--bytes', 'show the bytes that differ')
    .action(async (a: string, b: string, _options, command: Command) =>
      (await import('./diff.ts')).diff({ a, b }, command),
    );
  program
    .command('sharing')
    .description('how memory is made up and what it costs')
    .option('--vm <name>', 'of one VM, and what it shares with others')
    .option('--at <point>', 'at latest, pos:, time: or ago: (default: latest)')
    .option('--page <gfn>', 'who shares this page of the VM', wholeNumber)
    .option('--what-if', 'what the whole history would have cost under other settings')
    .action(async (_options, command: Command) => (await import('./sharing.ts')).sharing(command));
}

function addKeeping(program: Command): void {
  program
    .command('checkpoint')
    .description('name a point, which keeps it, or give a name up')
    .requiredOption('--vm <name>', 'the VM')
    .requiredOption('--name <name>', "the checkpoint's name")
    .option('--at <point>', 'the point (default: latest)')
    .option('--drop', 'give the name up: what only it kept is forgotten')
    .action(async (_options, command: Command) => (await import('./keep.ts')).checkpoint(command));
  program
    .command('forget')
    .description('give old points up that no checkpoint keeps')
    .requiredOption('--vm <name>', 'the VM')
    .requiredOption('--before <point>', 'the first point that is kept')
    .action(async (_options, command: Command) => (await import('./forget.ts')).forget(command));
  program
    .command('compact')
    .description('store what is kept smaller, and give back what nobody needs')
    .option(
      '--grace <duration>',
      'how long emptied packs wait (default: 0s where one host has log and packs, else 1h)',
    )
    .option('--dry-run', 'say what it would give, and change nothing')
    .action(async (_options, command: Command) => (await import('./compact.ts')).compact(command));
  program
    .command('retire')
    .description("end a VM's life; its history stays")
    .requiredOption('--vm <name>', 'the VM')
    .action(async (_options, command: Command) => (await import('./keep.ts')).retire(command));
  program
    .command('verify')
    .description('read everything back and check it')
    .action(async (_options, command: Command) => (await import('./audit.ts')).verify(command));
  const patterns = program
    .command('patterns')
    .description('what is recognised in pages, and described instead of stored')
    .action(async (_options, command: Command) => (await import('./patterns.ts')).list(command));
  patterns
    .command('add')
    .description('recognise pages of a data string too, in the captures that follow')
    .argument('<expression>', String.raw`the string and its repetition, as in '(?:\xde\xad-free)+'`)
    .action(async (expression: string, _options, command: Command) =>
      (await import('./patterns.ts')).add(expression, command),
    );
  program
    .command('copy')
    .description('a ledger into another, of any kind; goes on where it was interrupted')
    .argument('<from>', 'the ledger to copy')
    .argument('<to>', 'a new ledger, or an earlier copy of the same one')
    .action(async (from: string, to: string, _options, command: Command) =>
      (await import('./copy.ts')).copy({ from, to }, command),
    );
  program
    .command('demo')
    .description('record a real guest and resume it from an earlier moment')
    .option('--keep', 'keep the ledger and say where it is')
    .action(async (_options, command: Command) => (await import('./demo.ts')).demo(command));
}

function addGroups(program: Command): void {
  const group = program.command('group').description('sharing groups and their keys');
  group
    .command('list')
    .description('the groups, and whether this host has their keys')
    .action(async (_options, command: Command) => (await import('./group.ts')).list(command));
  group
    .command('export')
    .description("a group's key into a file, for another host to record into the group")
    .requiredOption('--group <group>', 'the group')
    .requiredOption('--to <file>', 'a new file; - is standard output')
    .action(async (_options, command: Command) => (await import('./group.ts')).exportKey(command));
  group
    .command('import')
    .description('keep a key that another host exported')
    .argument('<file>', 'the file; - is standard input')
    .action(async (path: string, _options, command: Command) =>
      (await import('./group.ts')).importKey(path, command),
    );
}
