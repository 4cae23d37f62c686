// What a usual run of the tests takes a sample of, and `npm run test:long` all of.

/** Whether this is the long run. */
export const IS_LONG = process.env['PAGELEDGER_KILLS'] !== undefined;

/** How often a property is tried that the long run tries so many times. */
export const triesOf = (count: number): number => (IS_LONG ? count : Math.ceil(count / 4));

/** Of some things, each n-th from the first on; in the long run all. */
export const sampleOf = <A>(all: readonly A[], each: number): readonly A[] =>
  IS_LONG ? all : all.filter((_, i) => i % each === 0);
