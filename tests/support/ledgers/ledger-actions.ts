// What commands that change a ledger do to it, each on a disk in memory that has a small ledger, with
// what it must give back before, afterwards, and after the command was given once more.

import type { FilePort } from '../../../adapters/files/file-port.ts';
import { copyLedger } from '../../../adapters/wiring/copy/copy.ts';
import { dropCheckpoint, dropVm, forgetPoints } from '../../../adapters/wiring/forget/forget.ts';
import { exportGroup, importGroup } from '../../../adapters/wiring/ledger/groups.ts';
import { addPattern } from '../../../adapters/wiring/ledger/patterns.ts';
import { repair } from '../../../adapters/wiring/verify/repair.ts';
import { compact, openLedger, restoreToFile, retireVm, takeCheckpoint } from '../../../index.ts';
import type { Ledger, LedgerMode } from '../../../index.ts';
import type { LossyFiles } from '../../simulation/lossy-files.ts';
import { freshDisk, memoryOf, recordTable, WorldModel } from './compaction-world.ts';

const URL = '/disk/ledger';
const COPY_URL = '/disk/copy';
const RESTORED = '/disk/out/restored';
const PACKS = `${URL}/packs`;

export interface LedgerAction {
  readonly name: string;
  /** The disk as it is before. */
  readonly disk: LossyFiles;
  readonly run: (files: FilePort) => Promise<void>;
  /** What the ledger gives back before, afterwards, and after the action was repeated. */
  readonly before: WorldModel;
  readonly after: WorldModel;
  readonly again: WorldModel;
  /** What is wrong besides, once the action was acknowledged. */
  readonly faults: (files: FilePort) => Promise<string[]>;
  /** Before it, the ledger is damaged. */
  readonly isDamaged?: true;
}

type Change = (model: WorldModel) => void;

interface ActionRequest {
  readonly run: (files: FilePort) => Promise<void>;
  readonly disk?: LossyFiles;
  readonly base?: Change;
  readonly change?: Change;
  /** Absent: as once. */
  readonly repeated?: Change;
  readonly faults?: (files: FilePort) => Promise<string[]>;
  readonly isDamaged?: true;
}

export const openAt = (files: FilePort, mode: LedgerMode, url = URL): Promise<Ledger> =>
  openLedger({ url, mode, threads: 0, files });

/** Opens the ledger, works, closes it. */
async function withOpen(
  files: FilePort,
  work: (ledger: Ledger) => Promise<unknown>,
  { mode = 'write', url = URL }: { readonly mode?: LedgerMode; readonly url?: string } = {},
): Promise<void> {
  const ledger = await openAt(files, mode, url);
  try {
    await work(ledger);
  } finally {
    await ledger.close();
  }
}

const TABLES = {
  a: [
    [32, 48, 1, 64],
    [33, 48, 1, 65],
    [34, 49, 4, 65],
  ],
  b: [[32, 80, 2, 3]],
  d: [[36, 1, 32, 3]],
} as const;
const NEXT = [35, 48, 0, 66];

const worldBefore: Change = (model) => {
  for (const [vm, tables] of Object.entries(TABLES)) model.vm(vm).captures.push(...tables);
  model.vm('a').checkpoints.set('named', 1);
};

/** Records the ledger. */
async function makeDisk(folder: string): Promise<LossyFiles> {
  const files = freshDisk();
  await files.makeFolder('/disk/out');
  const record = (ledger: Ledger, vm: string, table: readonly number[]): Promise<unknown> =>
    recordTable(ledger, { vm, group: null, table, folder });
  await withOpen(
    files,
    async (ledger) => {
      await record(ledger, 'a', TABLES.a[0]);
      await record(ledger, 'b', TABLES.b[0]);
      await record(ledger, 'd', TABLES.d[0]);
      await record(ledger, 'a', TABLES.a[1]);
      await record(ledger, 'a', TABLES.a[2]);
      await takeCheckpoint(ledger, { vm: 'a', name: 'named', capture: 1 });
    },
    { mode: 'create' },
  );
  return files;
}

/** The disk once something more was done. */
async function after(
  disk: LossyFiles,
  work: (files: LossyFiles) => Promise<unknown>,
): Promise<LossyFiles> {
  const files = disk.copy();
  await work(files);
  return files.copy();
}

function modelOf(...changes: readonly (Change | undefined)[]): WorldModel {
  const model = new WorldModel();
  for (const change of changes) change?.(model);
  return model;
}

function actionOf(name: string, disk: LossyFiles, request: ActionRequest): LedgerAction {
  const { run, base = worldBefore, change, repeated, isDamaged } = request;
  return {
    name,
    disk: request.disk ?? disk,
    run,
    before: modelOf(base),
    after: modelOf(base, change),
    again: modelOf(base, change, repeated),
    faults: request.faults ?? (() => Promise.resolve([])),
    ...(isDamaged === undefined ? {} : { isDamaged }),
  };
}

/** Copies the ledger to the other place. */
const copy = (files: FilePort): Promise<void> =>
  withOpen(
    files,
    (from) => withOpen(files, (to) => copyLedger({ from, to }), { mode: 'create', url: COPY_URL }),
    { mode: 'read' },
  );

