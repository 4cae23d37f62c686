// What the domain says no to, what each is, and what to do; refusal-texts.ts has the sentences.

import type { FailureFacts } from './ledger-error.ts';

export type Refusal =
  | { readonly _tag: 'BadVmName'; readonly vm: string }
  | { readonly _tag: 'BadGroupName'; readonly group: string }
  | { readonly _tag: 'BadCheckpointName'; readonly name: string }
  | { readonly _tag: 'BadAttachment'; readonly name: string; readonly why: string }
  | { readonly _tag: 'BadNote'; readonly bytes: number; readonly bytesMax: number }
  | { readonly _tag: 'BadUrl'; readonly url: string; readonly why: string }
  | { readonly _tag: 'CopyOntoItself'; readonly ledger: string }
  | { readonly _tag: 'BadPoint'; readonly text: string; readonly why: string }
  | { readonly _tag: 'BadPlace'; readonly text: string; readonly why: string }
  | { readonly _tag: 'BadPredicate'; readonly text: string; readonly why: string }
  | { readonly _tag: 'BadNeedle'; readonly why: string }
  | { readonly _tag: 'FoundTooOften'; readonly most: number }
  | {
      readonly _tag: 'ProjectionUnknown';
      readonly name: string;
      readonly known: readonly string[];
    }
  | { readonly _tag: 'VmUnknown'; readonly vm: string }
  | { readonly _tag: 'VmRegisteredAlready'; readonly vm: string }
  | { readonly _tag: 'VmRetired'; readonly vm: string }
  | { readonly _tag: 'NoCapture'; readonly vm: string; readonly at: string }
  | {
      readonly _tag: 'MemoryChanged';
      readonly vm: string;
      readonly was: string;
      readonly now: string;
    }
  | {
      readonly _tag: 'AnotherGuest';
      readonly vm: string;
      /** UUIDs of its last capture's guest, and of the one that is there. */
      readonly was: string;
      readonly now: string;
    }
  | {
      readonly _tag: 'ZerosDoubtful';
      readonly vm: string;
      readonly zeroed: number;
      readonly was: number;
    }
  | { readonly _tag: 'NothingBefore'; readonly vm: string }
  | {
      readonly _tag: 'GroupFixed';
      readonly vm: string;
      readonly group: string;
      readonly asked: string;
    }
  | { readonly _tag: 'GroupReserved'; readonly group: string }
  | {
      readonly _tag: 'ShareFixed';
      readonly vm: string;
      readonly share: string;
      readonly asked: string;
    }
  | {
      readonly _tag: 'CheckpointExists';
      readonly vm: string;
      readonly name: string;
      readonly capture: number;
    }
  | { readonly _tag: 'CheckpointUnknown'; readonly vm: string; readonly name: string }
  | { readonly _tag: 'LeaseUnknown'; readonly lease: string }
  | {
      readonly _tag: 'PointForgotten';
      readonly vm: string;
      readonly capture: number;
      /** The nearest captures that are kept, before it and after; null: there is none. */
      readonly before: number | null;
      readonly after: number | null;
    }
  | {
      readonly _tag: 'HistoryForgotten';
      /** Null: all of the ledger's history is meant. */
      readonly vm: string | null;
      readonly at: string;
      /** The first point, or the place after which, there is history. */
      readonly begins: string;
    }
  | { readonly _tag: 'ManyPacksLost'; readonly lost: number; readonly packs: number }
  | { readonly _tag: 'NewestKept'; readonly vm: string; readonly capture: number }
  | {
      readonly _tag: 'GfnOutOfRange';
      readonly vm: string;
      readonly gfn: number;
      readonly pages: number;
    }
  | { readonly _tag: 'AddressUnmapped'; readonly address: number }
  | {
      readonly _tag: 'VirtualUnmapped';
      readonly address: string;
      /** Null: the kernel's memory is meant. */
      readonly pid: number | null;
    }
  | { readonly _tag: 'SymbolUnknown'; readonly name: string; readonly release: string }
  | { readonly _tag: 'ProcessUnknown'; readonly pid: number; readonly point: string }
  | { readonly _tag: 'KernelAmbiguous'; readonly kernels: readonly string[] }
  | { readonly _tag: 'KernelUnknown'; readonly number: number; readonly kernels: number }
  | { readonly _tag: 'RangesUnknown' }
  | {
      readonly _tag: 'BlockUnknown';
      readonly vm: string;
      readonly block: string;
      readonly known: readonly string[];
    }
  | { readonly _tag: 'BadExpression'; readonly why: string }
  | { readonly _tag: 'PatternKnown'; readonly known: string }
  | { readonly _tag: 'TooManyPatterns'; readonly patternsMax: number }
  | { readonly _tag: 'BadIdentifier'; readonly text: string }
  | { readonly _tag: 'IdentifierUnknown'; readonly identifier: string }
  | {
      readonly _tag: 'IdentifierAmbiguous';
      readonly text: string;
      readonly count: number;
      readonly among: readonly string[];
    }
  | { readonly _tag: 'NoDeviceState'; readonly vm: string; readonly capture: number }
  | { readonly _tag: 'BadHostName'; readonly host: string }
  | { readonly _tag: 'HostUnknown'; readonly host: string }
  | { readonly _tag: 'NoHostFits'; readonly vm: string }
  | { readonly _tag: 'GuestNotGiven'; readonly vm: string }
  | { readonly _tag: 'MigrationToItself'; readonly vm: string; readonly host: string }
  | { readonly _tag: 'GuestElsewhere'; readonly vm: string; readonly host: string }
  | { readonly _tag: 'MigrationUnderWay'; readonly vm: string; readonly migration: string }
  | { readonly _tag: 'MigrationOver'; readonly vm: string; readonly migration: string }
  | { readonly _tag: 'NotHandedOver'; readonly vm: string; readonly migration: string }
  | { readonly _tag: 'MigrationInDoubt'; readonly vm: string; readonly migration: string };

