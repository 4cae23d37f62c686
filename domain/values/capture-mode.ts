// How a capture was taken. What tells one mode from another is whether a device state belongs to it.

/** Every mode that a capture is recorded with; docs/events.md says what each is. */
export const CAPTURE_MODES = [
  'image',
  'core',
  'stream',
  'background-snapshot',
  'migrate',
  'clone',
  'other',
] as const;
export type CaptureMode = (typeof CAPTURE_MODES)[number];

export const isCaptureMode = (text: string): text is CaptureMode =>
  (CAPTURE_MODES as readonly string[]).includes(text);

/** The mode that a text says: what it does not know is `other`, since once any text was written. */
export const captureModeOf = (text: string): CaptureMode => (isCaptureMode(text) ? text : 'other');

/** Whether a capture of this mode comes with a device state, or may: of one not known nobody can say. */
export function mayHaveDevice(mode: CaptureMode): boolean {
  switch (mode) {
    case 'image':
    case 'core':
      return false;
    case 'stream':
    case 'background-snapshot':
    case 'migrate':
    case 'clone':
    case 'other':
      return true;
    default:
      return mode satisfies never;
  }
}
