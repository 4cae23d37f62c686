// The sentence that a person reads of each refusal. Exhaustive: a new refusal does not compile until it
// has its sentence.

import type { Refusal } from './refusals.ts';

type BadName = Extract<
  Refusal,
  { readonly _tag: 'BadVmName' | 'BadGroupName' | 'BadCheckpointName' }
>;

function badNameText(refusal: BadName): string {
  const allowed = (what: string, name: string, charactersMax: number): string =>
    `the ${what} name ${JSON.stringify(name)} is not allowed: names are [A-Za-z0-9][A-Za-z0-9._-]*, at most ${charactersMax} characters`;
  if (refusal._tag === 'BadVmName') return allowed('VM', refusal.vm, 128);
  if (refusal._tag === 'BadGroupName') return allowed('group', refusal.group, 63);
  return allowed('checkpoint', refusal.name, 128);
}

type BadBeside = Extract<Refusal, { readonly _tag: 'BadAttachment' | 'BadNote' }>;

const besideText = (refusal: BadBeside): string =>
  refusal._tag === 'BadNote'
    ? `the note has ${refusal.bytes} bytes: 1 to ${refusal.bytesMax} were expected; shorten it`
    : `${JSON.stringify(refusal.name)} cannot be kept beside a capture: ${refusal.why}`;

type BadLedger = Extract<Refusal, { readonly _tag: 'BadUrl' | 'CopyOntoItself' }>;

const ledgerText = (refusal: BadLedger): string =>
  refusal._tag === 'BadUrl'
    ? `${JSON.stringify(refusal.url)} cannot be used here: ${refusal.why}`
    : `source and target are the same ledger, ${refusal.ledger}: nothing was copied; name another target`;

type BadlyWritten = Extract<Refusal, { readonly _tag: 'BadPoint' | 'BadPlace' | 'BadPredicate' }>;

function writtenText({ _tag, text, why }: BadlyWritten): string {
  const what = JSON.stringify(text);
  if (_tag === 'BadPoint')
    return `${what} is not a point: ${why}; points are latest, @N, pos:N, time:2026-11-20T10:00:00Z, ago:10s, cp:NAME`;
  if (_tag === 'BadPlace')
    return `${what} is no place to go on from: ${why}; give the \`place\` of the last row that was seen, a position for all of it, or latest`;
  return `${what} is no predicate: ${why}; one is \`u64 SYMBOL+8 >= 0x10 and not bytes ADDRESS == 00ff\``;
}

type BadSearch = Extract<Refusal, { readonly _tag: 'BadNeedle' | 'FoundTooOften' }>;

const isBadSearch = (refusal: Refusal): refusal is BadSearch =>
  refusal._tag === 'BadNeedle' || refusal._tag === 'FoundTooOften';

const searchText = (refusal: BadSearch): string =>
  refusal._tag === 'BadNeedle'
    ? `these bytes cannot be looked for: ${refusal.why}; 1 to 4096 bytes that are not all zero were expected`
    : `these bytes, or a part of them at the end of a page, are at more than ${refusal.most} places; look for more of them, or in one VM with --vm`;

type BadSharing = Extract<
  Refusal,
  { readonly _tag: 'GroupFixed' | 'GroupReserved' | 'ShareFixed' }
>;

function sharingText(refusal: BadSharing): string {
  if (refusal._tag === 'GroupFixed')
    return `the VM ${refusal.vm} is in group ${refusal.group}, not ${refusal.asked}: a VM's group is fixed at its first capture; leave --group out or record under another name`;
  if (refusal._tag === 'GroupReserved')
    return `the group name ${refusal.group} is that of a VM which shares with nobody: no other can be in it; choose another name`;
  return `the VM ${refusal.vm} was registered with --share ${refusal.share}, not ${refusal.asked}: what a VM may share is fixed at its first capture; leave --share out or record under another name`;
}

