// Patterns of VM names, as shells write them: * stands for any characters, ? for one.

export interface NameMatcher {
  /** Whether it is a name as it is, and matches that one alone. */
  readonly isName: boolean;
  readonly matches: (name: string) => boolean;
}

export function nameMatcher(pattern: string): NameMatcher {
  const isName = !/[*?]/u.test(pattern);
  if (isName) return { isName, matches: (name) => name === pattern };
  const parts = pattern.replaceAll(/[\\^$.+|(){}[\]]/gu, String.raw`\$&`);
  const expression = new RegExp(`^${parts.replaceAll(/\*+/gu, '.*').replaceAll('?', '.')}$`, 'u');
  return { isName, matches: (name) => expression.test(name) };
}
