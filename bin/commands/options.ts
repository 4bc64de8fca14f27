import { type Command, InvalidArgumentError, Option } from 'commander'

/** What every command takes. */
export interface CommonOptions {
  readonly config: string
  readonly json?: boolean
}

/** Adds what every command takes. */
export function common(command: Command): Command {
  return command
    .addOption(
      new Option('--config <file>', 'configuration, TypeScript or JavaScript')
        .default('headrace.config.ts')
        .env('HEADRACE_CONFIG'),
    )
    .option('--json', 'one JSON document on standard output, for machines')
}

/** A whole number of at least `least`. */
export function wholeNumber(least: number): (text: string) => number {
  return text => {
    const number = Number(text)
    if (!Number.isInteger(number) || number < least) throw new InvalidArgumentError(`not a whole number of at least ${least}`)
    return number
  }
}

/** Names separated by commas. */
export function list(text: string): string[] {
  const names = text
    .split(',')
    .map(name => name.trim())
    .filter(name => name !== '')
  if (names.length === 0) throw new InvalidArgumentError('no names')
  return names
}
