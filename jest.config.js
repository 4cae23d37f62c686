import { availableParallelism } from 'node:os';

export default {
  testEnvironment: '<rootDir>/dist/tests/support/processes/left-processes.js',
  roots: ['<rootDir>/dist/tests'],
  testMatch: ['**/*.test.js'],
  setupFilesAfterEnv: ['<rootDir>/dist/tests/support/byte-equality.js'],
  transform: {},
  injectGlobals: false,
  // A file at a time on every core, and one more: most tests wait for processes of their own, and with a
  // file for each of two cores a sixth of both had nothing to do.
  maxWorkers: availableParallelism() + 1,
  // A worker keeps the modules of all suites that it ran, and full collections take longer with each: one
  // that has grown is replaced after its suite.
  workerIdleMemoryLimit: '150MB',
  // A guard against what hangs, wide enough for a machine that has fifteen times as much to do.
  testTimeout: 300_000,
  coverageProvider: 'v8',
  collectCoverageFrom: ['dist/{domain,projections,adapters}/**/*.js'],
};
