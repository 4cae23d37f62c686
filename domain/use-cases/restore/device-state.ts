// A capture's device state, put together again from the pages that its event refers to.

import { deviceOfParts, type DeviceState } from '../../values/device-state.ts';
import { LedgerError } from '../../values/ledger-error.ts';
import type { PageColumns } from '../../events/pages-written.ts';
import { PAGE_BYTES, pagesOf } from '../../values/page.ts';
import { UNKNOWN } from '../../values/holding.ts';
import type { PageReader } from '../pages/page-reader.ts';

/** The device state whose pages hold `holdings`. POINT_DAMAGED where a pack of it is not known. */
export async function readDevice(
  reader: PageReader,
  { columns, holdings }: { readonly columns: PageColumns; readonly holdings: Uint32Array },
): Promise<DeviceState> {
  if (holdings.includes(UNKNOWN))
    throw new LedgerError(
      'POINT_DAMAGED',
      `the device state of capture ${columns.capture} is lost: the event of a pack that holds it is damaged; run \`pageledger verify\``,
      { capture: columns.capture },
    );
  const bytes = await reader.read(holdings, new Uint8Array(holdings.length * PAGE_BYTES));
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const length of columns.parts) {
    if (at + length > bytes.length)
      throw new LedgerError(
        'EVENT_INVALID',
        `the device state of capture ${columns.capture} claims ${length} bytes where ${bytes.length - at} are left; run \`pageledger verify\``,
        { capture: columns.capture },
      );
    parts.push(bytes.slice(at, at + length));
    at += pagesOf(length) * PAGE_BYTES;
  }
  const device = deviceOfParts(parts);
  if (device !== null) return device;
  throw new LedgerError(
    'EVENT_INVALID',
    `the device state of capture ${columns.capture} has ${parts.length} parts where three belong; run \`pageledger verify\``,
    { capture: columns.capture, found: parts.length },
  );
}
