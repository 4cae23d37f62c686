export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/dist/tests'],
  testMatch: ['**/*.test.js'],
  setupFilesAfterEnv: ['<rootDir>/dist/tests/support/byte-equality.js'],
  transform: {},
  injectGlobals: false,
  // A file at a time on every core: most tests wait for processes of their own.
  maxWorkers: '100%',
  // A test that hangs does not end; one on a busy machine does.
  testTimeout: 60_000,
  coverageProvider: 'v8',
  collectCoverageFrom: ['dist/{domain,projections,adapters}/**/*.js'],
};