/** What each refusal is, and what to do, in the order of docs/errors.md, which holds this too. */
const REFUSALS: Readonly<Record<Refusal['_tag'], FailureFacts>> = {
  BadVmName: { kind: 'usage', advice: 'Choose another name.' },
  BadGroupName: { kind: 'usage', advice: 'Choose another name.' },
  BadCheckpointName: { kind: 'usage', advice: 'Choose another name.' },
  BadAttachment: {
    kind: 'usage',
    advice: 'See to the files that are to be kept beside the capture.',
  },
  BadNote: { kind: 'usage', advice: 'Shorten the note.' },
  BadUrl: {
    kind: 'usage',
    advice:
      'Give a folder, or `esdb://HOST?ledger=NAME`; `--page-store` takes `s3://BUCKET/PREFIX` or a folder.',
  },
  CopyOntoItself: { kind: 'failed', advice: 'Name another target.' },
  BadPoint: { kind: 'usage', advice: 'Write the point as one of those that the message names.' },
  BadPlace: { kind: 'usage', advice: 'Give the `place` of a row, a position, or `latest`.' },
  BadPredicate: {
    kind: 'usage',
    advice: 'Write it as `u64 SYMBOL+8 >= 0x10 and not bytes ADDRESS == 00ff`.',
  },
  BadNeedle: { kind: 'usage', advice: 'Look for 1 to 4096 bytes that are not all zero.' },
  FoundTooOften: { kind: 'usage', advice: 'Look for more bytes, or in one VM with `--vm`.' },
  ProjectionUnknown: {
    kind: 'usage',
    advice: 'Choose one of those that the message names, or give the path of a module.',
  },
  VmUnknown: { kind: 'absent', advice: 'See `pageledger vms`; check `--ledger`.' },
  VmRegisteredAlready: {
    kind: 'failed',
    advice: 'Record into the VM that is there, or choose another name.',
  },
  VmRetired: { kind: 'failed', advice: 'Record under another name.' },
  NoCapture: { kind: 'absent', advice: 'See `pageledger captures`.' },
  MemoryChanged: { kind: 'failed', advice: 'Record under another name.' },
  AnotherGuest: {
    kind: 'failed',
    advice: 'Record under another name, or once without `--follow-guest`, where it is the VM now.',
  },
  ZerosDoubtful: {
    kind: 'failed',
    advice: 'Say `--diff` where its holes are what did not change, `--full` where they are zeros.',
  },
  NothingBefore: { kind: 'failed', advice: 'Record a whole image first.' },
  GroupFixed: { kind: 'failed', advice: 'Leave `--group` out, or record under another name.' },
  GroupReserved: { kind: 'failed', advice: 'Choose another group name.' },
  ShareFixed: { kind: 'failed', advice: 'Leave `--share` out, or record under another name.' },
  CheckpointExists: { kind: 'failed', advice: 'Choose another name.' },
  CheckpointUnknown: { kind: 'absent', advice: 'See `pageledger checkpoints`.' },
  LeaseUnknown: { kind: 'absent', advice: 'See `pageledger leases`: it may have ended.' },
  PointForgotten: {
    kind: 'absent',
    advice: 'Choose a point that is kept: `pageledger captures` marks those that are not.',
  },
  HistoryForgotten: {
    kind: 'absent',
    advice: 'Ask from where history begins; the points that are kept are restored as before.',
  },
  ManyPacksLost: {
    kind: 'damage',
    advice:
      'See that all of this page store is there; then run `pageledger verify --repair --yes`.',
  },
  NewestKept: {
    kind: 'failed',
    advice: 'End the VM with all of its captures: `pageledger drop`.',
  },
  GfnOutOfRange: {
    kind: 'absent',
    advice: 'Give a page of the VM; `pageledger vms --json` shows its memory map.',
  },
  AddressUnmapped: {
    kind: 'absent',
    advice: 'Give an address in memory; `pageledger vms --json` shows the memory map.',
  },
  VirtualUnmapped: {
    kind: 'absent',
    advice: "Give an address that is mapped; with `--pid`, one of that process's.",
  },
  SymbolUnknown: { kind: 'absent', advice: 'See `pageledger symbols` for those that there are.' },
  ProcessUnknown: { kind: 'absent', advice: 'See `pageledger ps` at this point.' },
  KernelAmbiguous: { kind: 'usage', advice: 'Say `--kernel N`.' },
  KernelUnknown: { kind: 'absent', advice: 'Leave `--kernel` out, or give a lower number.' },
  RangesUnknown: { kind: 'failed', advice: 'Restore it with `--format raw --layout packed`.' },
  BlockUnknown: {
    kind: 'absent',
    advice: 'Name a block of the VM, as `pageledger vms --json` shows them.',
  },
  BadExpression: { kind: 'usage', advice: 'See `pageledger patterns` for how they are written.' },
  PatternKnown: { kind: 'failed', advice: 'There is nothing to do: it is recognised.' },
  TooManyPatterns: { kind: 'failed', advice: 'Make another ledger for what needs other patterns.' },
  BadIdentifier: { kind: 'usage', advice: 'Give 64 hex digits, or at least the first 8 of them.' },
  IdentifierUnknown: {
    kind: 'absent',
    advice: 'See `pageledger history` for identifiers of pages.',
  },
  IdentifierAmbiguous: { kind: 'failed', advice: 'Give more digits.' },
  NoDeviceState: {
    kind: 'failed',
    advice:
      'Restore the point to a file, or choose one that was recorded from a live guest or a stream.',
  },
  BadHostName: { kind: 'usage', advice: 'Choose another name.' },
  HostUnknown: { kind: 'absent', advice: 'See `pageledger host list`; `host join` joins one.' },
  NoHostFits: {
    kind: 'absent',
    advice: 'See `pageledger migrate --plan` for what each has; name one with `--to`.',
  },
  GuestNotGiven: {
    kind: 'failed',
    advice: 'Move it from there, or let its host name it: `host serve --give`.',
  },
  MigrationToItself: { kind: 'usage', advice: 'Name another host, or none.' },
  GuestElsewhere: { kind: 'failed', advice: 'Run `pageledger migrate` there.' },
  MigrationUnderWay: {
    kind: 'busy',
    advice: 'Wait until it is over, or end what is left of it: `pageledger migrate --resolve`.',
  },
  MigrationOver: {
    kind: 'failed',
    advice: 'See `pageledger log --type MigrationFailed` for how it ended.',
  },
  NotHandedOver: { kind: 'failed', advice: 'Nothing: the source runs the guest.' },
  MigrationInDoubt: {
    kind: 'failed',
    advice: 'Run `pageledger migrate --resolve` where the target can be asked.',
  },
};

/** The code of a refusal as programs read it: VM_UNKNOWN of VmUnknown. */
const codeOfTag = (tag: string): string => tag.replaceAll(/(?<=[a-z])[A-Z]/gu, '_$&').toUpperCase();

export const refusalCode = ({ _tag }: Refusal): string => codeOfTag(_tag);

export const refusalFacts = ({ _tag }: Refusal): FailureFacts => REFUSALS[_tag];

/** All of them by code, for whoever lists them. */
export const REFUSAL_ERRORS: Readonly<Record<string, FailureFacts>> = Object.fromEntries(
  Object.entries(REFUSALS).map(([tag, facts]) => [codeOfTag(tag), facts]),
);
