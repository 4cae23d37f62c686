import { describe, expect, test } from '@jest/globals';
import {
  ATTACHMENT_BYTES_MAX,
  attachmentOfBytes,
  attachmentsRefusal,
  ATTACHMENTS_MAX,
  bytesOfAttachment,
  noteRefusal,
} from '../../../domain/values/attachment.ts';
import { isRefused } from '../../../domain/values/refused.ts';

describe('names of attachments', () => {
  test.each(['', '.hidden', '../x', 'a/b', '/etc/passwd', 'a b', 'a\\b', 'x'.repeat(129)])(
    '%j is none',
    (name) => {
      expect(attachmentsRefusal(['state', name])).toMatchObject({ _tag: 'BadAttachment', name });
    },
  );

  test('are each once, and few', () => {
    expect(attachmentsRefusal(['a', 'b', 'a'])).toEqual({
      _tag: 'BadAttachment',
      name: 'a',
      why: 'it is given twice',
    });
    const names = Array.from({ length: ATTACHMENTS_MAX + 1 }, (_, i) => `n${i}`);
    expect(attachmentsRefusal(names.slice(1))).toBeNull();
    expect(attachmentsRefusal(names)).toMatchObject({ _tag: 'BadAttachment' });
  });
});

describe('a note', () => {
  test.each([
    ['', false],
    ['x', true],
    ['é'.repeat(512), true],
    ['é'.repeat(513), false],
  ])('of some length is one, or refused', (note, isOne) => {
    expect(noteRefusal(note) === null).toBe(isOne);
  });

  test('may be left out', () => {
    expect(noteRefusal(null)).toBeNull();
  });
});

describe('the bytes of an attachment', () => {
  test('are its pieces, one after the other', async () => {
    const content = async function* content() {
      yield Uint8Array.of(1, 2);
      yield Uint8Array.of(3);
    };
    expect(await bytesOfAttachment({ name: 'a', content }, 3)).toEqual(Uint8Array.of(1, 2, 3));
    expect(await bytesOfAttachment(attachmentOfBytes('b', new Uint8Array(0)), 3)).toHaveLength(0);
  });

  test('are refused as soon as they are too many, however long they go on', async () => {
    let given = 0;
    const content = async function* content() {
      const piece = new Uint8Array(1024 * 1024);
      for (;;) {
        given += piece.length;
        yield piece;
      }
    };
    const refused = await bytesOfAttachment({ name: 'a', content }, Infinity).catch(
      (thrown: unknown) => thrown,
    );
    expect(isRefused(refused) && refused.refusal).toMatchObject({ _tag: 'BadAttachment' });
    expect(given).toBe(ATTACHMENT_BYTES_MAX + 1024 * 1024);
    await expect(bytesOfAttachment({ name: 'a', content }, 10)).rejects.toThrow(/all together/u);
  });
});
