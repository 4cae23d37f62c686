// A row: what JSON says, on the command line and wherever else a face gives one out.

import { escapedJson } from './escaped-text.ts';

export type Row = Readonly<Record<string, unknown>>;

const replacer = (_key: string, value: unknown): unknown =>
  typeof value === 'bigint' ? String(value) : value;

/** An object as a line. */
export const jsonLine = (row: Row): string => `${escapedJson(JSON.stringify(row, replacer))}\n`;

/** An instant as JSON and people read it. */
export { instantText as isoTime } from '../../../domain/values/instant.ts';
