// What help says of all commands alike.

/** What points are, where a command takes one. */
export const POINTS = `
Points: latest, @N (Nth capture), pos:N, time:2026-11-20T10:00:00Z, ago:10s,
  cp:NAME; web@3 and web/cp:NAME name their VM too, in place of --vm`;
/** Likewise durations. */
export const DURATIONS = `
Durations: 500ms, 5s, 90m, 24h, 7d`;
/** What holds of all commands. */
export const NOTES = `${POINTS}${DURATIONS}
Times: 2026-11-20, 2026-11-20T10:00, 10:00, yesterday; UTC unless they bear a
  zone (Z, +02:00) or --local is said
Exit codes: 0 done, 1 failed, 2 bad usage, 3 damage found, 4 somebody else is
  at it, 5 not there, 6 a server, guest or disk does not answer or is full, 130
  and 143 interrupted
Environment: PAGELEDGER (the ledger), PAGELEDGER_KEYS (keys of a ledger on
  servers), XDG_STATE_HOME (what a host keeps of such a ledger), TMPDIR,
  NO_COLOR (no colours); AWS_... for buckets
\`pageledger COMMAND --help\` has examples, \`pageledger man\` is the manual page`;
