// Where the requests for a bucket go. An endpoint of one's own takes the bucket in the path, which
// every server understands; AWS takes it in the host's name, which is what its certificates and
// redirects are made for, unless the bucket's name has a dot, which they are not.

import { checkedEndpoint, checkedRegion, s3Url, type S3Place } from './page-store-url.ts';

/** A server, and how its requests name a bucket. */
export interface S3Address {
  readonly protocol: 'http:' | 'https:';
  readonly hostname: string;
  /** Null: the scheme's own. */
  readonly port: number | null;
  /** What every path begins with: the endpoint's own path, and the bucket where it stands there. */
  readonly basePath: string;
  readonly region: string;
  /** How messages call it: no secrets. */
  readonly label: string;
}

export type Environment = Readonly<Record<string, string | undefined>>;

const DEFAULT_REGION = 'us-east-1';
const ENDPOINT_VARIABLES = ['AWS_ENDPOINT_URL_S3', 'AWS_ENDPOINT_URL'];
const REGION_VARIABLES = ['AWS_REGION', 'AWS_DEFAULT_REGION'];

/** The first of the variables that is set and not empty. */
function firstOf(environment: Environment, names: readonly string[]) {
  for (const name of names) {
    const value = environment[name];
    if (value !== undefined && value !== '') return { name, value };
  }
  return null;
}

/** The endpoint of one's own, or null for AWS. */
function endpointOf(place: S3Place, environment: Environment): string | null {
  if (place.endpoint !== null) return place.endpoint;
  const found = firstOf(environment, ENDPOINT_VARIABLES);
  return found === null ? null : checkedEndpoint({ text: found.value, named: `$${found.name}` });
}

function regionOf(place: S3Place, environment: Environment): string {
  if (place.region !== null) return place.region;
  const found = firstOf(environment, REGION_VARIABLES);
  return found === null
    ? DEFAULT_REGION
    : checkedRegion({ text: found.value, named: `$${found.name}` });
}

/** The endpoint of AWS in a region. */
const awsHost = (region: string): string =>
  `s3.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`;

/** The address of a place; what it leaves open comes from the environment. */
export function addressOf(place: S3Place, environment: Environment): S3Address {
  const region = regionOf(place, environment);
  const endpoint = endpointOf(place, environment);
  const { bucket } = place;
  const isInHost = endpoint === null && !bucket.includes('.');
  const url = new URL(endpoint ?? `https://${isInHost ? `${bucket}.` : ''}${awsHost(region)}`);
  const path = url.pathname.replace(/\/$/u, '');
  return {
    protocol: url.protocol === 'http:' ? 'http:' : 'https:',
    // Brackets belong to a URL, not to a name.
    hostname: url.hostname.replace(/^\[|\]$/gu, ''),
    port: url.port === '' ? null : Number(url.port),
    basePath: isInHost ? path : `${path}/${bucket}`,
    region,
    label: `${s3Url({ ...place, endpoint: null, region: null })} at ${url.host}`,
  };
}
