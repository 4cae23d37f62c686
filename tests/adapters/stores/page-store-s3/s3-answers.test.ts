// What is believed of a server's XML.

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import * as either from 'fp-ts/lib/Either.js';
import { errorCodeOf, readListing } from '../../../../adapters/stores/page-store-s3/s3-answers.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

const object = (key: string, more = ''): string =>
  `<Contents><Key>${key}</Key><Size>7</Size><LastModified>2026-11-21T10:00:00.000Z</LastModified>${more}</Contents>`;
const listing = (inside: string, rest = '<IsTruncated>false</IsTruncated>'): Uint8Array =>
  bytes(
    `<?xml version="1.0"?>\n<ListBucketResult xmlns="http://x/">${rest}${inside}</ListBucketResult>\n`,
  );

describe('an error', () => {
  test('is known by its code', () => {
    const text =
      '<?xml version="1.0"?><Error><Code>NoSuchKey</Code><Message>&lt;x&gt;</Message></Error>';
    expect(errorCodeOf(bytes(text))).toBe('NoSuchKey');
  });

  test.each([
    ['nothing', ''],
    ['a page for people', '<html><body>404 <b>Not Found</b></body></html>'],
    ['an error without a code', '<Error><Message>x</Message></Error>'],
    ['an error of two codes', '<Error><Code>A1</Code><Code>B1</Code></Error>'],
    ['a code that is a sentence', '<Error><Code>Authorization: AWS4 abc</Code></Error>'],
    ['a code that never ends', `<Error><Code>${'A'.repeat(10_000)}</Code></Error>`],
    ['a document type', '<!DOCTYPE x [<!ENTITY a "NoSuchKey">]><Error><Code>&a;</Code></Error>'],
    ['an error that was cut short', '<Error><Code>NoSuchKey</Code>'],
    ['names that mean something to JavaScript', '<Error><__proto__>x</__proto__></Error>'],
  ])('that is %s has no code', (_name, text) => {
    expect(errorCodeOf(bytes(text))).toBeNull();
  });
});

describe('a listing', () => {
  test('of two objects is read, with names that XML escapes', () => {
    const found = readListing(
      listing(
        object('packs/a&amp;b') + object('c&#x41;&#66;&unknown;'),
        '<IsTruncated>true</IsTruncated><NextContinuationToken>t&lt;/=</NextContinuationToken>',
      ),
    );
    const [sizeBytes, modifiedAtMs] = [7, Date.UTC(2026, 10, 21, 10)];
    expect(found).toEqual(
      either.right({
        objects: [
          { key: 'packs/a&b', sizeBytes, modifiedAtMs },
          { key: 'cAB&unknown;', sizeBytes, modifiedAtMs },
        ],
        continuation: 't</=',
      }),
    );
  });

  test('of nothing is read', () => {
    expect(readListing(listing(''))).toEqual(either.right({ objects: [], continuation: null }));
  });

  test.each([
    ['garbage', bytes('\u0000\u0001 <<<')],
    ['an error', bytes('<Error><Code>NoSuchKey</Code></Error>')],
    ['cut short', listing(object('a')).slice(0, -30)],
    ['silent about its end', listing(object('a'), '')],
    ['going on nowhere', listing('', '<IsTruncated>true</IsTruncated>')],
    ['an object without a key', listing('<Contents><Size>7</Size></Contents>')],
    ['an object in an object', listing(object(object('a')))],
    ['a size below zero', listing(object('a').replace('>7<', '>-7<'))],
    ['a size beyond all numbers', listing(object('a').replace('>7<', `>${'9'.repeat(400)}<`))],
    ['a time that is none', listing(object('a').replace('2026', 'yesterday'))],
    ['a document type', bytes(`<!DOCTYPE x>${new TextDecoder().decode(listing(''))}`)],
    ['very deep', bytes(`${'<a>'.repeat(50_000)}</ListBucketResult>`)],
  ])('that is or has %s is not believed', (_name, body) => {
    expect(either.isLeft(readListing(body))).toBe(true);
  });

  test('is read, or refused, whatever the bytes are', () => {
    const pieces = [
      '<',
      '>',
      '</',
      'ListBucketResult',
      'Contents',
      'Key',
      '&amp;',
      '<!DOCTYPE',
      '"',
      '=',
      '<![CDATA[',
      ']]>',
      '<!--',
      '-->',
      '\u0000',
      'IsTruncated',
      'false',
    ];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 60 }), (parts) => {
        for (const body of [bytes(parts.join('')), listing(parts.join(''))]) {
          const found = readListing(body);
          expect(either.isLeft(found) || found.right.objects.length <= 60).toBe(true);
          errorCodeOf(body);
        }
      }),
    );
  });
});
