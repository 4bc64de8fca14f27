import { Command, CommanderError } from 'commander'
import { HeadraceError } from '../lib/index.ts'
import { VERSION } from '../lib/version.ts'
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

/** A program whose wrong usage ends with 2, like every other mistake of configuration. */
export function createProgram(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .version(VERSION)
    .showHelpAfterError('(--help shows what there is)')
    .exitOverride()
}

/** Runs a program to its end: prints what went wrong, and ends the process with the code that says so. */
export async function run(program: Command): Promise<void> {
  silenceExperimentalWarnings()
  let code = 0
  try {
    await program.parseAsync()
    code = Number(process.exitCode ?? 0)
  } catch (error) {
    code = exitCodeOf(error)
    if (!(error instanceof CommanderError)) report(error, program)
  }
  // Something in the configuration may keep the process alive; what was written must still leave it.
  await Promise.all([process.stdout, process.stderr].map(stream => new Promise(resolve => stream.write('', resolve))))
  process.exit(code)
}

function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  return error instanceof HeadraceError ? EXIT_CODES[error.kind] : 1
}

function report(error: unknown, program: Command): void {
  if (program.args.includes('--json') || process.argv.includes('--json')) {
    const { code, message, hint } =
      error instanceof HeadraceError ? error : { code: 'INTERNAL', message: String(error), hint: null }
    output.json({ error: { code, message, hint: hint ?? null } })
  }
  for (const line of explain(error)) output.note(line)
}
