// What people are told while readings wait for packs that are away.

import type { Command } from 'commander';
import type { Waiting } from '../../wiring/restore/patient-reading.ts';
import { tell, warn } from './session.ts';

/** The same of a memory server. */
export const farWaitingTold = (command: Command): Waiting => ({
  onAway: ({ message }) => warn(command, `readings wait for the memory server: ${message}`),
  onBack: () => tell(command, 'the memory server is there again'),
});

export const waitingTold = (command: Command): Waiting => ({
  onAway: ({ message }) => warn(command, `the packs are away, and readings wait: ${message}`),
  onBack: () => tell(command, 'the packs are there again'),
});