/** The points that are kept nearest to one that is not. */
function nearestText({ before, after }: Refusal & { readonly _tag: 'PointForgotten' }): string {
  if (before === null && after === null) return 'no capture of the VM is kept';
  if (after === null) return `the nearest that is kept is @${before}, before it`;
  if (before === null) return `the nearest that is kept is @${after}, after it`;
  return `the nearest that are kept are @${before} and @${after}`;
}

function forgottenText(
  refusal: Refusal & { readonly _tag: 'PointForgotten' | 'HistoryForgotten' | 'NewestKept' },
): string {
  if (refusal._tag === 'NewestKept')
    return `capture ${refusal.capture} is the newest of VM ${refusal.vm}, which is always kept: \`pageledger drop --vm ${refusal.vm}\` ends the VM with all of its captures`;
  if (refusal._tag === 'PointForgotten')
    return `capture ${refusal.capture} of VM ${refusal.vm} was forgotten: its memory can no longer be given back; ${nearestText(refusal)}`;
  const { vm, at, begins } = refusal;
  const whose = vm === null ? "the ledger's history" : `the history of VM ${vm}`;
  return `${at} is before ${whose}, which begins at ${begins}: what was before was forgotten`;
}

type NoMemory = Extract<
  Refusal,
  { readonly _tag: 'GfnOutOfRange' | 'AddressUnmapped' | 'RangesUnknown' | 'BlockUnknown' }
>;

function memoryText(refusal: NoMemory): string {
  if (refusal._tag === 'GfnOutOfRange')
    return `page ${refusal.gfn} is not in VM ${refusal.vm}, whose pages are 0 to ${refusal.pages - 1}`;
  if (refusal._tag === 'AddressUnmapped')
    return `no memory lies at guest-physical address 0x${refusal.address.toString(16)}; \`pageledger vms --json\` shows the memory map`;
  if (refusal._tag === 'BlockUnknown')
    return `the VM ${refusal.vm} has no block of memory ${JSON.stringify(refusal.block)}; it has ${refusal.known.join(', ')}`;
  return 'it is not known at which guest-physical addresses the memory lies, or they are too far apart for a file; restore it with --format raw --layout packed';
}

/** What a guest has not that was asked for. */
const NOT_IN_GUEST = [
  'VirtualUnmapped',
  'SymbolUnknown',
  'ProcessUnknown',
  'KernelAmbiguous',
  'KernelUnknown',
] as const;
type NotInGuest = Extract<Refusal, { readonly _tag: (typeof NOT_IN_GUEST)[number] }>;

const isNotInGuest = (refusal: Refusal): refusal is NotInGuest =>
  NOT_IN_GUEST.some((tag) => tag === refusal._tag);

function guestText(refusal: NotInGuest): string {
  switch (refusal._tag) {
    case 'VirtualUnmapped':
      return `nothing is mapped at address ${refusal.address} of ${refusal.pid === null ? 'the kernel' : `process ${refusal.pid}`}`;
    case 'SymbolUnknown':
      return `Linux ${refusal.release} has no symbol ${refusal.name.startsWith('0x') ? `at ${refusal.name}` : JSON.stringify(refusal.name)}`;
    case 'ProcessUnknown':
      return `no process ${refusal.pid} with memory of its own ran at ${refusal.point}`;
    case 'KernelAmbiguous':
      return `several kernels are in this memory: ${refusal.kernels.join('; ')}; name one with --kernel`;
    case 'KernelUnknown':
      return `kernel ${refusal.number} was asked for, and there ${refusal.kernels === 1 ? 'is one' : `are ${refusal.kernels}`}`;
    default:
      return refusal satisfies never;
  }
}

