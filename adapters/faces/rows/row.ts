// A row: what JSON says, on the command line and wherever else a face gives one out.

import { jsonValue } from '../../../domain/values/json-value.ts';
import { escapedJson } from './escaped-text.ts';

export type Row = Readonly<Record<string, unknown>>;

/** An object as a line. */
export const jsonLine = (row: Row): string => `${escapedJson(JSON.stringify(row, jsonValue))}\n`;

/** An instant as JSON and people read it. */
export { instantText as isoTime } from '../../../domain/values/instant.ts';
