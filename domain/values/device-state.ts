// What a guest has beside its memory, as QEMU writes it: one object on its way from the guest to the
// event, whose parts are kept in this order (docs/events.md, DeviceStateWritten).

export interface DeviceState {
  /** Header and configuration of the stream, verbatim. */
  readonly head: Uint8Array;
  /** The devices' FULL sections, verbatim, without the EOF that ends them. */
  readonly sections: Uint8Array;
  /** The JSON that describes the sections. */
  readonly description: Uint8Array;
}

export const partsOfDevice = ({
  head,
  sections,
  description,
}: DeviceState): readonly Uint8Array[] => [head, sections, description];

/** The device state of these parts; null where they are not the parts of one. */
export function deviceOfParts(parts: readonly Uint8Array[]): DeviceState | null {
  const [head, sections, description, ...more] = parts;
  if (head === undefined || sections === undefined || description === undefined) return null;
  return more.length === 0 ? { head, sections, description } : null;
}
