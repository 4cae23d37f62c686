import { expect, test } from '@jest/globals';
import { MigrationOutcome } from '../../../../adapters/guests/qemu/migration-outcome.ts';
import { Qmp } from '../../../../adapters/guests/qemu/qmp.ts';

/** A monitor that tells what a test makes it tell, and does nothing. */
class ToldQmp extends Qmp {
  readonly path = 'told';
  readonly version = '7.2.22';
  readonly lost = null;
  readonly hasEvents = true;
  readonly stragglesMs = 0;
  execute = (): Promise<unknown> => Promise.resolve({});
  process = () => Promise.resolve({ process: null, reason: 'there is none' });
  share<A>(start: (descriptor: 'ignore') => A): A {
    return start('ignore');
  }
  leave(): void {
    // Nothing to leave.
  }
  close(): void {
    // Nothing to close.
  }
  say(status: string): void {
    this.tell({ event: 'MIGRATION', data: { status }, timeMs: 0 });
  }
  protected misshapen(found: string): never {
    throw new TypeError(found);
  }
}

test.each(['completed', 'failed', 'cancelled'])(
  'a migration has %s when that is told of it, not of the one before',
  async (status) => {
    const qmp = new ToldQmp();
    const outcome = new MigrationOutcome(qmp);
    qmp.say('completed');
    expect(await outcome.within(0)).toBeNull();
    qmp.say('setup');
    expect(await outcome.within(0)).toBeNull();
    qmp.say('active');
    qmp.say(status);
    expect(await outcome.within(0)).toBe(status);
    outcome.close();
  },
);
