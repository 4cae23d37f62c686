import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  parsePageStoreUrl,
  s3Url,
} from '../../../../adapters/stores/page-store-s3/page-store-url.ts';
import type { S3Place } from '../../../../adapters/stores/page-store-s3/page-store-url.ts';
import { addressOf } from '../../../../adapters/stores/page-store-s3/s3-address.ts';
import { isRefused } from '../../../../domain/values/refused.ts';

const place = (more: Partial<S3Place> = {}): S3Place => ({
  _tag: 's3',
  bucket: 'pages',
  prefix: '',
  endpoint: null,
  region: null,
  ...more,
});

/** The sentence of the refusal. */
function whyRefused(work: () => unknown): string {
  try {
    work();
  } catch (thrown) {
    if (isRefused(thrown) && thrown.refusal._tag === 'BadUrl') return thrown.message;
    throw thrown;
  }
  throw new TypeError('a refusal was expected');
}

describe('where packs lie', () => {
  test.each<[string, S3Place]>([
    ['s3://pages', place()],
    ['s3://pages/', place()],
    ['S3://pages/team/vm-1/', place({ prefix: 'team/vm-1' })],
    [
      's3://pages/a?endpoint=http://127.0.0.1:9000&region=eu-west-1',
      place({ prefix: 'a', endpoint: 'http://127.0.0.1:9000', region: 'eu-west-1' }),
    ],
    [
      's3://pages?endpoint=https%3A%2F%2Fstore.example%2Fs3%2F',
      place({ endpoint: 'https://store.example/s3' }),
    ],
  ])('is read from %s', (text, expected) => {
    expect(parsePageStoreUrl(text)).toEqual(expected);
  });

  test.each([
    ['/var/packs', '/var/packs'],
    ['packs', 'packs'],
    ['./s3', './s3'],
    ['file:///var/my%20packs', '/var/my packs'],
  ])('is a folder where it is %s', (text, path) => {
    expect(parsePageStoreUrl(text)).toEqual({ _tag: 'folder', path });
  });

  test.each([
    ['', 'empty'],
    ['https://store.example/bucket', 'S3-compatible bucket'],
    ['gs://bucket', 'S3-compatible bucket'],
    ['s3:bucket', 'S3-compatible bucket'],
    ['s3:/bucket', 'S3-compatible bucket'],
    ['s3://', "a bucket's name"],
    ['s3://a b', 'no URL'],
    ['s3://ab', "a bucket's name"],
    ['s3://Pages', "a bucket's name"],
    ['s3://pages:9000/x', "a bucket's name"],
    ['s3://pages/a//b', 'prefix'],
    ['s3://pages/a/../../b%2f', 'prefix'],
    ['s3://pages/a%20b', 'prefix'],
    [`s3://pages/${'a'.repeat(600)}`, 'prefix'],
    ['s3://pages#x', '#'],
    ['s3://pages?region=a&region=b', 'twice'],
    ['s3://pages?region=Nowhere!', 'region'],
    ['s3://pages?endpoint=127.0.0.1:9000', 'http'],
    ['s3://pages?endpoint=ftp://store.example', 'http'],
    ['s3://pages?endpoint=http://store.example?a=b', 'parameters'],
    ['file://elsewhere/packs', 'no folder of this host'],
  ])('is refused where it is %s', (text, why) => {
    expect(whyRefused(() => parsePageStoreUrl(text))).toContain(why);
  });

  test.each([
    's3://AKIAKEY:hidden@pages/x',
    's3://hidden@pages',
    's3://pages?endpoint=http://key:hidden@127.0.0.1:9000',
    's3://pages?secret=hidden',
    's3://pages?endpoint=http://h/?X-Amz-Signature=hidden',
    's3://pages/x#hidden',
    'https://key:hidden@store.example/?sig=hidden',
    'S3://pages:hidden@',
  ])('never repeats what may be secret: %s', (text) => {
    const sentence = whyRefused(() => parsePageStoreUrl(text));
    expect(sentence).not.toContain('hidden');
    expect(sentence).not.toContain('AKIAKEY');
  });

  test('is written so that it is read as the same place', () => {
    const part = fc.stringMatching(/^[a-zA-Z0-9_-][a-zA-Z0-9._-]{0,9}$/u);
    const arbitrary = fc.record({
      _tag: fc.constant('s3' as const),
      bucket: fc.stringMatching(/^[a-z0-9][a-z0-9.-]{1,20}[a-z0-9]$/u),
      prefix: fc.array(part, { maxLength: 4 }).map((parts) => parts.join('/')),
      endpoint: fc.constantFrom(null, 'http://127.0.0.1:9000', 'https://store.example/s3'),
      region: fc.constantFrom(null, 'us-east-1'),
    });
    fc.assert(
      fc.property(arbitrary, (each) => {
        expect(parsePageStoreUrl(s3Url(each))).toEqual(each);
      }),
    );
  });
});

describe('the address of a bucket', () => {
  test('of AWS has the bucket in the name of its host', () => {
    expect(addressOf(place({ prefix: 'a' }), {})).toEqual({
      protocol: 'https:',
      hostname: 'pages.s3.us-east-1.amazonaws.com',
      port: null,
      basePath: '',
      region: 'us-east-1',
      label: 's3://pages/a at pages.s3.us-east-1.amazonaws.com',
    });
  });

  test('of AWS has a bucket with a dot in the path: no certificate is for such a name', () => {
    const address = addressOf(place({ bucket: 'my.pages', region: 'cn-north-1' }), {});
    expect(address.hostname).toBe('s3.cn-north-1.amazonaws.com.cn');
    expect(address.basePath).toBe('/my.pages');
  });

  test('of a server of one\u2019s own has the bucket in the path', () => {
    const address = addressOf(place({ endpoint: 'http://[::1]:9000/s3' }), {});
    expect(address).toMatchObject({
      protocol: 'http:',
      hostname: '::1',
      port: 9000,
      basePath: '/s3/pages',
    });
  });

  test('takes what the URL leaves open from the environment, the closest variable first', () => {
    const environment = {
      AWS_ENDPOINT_URL: 'http://general:1',
      AWS_ENDPOINT_URL_S3: 'http://closest:2',
      AWS_DEFAULT_REGION: 'general-1',
      AWS_REGION: 'closest-1',
    };
    expect(addressOf(place(), environment)).toMatchObject({
      hostname: 'closest',
      port: 2,
      region: 'closest-1',
    });
    const said = place({ endpoint: 'http://said:3', region: 'said-1' });
    expect(addressOf(said, environment)).toMatchObject({ hostname: 'said', region: 'said-1' });
    const rest = { ...environment, AWS_ENDPOINT_URL_S3: '', AWS_REGION: '' };
    expect(addressOf(place(), rest)).toMatchObject({ hostname: 'general', region: 'general-1' });
  });

  test('names the variable that is wrong, and not what stands in it', () => {
    const environment = { AWS_ENDPOINT_URL: 'http://key:hidden@store' };
    const sentence = whyRefused(() => addressOf(place(), environment));
    expect(sentence).toContain('$AWS_ENDPOINT_URL');
    expect(sentence).not.toContain('hidden');
  });
});
