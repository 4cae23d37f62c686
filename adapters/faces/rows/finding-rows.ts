// A finding of `verify` as a row.

import type { Finding } from '../../../domain/values/finding.ts';
import type { Row } from './row.ts';

export const findingRow = ({ kind, where, affects, reason, isNote }: Finding): Row => ({
  kind,
  where,
  affects,
  reason,
  note: isNote ?? false,
});
