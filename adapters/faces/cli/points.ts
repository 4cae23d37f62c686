// Points that name their VM, wherever a command takes a point: `--at web@3` says `--vm web` too.

import type { Command } from 'commander';
import { splitPoint } from '../../../domain/values/point.ts';
import { UsageError } from './failure.ts';

/** Options whose value is a point of the VM that the command is about. */
const ofPoints = (command: Command) =>
  command.options.filter(({ flags }) => flags.endsWith(' <point>'));

/** The VM that was named so far: by --vm, which some commands take several times, or by a point. */
function namedVm(command: Command): string | undefined {
  const vm: unknown = command.getOptionValue('vm');
  if (Array.isArray(vm)) return [...new Set(vm)].join(', ');
  return typeof vm === 'string' ? vm : undefined;
}

function nameVm(command: Command, vm: string, text: string): void {
  const named = namedVm(command);
  if (named !== undefined && named !== vm)
    throw new UsageError(`${text} is of VM ${vm}, and VM ${named} is meant: name one of them`);
  const isList = command.options.some(({ long, flags }) => long === '--vm' && /glob/u.test(flags));
  command.setOptionValueWithSource('vm', isList ? [vm] : vm, 'cli');
}

/** Has a command take points that name their VM, in its options that end with `<point>`. */
export function takeVmOfPoints(command: Command): void {
  if (!command.options.some(({ long }) => long === '--vm')) return;
  for (const option of ofPoints(command)) {
    const key = option.attributeName();
    command.on(`option:${option.name()}`, (text: string) => {
      const { vm, point } = splitPoint(text);
      if (vm === null) return;
      const given: unknown = command.getOptionValue(key);
      const value = Array.isArray(given) ? [...given.slice(0, -1), point] : point;
      command.setOptionValueWithSource(key, value, 'cli');
      nameVm(command, vm, text);
      command.on('option:vm', () => nameVm(command, vm, text));
    });
  }
}
