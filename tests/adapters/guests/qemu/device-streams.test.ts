// Whatever device QEMU can be built with here: the stream of its guest is read to the last byte, and a
// QEMU of the same command line resumes from what is written of it. docs/qemu.md has the table of what
// came out ("Devices that were tried"), and is held to it.
//
// PAGELEDGER_DEVICES: `all` of them (`npm run test:long`), else a few of each kind; `write` all, and the
// table is written.

import { createReadStream } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { programPath, QEMU_PROGRAM } from '../../../../adapters/guests/demo-guest/tools.ts';
import { sourceOfChunks } from '../../../../adapters/guests/qemu/byte-window.ts';
import { resumeGuest } from '../../../../adapters/guests/qemu/resume-guest.ts';
import { Spool } from '../../../../adapters/guests/qemu/spool.ts';
import { readStream } from '../../../../adapters/guests/qemu/stream-reader.ts';
import { isLedgerError } from '../../../../domain/values/ledger-error.ts';
import {
  devicesOf,
  deviceStream,
  versionOf,
  type Device,
} from '../../../support/guest/device-guests.ts';
import { GUEST_TIMEOUT_MS } from '../../../support/guest/real-guest.ts';
import { restoreTo } from '../../../support/guest/written-streams.ts';
import { MadePart } from '../../../support/made-part.ts';
import {
  makeTemporaryFolder,
  type TemporaryFolder,
} from '../../../support/disks/temporary-folder.ts';

const QEMU = programPath(QEMU_PROGRAM);
const ASKED = process.env['PAGELEDGER_DEVICES'];
const IS_LONG = ASKED === 'all' || ASKED === 'write';
const FEW = new Set([
  'ahci',
  'nvme',
  'pc-dimm',
  'qemu-xhci',
  'scsi-hd',
  'usb-kbd',
  'virtio-net-device',
  'virtio-net-pci',
  'virtserialport',
  'VGA',
]);
const DEVICES = QEMU === null ? [] : devicesOf(QEMU).filter(({ name }) => IS_LONG || FEW.has(name));
const LONG_MS = GUEST_TIMEOUT_MS + DEVICES.length * 20_000;

/** What comes of a device, as the rows of the table. */
const OUTCOMES = {
  resumed: 'recorded, and resumed from',
  read: 'recorded; QEMU itself does not take it back',
  crashed: 'QEMU itself crashes when it migrates the guest: do not record it',
  refused: 'not recorded: QEMU does not migrate it (`QMP_REFUSED`)',
  untried:
    'not tried: QEMU does not start with it here (a device, a server or a module is missing)',
} as const;
type Outcome = keyof typeof OUTCOMES;

const code = (name: string): string => `\`${name}\``;

/** The table of a QEMU's devices, as the document has it. */
function tableOf(names: ReadonlyMap<Outcome, readonly string[]>): string {
  const rows = Object.entries(OUTCOMES).map(([outcome, what]) => {
    const of = names.get(outcome as Outcome) ?? [];
    return `- **${what}** (${of.length}): ${of.map(code).join(', ') || 'none'}.`;
  });
  return rows.join('\n');
}

const DOCUMENTED = new MadePart(
  'docs/qemu.md',
  'tests/adapters/guests/qemu/device-streams.test.ts',
);

(QEMU === null ? describe.skip : describe)('guests with one device', () => {
  let folder: TemporaryFolder;
  const spool = new Spool();
  const faults: string[] = [];
  beforeAll(async () => {
    folder = await makeTemporaryFolder();
  });
  afterAll(async () => {
    spool.close();
    await folder.remove();
  });

  /** What comes of a device; what was not read or not resumed is told. */
  async function outcomeOf(device: Device): Promise<Outcome> {
    const tell = (what: string): void => {
      if (IS_LONG) process.stderr.write(`${device.name}: ${what}\n`);
    };
    const found = deviceStream(QEMU ?? '', folder.path, device);
    if (found.path === null) {
      tell(found.reason);
      return found.because;
    }
    const source = sourceOfChunks(createReadStream(found.path));
    try {
      const captured = await readStream({ source, spool, label: device.name });
      const restore = (target: Parameters<typeof restoreTo>[0]) => restoreTo(target, captured);
      const resumed = await resumeGuest({ command: found.command, restore, diskOk: true })();
      if (resumed._tag === 'Right') {
        resumed.right.process.kill('SIGKILL');
        return 'resumed';
      }
      tell(resumed.left.message);
      return 'read';
    } catch (error) {
      if (!isLedgerError(error)) throw error;
      faults.push(`${device.name}: ${error.message}`);
      return 'read';
    }
  }

  test(
    `are recorded and resumed (${IS_LONG ? 'all devices' : 'a few of each kind'})`,
    async () => {
      const names = new Map<Outcome, string[]>();
      for (const device of DEVICES) {
        const outcome = await outcomeOf(device);
        names.set(outcome, [...(names.get(outcome) ?? []), device.name]);
      }
      expect(faults).toEqual([]);
      if (ASKED === 'write') DOCUMENTED.write(tableOf(names));
      const documented = DOCUMENTED.text.split('\n');
      const isDocumented = (outcome: Outcome, name: string): boolean =>
        documented.some((row) => row.includes(OUTCOMES[outcome]) && row.includes(code(name)));
      // The table is of one version of QEMU's: others migrate more.
      const isDocumentedQemu = versionOf(QEMU ?? '').startsWith('7.2.');
      const undocumented = (isDocumentedQemu ? [...names] : []).flatMap(([outcome, of]) =>
        of.filter((name) => !isDocumented(outcome, name)).map((name) => `${name}: ${outcome}`),
      );
      expect(undocumented).toEqual([]);
    },
    LONG_MS,
  );
});