function identifierText(
  refusal: Refusal & {
    readonly _tag: 'BadIdentifier' | 'IdentifierUnknown' | 'IdentifierAmbiguous';
  },
): string {
  switch (refusal._tag) {
    case 'BadIdentifier':
      return `${JSON.stringify(refusal.text)} is no identifier: 64 hex digits were expected, or the first of them, at least 8; \`pageledger history\` and \`pageledger log --pages\` show identifiers`;
    case 'IdentifierUnknown':
      return `no content of this ledger has the identifier ${refusal.identifier}: it was never stored here, or another sharing group's key made it; \`pageledger history\` shows identifiers of pages`;
    case 'IdentifierAmbiguous':
      return `${refusal.count} contents have identifiers that begin with ${refusal.text}: ${refusal.among.join(', ')}${refusal.count > refusal.among.length ? ', ...' : ''}; give more digits`;
    default:
      return refusal satisfies never;
  }
}

function patternText(
  refusal: Refusal & { readonly _tag: 'BadExpression' | 'PatternKnown' | 'TooManyPatterns' },
): string {
  switch (refusal._tag) {
    case 'BadExpression':
      return `the expression gives no data string: ${refusal.why}; \`pageledger patterns\` shows how they are written`;
    case 'PatternKnown':
      return `pages of this string are recognised already, as ${refusal.known}; nothing was added`;
    case 'TooManyPatterns':
      return `this ledger has ${refusal.patternsMax} added patterns, as many as there are numbers for; nothing was added`;
    default:
      return refusal satisfies never;
  }
}

/** What hosts, and guests that move between them, are refused. */
const OF_HOSTS = [
  'BadHostName',
  'HostUnknown',
  'NoHostFits',
  'GuestNotGiven',
  'MigrationToItself',
  'GuestElsewhere',
  'MigrationUnderWay',
  'MigrationOver',
  'NotHandedOver',
  'MigrationInDoubt',
] as const;
type OfHosts = Extract<Refusal, { readonly _tag: (typeof OF_HOSTS)[number] }>;

const isOfHosts = (refusal: Refusal): refusal is OfHosts =>
  OF_HOSTS.some((tag) => tag === refusal._tag);

function hostsText(refusal: OfHosts): string {
  switch (refusal._tag) {
    case 'BadHostName':
      return `the host name ${JSON.stringify(refusal.host)} is not allowed: names are [A-Za-z0-9][A-Za-z0-9._-]*, at most 128 characters`;
    case 'HostUnknown':
      return `no host ${refusal.host} is in this workgroup; \`pageledger host list\` lists those that are`;
    case 'NoHostFits':
      return `no other host of the workgroup has what the guest of VM ${refusal.vm} needs; \`pageledger migrate --vm ${refusal.vm} --plan\` shows them`;
    case 'GuestNotGiven':
      return `the guest of VM ${refusal.vm} is not one that this host moves when another asks for it`;
    case 'MigrationToItself':
      return `the guest of VM ${refusal.vm} is to move from ${refusal.host} to ${refusal.host}: name another host`;
    case 'GuestElsewhere':
      return `the guest of VM ${refusal.vm} moved to host ${refusal.host}, which has it since: it moves on from there`;
    case 'MigrationUnderWay':
      return `the guest of VM ${refusal.vm} is being moved already, by migration ${refusal.migration}`;
    case 'MigrationOver':
      return `migration ${refusal.migration} of VM ${refusal.vm} is not under way here: it never began, or is over, and nothing more comes of it`;
    case 'NotHandedOver':
      return `migration ${refusal.migration} of VM ${refusal.vm} has not handed the guest over: the source runs it`;
    case 'MigrationInDoubt':
      return `the guest of VM ${refusal.vm} was handed over by migration ${refusal.migration}, and it is not known whether the target took it: only the target can say, so that no two copies run`;
    default:
      return refusal satisfies never;
  }
}

/** Of a source that cannot go on with a VM. */
function otherSourceText(
  refusal: Extract<Refusal, { readonly _tag: 'MemoryChanged' | 'AnotherGuest' | 'NothingBefore' }>,
): string {
  switch (refusal._tag) {
    case 'MemoryChanged':
      return `the memory of VM ${refusal.vm} is ${refusal.was} in this ledger, but the source has ${refusal.now}: a VM takes blocks behind those that it has, and no other change of them; record under another name`;
    case 'AnotherGuest':
      return `the guest that is there has the UUID ${refusal.now}, and that of VM ${refusal.vm} has ${refusal.was}: a guest that is followed is one guest; record this one under another name, or once with \`--vm ${refusal.vm} --qmp SOCKET\` and without --follow-guest, where it is ${refusal.vm} now`;
    case 'NothingBefore':
      return `the VM ${refusal.vm} has no capture that a difference could be on top of; record a whole image first`;
    default:
      return refusal satisfies never;
  }
}

