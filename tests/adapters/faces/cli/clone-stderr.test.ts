import { expect, test } from '@jest/globals';
import { CloneStderr } from '../../../../adapters/faces/cli/clone-stderr.ts';

const KEPT = 'qemu: ram_block_discard_range: Failed to fallocate pc.ram:4bbb000 +1000 (-95)\n';

test('what clones say is shown line by line, and pages that their guests give back are told of once', () => {
  const written: string[] = [];
  let kept = 0;
  const stderr = new CloneStderr({
    write: (text) => written.push(text),
    onKeptPages: () => {
      kept += 1;
    },
  });
  const [one, other] = [stderr.ofOne(), stderr.ofOne()];
  one('qemu: warn');
  other(`${KEPT}qemu: \u001b[31mred\n`);
  one(`ing: slow\r\n${KEPT.slice(0, 20)}`);
  one(`${KEPT.slice(20)}${KEPT}`);
  expect(written).toEqual(['qemu: \\u001b[31mred\n', 'qemu: warning: slow\n']);
  expect(kept).toBe(1);
});

test('a line without an end is shown in parts', () => {
  const written: string[] = [];
  const stderr = new CloneStderr({
    write: (text) => written.push(text),
    onKeptPages: () => undefined,
  });
  const one = stderr.ofOne();
  one('a'.repeat(5000));
  one('b\n');
  expect(written).toEqual([`${'a'.repeat(5000)}\n`, 'b\n']);
});
