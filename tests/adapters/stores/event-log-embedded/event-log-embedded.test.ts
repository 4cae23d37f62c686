// The embedded event log is an event log.

import { readdirSync } from 'node:fs';
import { eventLogContract } from '../../../contracts/event-log.ts';
import { EmbeddedLogFolder } from '../../../support/logs/embedded-logs.ts';

eventLogContract('in files', async () => {
  const folder = await EmbeddedLogFolder.make();
  return {
    log: await folder.open(),
    another: () => folder.open(),
    reopen: async () => {
      await folder.closeLogs();
      return folder.open();
    },
    openCount: () => readdirSync('/proc/self/fd').length,
    close: () => folder.remove(),
  };
});
