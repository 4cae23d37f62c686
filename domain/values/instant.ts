// Instants and durations as people write them. An instant is UTC where it bears no zone; who asks may
// mean another one. A day that no calendar has is no instant: nothing is carried over into the next
// month.

/** How the clocks on the wall of a place stand; milliseconds since 1970, as if they were UTC. */
export interface Zone {
  wallMs(instantMs: number): number;
  instantMs(wallMs: number): number;
}

export const UTC: Zone = { wallMs: (ms) => ms, instantMs: (ms) => ms };

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: MINUTE_MS,
  h: HOUR_MS,
  d: DAY_MS,
};

/** Milliseconds of a duration such as `10s`, `500ms`, `1.5h`; null where it is none. */
export function durationMs(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/u.exec(text);
  return match === null ? null : Number(match[1]) * UNIT_MS[match[2]!]!;
}

/** A length of time as a person says it, in the largest unit of which it is one at least: `3h`. */
export function durationText(ms: number): string {
  const units = Object.entries(UNIT_MS).toReversed();
  const [unit, unitMs] = units.find(([, one]) => ms >= one) ?? ['s', 1000];
  return unit === 'ms' ? '0s' : `${Math.floor(ms / unitMs)}${unit}`;
}

/** A day of the calendar; the month from 1. */
export interface CalendarDay {
  readonly year: number;
  readonly month: number;
  readonly day: number;
}

/** Days of 400 years, after which the calendar begins anew, and days from 1 March 0000 to 1970. */
const ERA_DAYS = 146_097;
const EPOCH_DAYS = 719_468;

/** Days since 1970 of a day; years begin in March inside, so that the leap day is the last. */
export function dayNumberOf({ year, month, day }: CalendarDay): number {
  const shifted = month > 2 ? year : year - 1;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  const leapDays = Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100);
  return era * ERA_DAYS + yearOfEra * 365 + leapDays + dayOfYear - EPOCH_DAYS;
}

/** The day of a number of days since 1970. */
export function calendarDayOf(dayNumber: number): CalendarDay {
  const days = dayNumber + EPOCH_DAYS;
  const era = Math.floor(days / ERA_DAYS);
  const dayOfEra = days - era * ERA_DAYS;
  const leapDays =
    Math.floor(dayOfEra / 1460) - Math.floor(dayOfEra / 36_524) + Math.floor(dayOfEra / 146_096);
  const yearOfEra = Math.floor((dayOfEra - leapDays) / 365);
  const dayOfYear =
    dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shifted = Math.floor((5 * dayOfYear + 2) / 153);
  const month = shifted < 10 ? shifted + 3 : shifted - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  return { year, month, day: dayOfYear - Math.floor((153 * shifted + 2) / 5) + 1 };
}

const DATE = /^(\d{4})-(\d{2})-(\d{2})$/u;
const TIME = /^(\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?(Z|[+-]\d{2}:?\d{2})?$/u;

/** Days since 1970 of a date, or a sentence that says why it is none. */
function dayNumberIn(text: string): number | string {
  const match = DATE.exec(text);
  if (match === null) return `${text} is no date as 2026-11-28`;
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])];
  const dayNumber = dayNumberOf({ year, month, day });
  const found = calendarDayOf(dayNumber);
  return found.year === year && found.month === month && found.day === day
    ? dayNumber
    : `the calendar has no ${text}`;
}

interface TimeOfDay {
  readonly ms: number;
  /** What the zone is ahead of UTC; null: none is named. */
  readonly aheadMs: number | null;
}

function aheadMsIn(zone: string): number | null {
  if (zone === 'Z') return 0;
  const [hours, minutes] = [Number(zone.slice(1, 3)), Number(zone.slice(-2))];
  if (hours > 23 || minutes > 59) return null;
  return (zone.startsWith('-') ? -1 : 1) * (hours * HOUR_MS + minutes * MINUTE_MS);
}

function timeOfDayIn(text: string): TimeOfDay | string {
  const match = TIME.exec(text);
  if (match === null) return `${text} is no time of day as 12:25 or 12:25:30Z`;
  const [hours, minutes, seconds] = [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)];
  if (hours > 23 || minutes > 59 || seconds > 59) return `no day has a time ${text}`;
  const aheadMs = match[5] === undefined ? null : aheadMsIn(match[5]);
  if (match[5] !== undefined && aheadMs === null) return `there is no zone ${match[5]}`;
  const fraction = Number(`0.${match[4] ?? 0}`) * 1000;
  return { ms: hours * HOUR_MS + minutes * MINUTE_MS + seconds * 1000 + fraction, aheadMs };
}

/** What an instant is told from. */
export interface InstantContext {
  readonly nowMs: number;
  /** Of times that bear no zone. */
  readonly zone: Zone;
}

/**
 * Milliseconds since 1970 of `2026-11-28T12:25:30.5+01:00`, with less of it (`2026-11-28T12:25`; a day
 * is its beginning), of `12:25` (today) and `yesterday` (its beginning). A string says why it is none.
 */
export function instantMs(text: string, { nowMs, zone }: InstantContext): number | string {
  const today = Math.floor(zone.wallMs(nowMs) / DAY_MS);
  if (text === 'yesterday') return zone.instantMs((today - 1) * DAY_MS);
  const [first, second] = text.includes('T') ? text.split(/T(.*)/su) : [text];
  const isTime = second === undefined && first!.includes(':');
  const day = isTime ? today : dayNumberIn(first!);
  if (typeof day === 'string') return day;
  const time = isTime ? first! : (second ?? '00:00');
  const of = timeOfDayIn(time);
  if (typeof of === 'string') return of;
  if (of.aheadMs === null) return zone.instantMs(day * DAY_MS + of.ms);
  // A time alone that bears a zone is of the day that it is there.
  const there = isTime ? Math.floor((nowMs + of.aheadMs) / DAY_MS) : day;
  return there * DAY_MS + of.ms - of.aheadMs;
}

const padded = (value: number, digits: number): string => String(value).padStart(digits, '0');

/** An instant as `2026-11-28T12:25:00.000Z`, as ISO 8601 has it. */
export function instantText(ms: number): string {
  const whole = Math.trunc(ms);
  const dayNumber = Math.floor(whole / DAY_MS);
  const { year, month, day } = calendarDayOf(dayNumber);
  const rest = whole - dayNumber * DAY_MS;
  const sign = year < 0 ? '-' : '+';
  const years = year >= 0 && year <= 9999 ? padded(year, 4) : `${sign}${padded(Math.abs(year), 6)}`;
  const [hours, minutes] = [Math.floor(rest / HOUR_MS), Math.floor(rest / MINUTE_MS) % 60];
  const time = `${padded(hours, 2)}:${padded(minutes, 2)}:${padded(Math.floor(rest / 1000) % 60, 2)}`;
  return `${years}-${padded(month, 2)}-${padded(day, 2)}T${time}.${padded(rest % 1000, 3)}Z`;
}
