// Whatever device QEMU can be built with here, the stream of its guest is read to the last byte, or
// refused by the name of what is in it.
//
// PAGELEDGER_DEVICES: `all` of them (`npm run test:long`), else a few of each kind.

import { createReadStream } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { programPath, QEMU_PROGRAM } from '../../../../adapters/guests/demo-guest/tools.ts';
import { sourceOfChunks } from '../../../../adapters/guests/qemu/byte-window.ts';
import { Spool } from '../../../../adapters/guests/qemu/spool.ts';
import { readStream } from '../../../../adapters/guests/qemu/stream-reader.ts';
import { isLedgerError } from '../../../../domain/values/ledger-error.ts';
import { deviceNames, deviceStream } from '../../../support/guest/device-guests.ts';
import { GUEST_TIMEOUT_MS } from '../../../support/guest/real-guest.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../../support/temporary-folder.ts';

const QEMU = programPath(QEMU_PROGRAM);
const IS_LONG = process.env['PAGELEDGER_DEVICES'] === 'all';
const FEW = [
  'ahci',
  'e1000',
  'nvme',
  'pc-dimm',
  'qemu-xhci',
  'scsi-hd',
  'virtio-balloon-pci',
  'virtio-net-pci',
  'virtio-serial-pci',
  'VGA',
];
const DEVICES = QEMU === null ? [] : IS_LONG ? deviceNames(QEMU) : FEW;
const LONG_MS = GUEST_TIMEOUT_MS + DEVICES.length * 20_000;

(QEMU === null ? describe.skip : describe)('streams of guests with one device', () => {
  let folder: TemporaryFolder;
  const spool = new Spool();
  beforeAll(async () => {
    folder = await makeTemporaryFolder();
  });
  afterAll(async () => {
    spool.close();
    await folder.remove();
  });

  async function readOrRefused(device: string): Promise<string> {
    const { path, reason } = deviceStream(QEMU ?? '', folder.path, device);
    if (path === null) return `not tried: ${reason}`;
    const source = sourceOfChunks(createReadStream(path));
    try {
      await readStream({ source, spool, label: device });
      return 'read';
    } catch (error) {
      if (isLedgerError(error)) return error.message;
      throw error;
    }
  }

  test(
    `are read (${IS_LONG ? 'all devices' : 'a few of each kind'})`,
    async () => {
      const faults: string[] = [];
      const counts = { read: 0, untried: 0 };
      for (const device of DEVICES) {
        const outcome = await readOrRefused(device);
        if (outcome === 'read') counts.read += 1;
        else if (outcome.startsWith('not tried')) counts.untried += 1;
        else faults.push(`${device}: ${outcome}`);
        if (IS_LONG && outcome !== 'read') process.stderr.write(`${device}: ${outcome}\n`);
      }
      if (IS_LONG) process.stderr.write(`${JSON.stringify(counts)}\n`);
      expect(faults).toEqual([]);
      expect(counts.read).toBeGreaterThanOrEqual(FEW.length - 1);
    },
    LONG_MS,
  );
});
