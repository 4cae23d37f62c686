#!/usr/bin/env node
// The command line's entry: a word to whoever starts it with a Node.js that is too old, and the rest.
// What is imported here, and the words of the language that are used, are those of any version that
// anybody may have, or the old one would fail at them first.

/** The version that package.json asks for. */
const NODE_MIN = [20, 19];

const [major, minor] = process.versions.node.split('.').map(Number);
if (major! > NODE_MIN[0]! || (major === NODE_MIN[0] && minor! >= NODE_MIN[1]!))
  void import('./run.ts');
else {
  const [found, wanted] = [process.versions.node, NODE_MIN.join('.')];
  process.stderr.write(
    `pageledger: this is Node.js ${found} (${process.execPath}), and pageledger needs ${wanted} or ` +
      'later; install a newer one, 24 for choice, or start it by its path\n',
  );
  process.exitCode = 1;
}
