// A QEMU that is being started ends with whoever starts it; one that was released does not.

import { spawnSync } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { processesWith } from '../../../support/processes/processes.ts';

const PROGRAM = new URL('../../../../adapters/guests/qemu/starting-qemu.js', import.meta.url);

/** Starts a program as a QEMU, does something with it, and exits; the mark of its command line. */
function started(number: number, then: string): string {
  const seconds = `1000.${process.pid}${number}`;
  const script = `
    import { StartingQemu } from ${JSON.stringify(PROGRAM.href)};
    const qemu = new StartingQemu({ command: ['sleep', '${seconds}'] }, []);
    ${then}
    process.exit(0);`;
  const words = ['--input-type=module', '--eval', script];
  expect(spawnSync(process.execPath, words).status).toBe(0);
  return `sleep\0${seconds}`;
}

describe('a QEMU that is being started', () => {
  test('ends with the process that starts it', async () => {
    const mark = started(1, '');
    const isThere = (): boolean => processesWith(mark).length > 0;
    for (let tries = 0; isThere() && tries < 400; tries += 1) await delay(5);
    expect(isThere()).toBe(false);
  });

  test('is left to the caller once it is released', () => {
    const left = processesWith(started(2, 'qemu.release();'));
    for (const pid of left) process.kill(Number(pid), 'SIGKILL');
    expect(left).toHaveLength(1);
  });
});
