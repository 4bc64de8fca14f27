import { type Command, InvalidArgumentError, Option } from 'commander'
import type { LogLevel } from '../../lib/log.ts'
import { parseShard, type Shard } from '../../lib/plan/shard.ts'
import { count } from '../output.ts'

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

/** How much is said in the structured log. */
export function logLevel(standard: LogLevel): Option {
  return new Option('--log-level <level>', 'structured log on standard error')
    .choices(['silent', 'error', 'warn', 'info', 'debug'])
    .default(standard)
}

/** A whole number within bounds. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return text => {
    const number = Number(text)
    if (text.trim() === '' || !Number.isInteger(number) || number < least || number > most) {
      throw new InvalidArgumentError(`It must be a whole number from ${count(least)} to ${count(most)}.`)
    }
    return number
  }
}

/** Names separated by commas; one that holds a comma stands in double quotes, as in CSV. */
export function list(text: string): string[] {
  const names = [...text.matchAll(/\s*(?:"((?:[^"]|"")*)"|([^,]*))\s*(?:,|$)/g)]
    .map(([, quoted, bare = '']) => quoted?.replaceAll('""', '"') ?? bare.trim())
    .filter(name => name !== '')
  if (names.length === 0) throw new InvalidArgumentError('It names nobody.')
  return names
}

/** The address of a Pushgateway. A password in it would be seen by everybody who lists processes. */
export function gateway(text: string): string {
  const { protocol, username, password, search, hash } = URL.parse(text) ?? {}
  if (!/^https?:$/.test(protocol ?? '') || username || password || search || hash) {
    throw new InvalidArgumentError('It must be an address like http://127.0.0.1:9091, without a password.')
  }
  return text
}

/** One of several parts, `3/20`. */
export function shard(text: string): Shard {
  const found = parseShard(text)
  if (found === undefined) throw new InvalidArgumentError('It must be i/n, and i from 0 to n - 1.')
  return found
}