async function copyFaults(files: FilePort): Promise<string[]> {
  let faults: string[] = [];
  await withOpen(
    files,
    async (ledger) => {
      await ledger.state.catchUp({ heavy: true });
      faults = await modelOf(worldBefore).faults(ledger);
    },
    { mode: 'read', url: COPY_URL },
  );
  return faults.map((fault) => `the copy: ${fault}`);
}

const restore = (files: FilePort): Promise<void> =>
  withOpen(
    files,
    async (ledger) => {
      const entry = ledger.vm('a');
      const row = ledger.resolve(entry, '@2');
      const target = { path: RESTORED, isForced: true, format: 'raw' } as const;
      await restoreToFile(ledger, { entry, row }, target);
    },
    { mode: 'read' },
  );

async function restoredFaults(files: FilePort): Promise<string[]> {
  const bytes = await files.load(RESTORED, 2 ** 20);
  if (bytes !== null && Buffer.from(memoryOf(TABLES.a[1])).equals(bytes)) return [];
  return ['the file has other memory'];
}

/** Spoils a byte of the first pack. */
async function spoilPack(files: LossyFiles): Promise<void> {
  for (const folder of await files.list(PACKS))
    for (const name of await files.list(`${PACKS}/${folder}`)) {
      const file = await files.open(`${PACKS}/${folder}/${name}`, 'edit');
      const last = new Uint8Array(1);
      const at = (await file.sizeBytes()) - 1;
      await file.read(last, at);
      return file.write(Uint8Array.of(last[0]! ^ 1), at);
    }
}

const repairFromCopy = (files: FilePort): Promise<void> =>
  withOpen(files, (ledger) =>
    withOpen(
      files,
      (from) =>
        repair(ledger, { from, images: [], isConfirmed: true, onProgress: () => undefined }),
      { mode: 'read', url: COPY_URL },
    ),
  );

const forgetOld = (files: FilePort): Promise<void> =>
  withOpen(files, (ledger) => forgetPoints(ledger, { vm: 'a', before: '@3' }));

const forgotten: Change = (model) => {
  model.forgetBefore('a', 3);
};

/** All of them. Images that are recorded go through `folder`. */
export async function ledgerActions(folder: string): Promise<readonly LedgerAction[]> {
  const disk = await makeDisk(folder);
  const action = (name: string, request: ActionRequest): LedgerAction =>
    actionOf(name, disk, request);
  const recorded: Change = (model) => void model.vm('a').captures.push(NEXT);
  const dropped: Change = (model) => {
    model.vm('d').isRetired = true;
    model.forgetBefore('d', 2);
  };
  let keyText = '';
  await withOpen(
    disk.copy(),
    async (ledger) => {
      keyText = await exportGroup(ledger, 'default');
    },
    { mode: 'read' },
  );
  return [
    action('init', {
      disk: freshDisk(),
      base: () => undefined,
      run: (files) => withOpen(files, () => Promise.resolve(), { mode: 'init' }),
    }),
    action('record', {
      run: (files) =>
        withOpen(files, (ledger) =>
          recordTable(ledger, { vm: 'a', group: null, table: NEXT, folder }),
        ),
      change: recorded,
      repeated: recorded,
    }),
    action('checkpoint', {
      run: (files) =>
        withOpen(files, (ledger) => takeCheckpoint(ledger, { vm: 'a', name: 'two', capture: 2 })),
      change: (model) => void model.vm('a').checkpoints.set('two', 2),
    }),
    action('checkpoint --drop', {
      run: (files) =>
        withOpen(files, (ledger) => dropCheckpoint(ledger, { vm: 'a', name: 'named' })),
      change: (model) => void model.vm('a').checkpoints.delete('named'),
    }),
    action('forget', { run: forgetOld, change: forgotten }),
    action('compact', {
      disk: await after(disk, forgetOld),
      base: (model) => {
        worldBefore(model);
        forgotten(model);
      },
      run: (files) => withOpen(files, (ledger) => compact(ledger, { graceMs: 0, isDryRun: false })),
    }),
    action('copy', { run: copy, faults: copyFaults }),
    action('verify --repair', {
      disk: await after(disk, async (files) => {
        await copy(files);
        await spoilPack(files);
      }),
      run: repairFromCopy,
      isDamaged: true,
    }),
    action('retire', {
      run: (files) => withOpen(files, (ledger) => retireVm(ledger, 'd')),
      change: (model) => {
        model.vm('d').isRetired = true;
      },
    }),
    action('drop', {
      run: (files) => withOpen(files, (ledger) => dropVm(ledger, 'd')),
      change: dropped,
    }),
    action('group import', {
      disk: await after(disk, (files) => files.remove(`${URL}/keys/default.key`)),
      run: (files) =>
        withOpen(files, (ledger) => importGroup(ledger, { text: keyText, where: 'there' })),
    }),
    action('patterns add', {
      run: (files) =>
        withOpen(files, (ledger) =>
          addPattern(ledger, String.raw`(?:\xde\xad\xbe\xef\x01\x02\x03)+`),
        ),
    }),
    action('restore', { run: restore, faults: restoredFaults }),
  ];
}
