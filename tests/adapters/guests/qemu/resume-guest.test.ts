import { describe, expect, test } from '@jest/globals';
import { resumeGuest } from '../../../../adapters/guests/qemu/resume-guest.ts';
import { failureOf } from '../../../support/outcomes.ts';

const resume = (words: string, diskOk = false) =>
  failureOf(
    resumeGuest({
      command: words.split(' ').filter((word) => word !== ''),
      restore: () => Promise.resolve(),
      diskOk,
      timeoutMs: 2_000,
    }),
  );

describe('resuming a guest', () => {
  test('with a disk it can write to is refused, and names the disk', async () => {
    const error = await resume('qemu-system-x86_64 -hda disk.img');
    expect(error.code).toBe('GUEST_DISK');
    expect(error.message).toContain('-hda disk.img');
  });

  test.each(['-incoming defer', '-daemonize'])('with %s is refused', async (words) => {
    const error = await resume(`qemu-system-x86_64 ${words}`);
    expect(error.code).toBe('QEMU_FAILED');
    expect(error.message).toContain(words.split(' ')[0]!);
  });

  test('without a command is refused', async () => {
    expect((await resume('')).code).toBe('QEMU_FAILED');
  });

  test('with a program that is not there is MISSING_TOOL', async () => {
    const error = await resume('/nowhere/qemu-system-x86_64 -m 64');
    expect(error.code).toBe('MISSING_TOOL');
  });

  test('with a program that ends at once tells how and what it said', async () => {
    const error = await resume('sh no-such-script', true);
    expect(error.code).toBe('QEMU_FAILED');
    expect(error.message).toContain('no-such-script');
  });

  test('with a disk that is said to be right is not refused for it', async () => {
    expect((await resume('/nowhere/qemu -hda disk.img', true)).code).toBe('MISSING_TOOL');
  });

  test('with a program that never listens is given up', async () => {
    const error = await resume('tail -f /dev/null --', true);
    expect(error.code).toBe('QEMU_FAILED');
  });
});
