export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/dist/tests'],
  testMatch: ['**/*.test.js'],
  transform: {},
  injectGlobals: false,
  coverageProvider: 'v8',
  collectCoverageFrom: ['dist/{domain,projections,adapters}/**/*.js'],
};
