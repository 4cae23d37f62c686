// A recording in the middle of which something happens: when all of a capture was stored, and before it
// is committed.

import { openRecorder, type Ledger } from '../../../index.ts';
import { openImage } from '../guest/open-image.ts';
import type { GuestCapture } from '../../../domain/ports/guests.ts';
import { valueOf } from '../outcomes.ts';

/** Records a file as a capture of a VM; `between` runs each time the capture was stored. */
export async function recordBetween(
  ledger: Ledger,
  of: { readonly vm: string; readonly path: string; readonly between: () => Promise<void> },
): Promise<void> {
  const { vm, path, between } = of;
  const recorder = await openRecorder(ledger, { vm, group: null });
  try {
    const source = await valueOf(openImage({ path, timeMs: null, clock: Date.now }));
    try {
      const captured = await valueOf(source.capture());
      const mayHaveChanged = async (): Promise<boolean> => {
        await between();
        return false;
      };
      const watched: GuestCapture = { ...captured, mayHaveChanged };
      await recorder.record(watched);
    } finally {
      source.close();
    }
  } finally {
    await recorder.close();
  }
}
