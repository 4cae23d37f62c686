// The part of a document that a test makes of what it tries: between two marks that name the test.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sourceRoot } from './sources/source-root.ts';

export class MadePart {
  readonly #document: string;
  readonly #mark: string;

  /** Of a document and a test, both as paths from the root. */
  constructor(document: string, test: string) {
    this.#document = join(sourceRoot(), document);
    this.#mark = `<!-- made by ${test} -->\n`;
  }

  /** The document before, in and behind the part. */
  get #parts(): readonly string[] {
    return readFileSync(this.#document, 'utf8').split(this.#mark);
  }

  /** What the document has. */
  get text(): string {
    return (this.#parts[1] ?? '').trim();
  }

  write(made: string): void {
    const [before, , behind] = this.#parts;
    if (behind === undefined) throw new Error(`${this.#document} has not twice ${this.#mark}`);
    writeFileSync(this.#document, `${before}${this.#mark}\n${made}\n\n${this.#mark}${behind}`);
  }

  /** What the document has, which is `made` first where PAGELEDGER_TABLES=write asks for that. */
  heldAgainst(made: string): string {
    if (process.env['PAGELEDGER_TABLES'] === 'write') this.write(made);
    return this.text;
  }
}
