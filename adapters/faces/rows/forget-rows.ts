// What becomes of a capture, as `forget` says it.

import type { ForgetRow } from '../../wiring/forget.ts';
import type { Row } from './row.ts';

export const forgetRow = ({ vm, capture, isKept, reason, bytes }: ForgetRow): Row => ({
  vm,
  capture,
  keep: isKept,
  reason,
  bytes,
});
