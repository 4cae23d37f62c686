// A guest of a few pages that was put together, recorded with its devices and its command line.

import { openLedger, openRecorder } from '../../../index.ts';
import type { DeviceState } from '../../../domain/values/device-state.ts';
import { flatMap } from '../../../domain/values/memory-map.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { valueOf } from '../outcomes.ts';
import { memorySource } from './memory-guest.ts';

const PAGES = 4;

/** Records a guest as the next capture of a VM, in a ledger that is made where there is none. */
export async function recordSmallGuest(
  url: string,
  of: {
    readonly vm: string;
    readonly device: DeviceState;
    readonly argv: readonly string[];
  },
): Promise<void> {
  const { vm, device, argv } = of;
  const ledger = await openLedger({ url, mode: 'create', threads: 0 });
  const recorder = await openRecorder(ledger, { vm, group: null });
  const source = memorySource({
    pages: new Uint8Array(PAGES * PAGE_BYTES).fill(7),
    memoryMap: flatMap(PAGES),
    device,
    argv,
    timeMs: 1e12,
    pauseMs: 1,
    mode: 'migrate',
    source: '/run/guest.qmp',
  });
  await recorder.record(await valueOf(source.capture()));
  await recorder.close();
  await ledger.close();
}