/** The sentence of a refusal: what was found, what was expected, what to do. */
export function refusalText(refusal: Refusal): string {
  if (isNotInGuest(refusal)) return guestText(refusal);
  if (isBadSearch(refusal)) return searchText(refusal);
  if (isOfHosts(refusal)) return hostsText(refusal);
  switch (refusal._tag) {
    case 'BadVmName':
    case 'BadGroupName':
    case 'BadCheckpointName':
      return badNameText(refusal);
    case 'BadAttachment':
    case 'BadNote':
      return besideText(refusal);
    case 'BadUrl':
    case 'CopyOntoItself':
      return ledgerText(refusal);
    case 'BadPoint':
    case 'BadPlace':
    case 'BadPredicate':
      return writtenText(refusal);
    case 'ProjectionUnknown':
      return `no projection ${JSON.stringify(refusal.name)} is registered; those that are: ${refusal.known.join(', ')}`;
    case 'VmUnknown':
      return `no VM ${refusal.vm} is in this ledger; \`pageledger vms\` lists those that are`;
    case 'VmRegisteredAlready':
      return `the VM ${refusal.vm} is registered already`;
    case 'VmRetired':
      return `the VM ${refusal.vm} was retired: its history can be read, but it takes no further captures or checkpoints; record under another name`;
    case 'NoCapture':
      return `the VM ${refusal.vm} has no capture at ${refusal.at}; \`pageledger captures --vm ${refusal.vm}\` lists those it has`;
    case 'MemoryChanged':
    case 'AnotherGuest':
    case 'NothingBefore':
      return otherSourceText(refusal);
    case 'ZerosDoubtful':
      return `the file is sparse, and would turn ${refusal.zeroed} of the ${refusal.was} pages of VM ${refusal.vm} that hold something to zero: it may be a difference, which holds changed pages only; nothing of it is in the ledger; say --diff to record it as one, or --full where its holes are zeros`;
    case 'GroupFixed':
    case 'GroupReserved':
    case 'ShareFixed':
      return sharingText(refusal);
    case 'CheckpointExists':
      return `the VM ${refusal.vm} has a checkpoint ${refusal.name} already, at capture ${refusal.capture}; choose another name`;
    case 'CheckpointUnknown':
      return `the VM ${refusal.vm} has no checkpoint ${refusal.name}; \`pageledger checkpoints\` lists those it has`;
    case 'LeaseUnknown':
      return `no point is held by a lease ${JSON.stringify(refusal.lease)}; \`pageledger leases\` lists those there are`;
    case 'PointForgotten':
    case 'HistoryForgotten':
    case 'NewestKept':
      return forgottenText(refusal);
    case 'ManyPacksLost':
      return `${refusal.lost} of ${refusal.packs} packs are missing or damaged, which is more than a hundredth of them, so they are not taken for lost: this may be a wrong or half mounted page store`;
    case 'GfnOutOfRange':
    case 'AddressUnmapped':
    case 'RangesUnknown':
    case 'BlockUnknown':
      return memoryText(refusal);
    case 'BadIdentifier':
    case 'IdentifierUnknown':
    case 'IdentifierAmbiguous':
      return identifierText(refusal);
    case 'BadExpression':
    case 'PatternKnown':
    case 'TooManyPatterns':
      return patternText(refusal);
    case 'NoDeviceState':
      return `capture ${refusal.capture} of VM ${refusal.vm} has no device state (it was recorded from an image), so it can be restored to a file but not resumed`;
    default:
      return refusal satisfies never;
  }
}
