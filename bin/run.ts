import { Command, CommanderError } from 'commander'
import { asHeadraceError, ConfigError, type HeadraceError, TransientError } from '../lib/errors.ts'
import { flushSpans } from '../lib/trace.ts'
import { VERSION } from '../lib/version.ts'
import { keepMemoryFlat } from './memory.ts'
import { explain, output } from './output.ts'

/** How each kind of error ends a command. The numbers are a contract with whoever calls headrace; see `docs/cli.md`. */
const EXIT_CODES = { config: 2, transient: 1, data: 42 } as const

/** Node 22 calls SQLite and type stripping experimental on every start; nobody who runs a backfill can do anything about it. */
function silenceExperimentalWarnings(): void {
  const listeners = process.listeners('warning')
  process.removeAllListeners('warning')
  process.on('warning', warning => {
    if (warning.name !== 'ExperimentalWarning') for (const listener of listeners) listener(warning)
  })
}

/** A program that leaves it to `run` to say what is wrong with its command line. */
export function createProgram(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .version(VERSION)
    .configureOutput({ outputError: () => undefined })
    .exitOverride()
}

/** Runs a program to its end: prints what went wrong, and ends the process with the code that says so. */
export async function run(program: Command): Promise<void> {
  silenceExperimentalWarnings()
  keepMemoryFlat()
  const lost = listenToStreams()
  let code = 0
  try {
    await Promise.race([program.parseAsync(), stuck()])
    code = Number(process.exitCode ?? 0)
  } catch (thrown) {
    const error = problemOf(thrown)
    code = error === undefined ? 0 : exitCodeOf(error)
    if (error !== undefined && !isHelp(thrown)) report(error)
  }
  await flushSpans()
  // Something in the configuration may keep the process alive; what was written must still leave it.
  await Promise.all([process.stdout, process.stderr].map(stream => new Promise(resolve => stream.write('', resolve))))
  const reason = lost()
  if (reason !== undefined) output.note(`the result could not be written: ${reason}`)
  process.exit(reason === undefined ? code : code || 1)
}

/** A reader that leaves early (`| head -1`) is no reason to stop the work. Returns why else the result did not get out, if it did not. */
function listenToStreams(): () => string | undefined {
  let reason: string | undefined
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') reason = error.message
  })
  // Nothing can be said about it: this is where it would be said.
  process.stderr.on('error', () => undefined)
  return () => reason
}

/** Rejects when nothing is left that could ever bring the command to its end; Node would leave without a word. */
function stuck(): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>()
  const error = new TransientError('INTERNAL', {
    message: 'something is awaited that never happens, most likely in a connector or another part of the configuration',
    hint: 'What is published stays published; the same command goes on from here.',
  })
  // Whoever knows what is awaited speaks first, and only if that changes nothing it is over.
  process.once('beforeExit', () => setImmediate(() => process.once('beforeExit', () => reject(error))))
  return promise
}

/** Help that was printed because no command was named: wrong usage, and enough said. */
function isHelp(thrown: unknown): boolean {
  return thrown instanceof CommanderError && thrown.code === 'commander.help'
}

/** What went wrong, if anything did: `--help` and `--version` end with an exception too. */
function problemOf(thrown: unknown): HeadraceError | undefined {
  if (!(thrown instanceof CommanderError)) return asHeadraceError(thrown)
  if (thrown.exitCode === 0) return undefined
  return new ConfigError('USAGE', {
    message: thrown.message.replace(/^error: /, '').replaceAll('\n', ' '),
    hint: '--help shows what there is. Nothing was read or written.',
  })
}

function exitCodeOf({ code, kind }: HeadraceError): number {
  return code === 'ABORTED' ? 130 : EXIT_CODES[kind]
}

function report(error: HeadraceError): void {
  const { code, message, hint = null } = error
  if (process.argv.includes('--json')) output.json({ error: { code, message, hint } })
  for (const line of explain(error)) output.note(line)
}
