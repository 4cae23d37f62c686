// The values that golden bytes of what is let go of where it lies were made of.

import type { ControlEvent } from '../../../domain/events/control.ts';

/** As schema 2 has it: slots of a pack in which contents lie. */
export const GOLDEN_RELEASED: ControlEvent = {
  type: 'ContentReleased',
  data: {
    seen: { vm: 'web-1', capture: 9 },
    packs: [{ pack: 'ab'.repeat(32), slots: '0580' }],
    areLying: true,
  },
};
