import { ConfigError } from './errors.ts'

/** Every setting of a run, in one table: default, bounds, and what it does. `docs/configuration.md` lists the same; a test compares. */
export const OPTIONS = {
  concurrency: { default: 4, min: 1, max: 64, means: 'Chunks read at the same time.' },
  stagedChunks: {
    default: 64,
    min: 1,
    max: 1_000,
    means: 'Chunks that may be under way at all, most of them staged and waiting for their commit.',
  },
  pipelineConcurrency: {
    default: 32,
    min: 1,
    max: 1_000,
    means: 'Chunks of one pipeline read at the same time by all daemons together.',
  },
  accountConcurrency: {
    default: 2,
    min: 1,
    max: 64,
    means: 'Chunks of one client read at the same time from one API by all daemons together.',
  },
  groupChunks: { default: 50, min: 1, max: 1_000, means: 'Chunks published in one transaction, at most.' },
  groupRows: {
    default: 500_000,
    min: 1,
    max: 50_000_000,
    means: 'Rows published in one transaction, at most; one chunk may be larger.',
  },
  attempts: { default: 3, min: 1, max: 20, means: 'Tries of a chunk within one run, for errors that may pass.' },
  retryBaseSeconds: {
    default: 2,
    min: 0,
    max: 600,
    means: 'First upper bound of the wait between tries of a chunk; it doubles.',
  },
  retryCapSeconds: { default: 60, min: 0, max: 3_600, means: 'Largest upper bound of that wait.' },
  leaseSeconds: {
    default: 60,
    min: 5,
    max: 3_600,
    means: 'How long a chunk stays with a process that no longer renews its claim.',
  },
  watchSeconds: { default: 300, min: 10, max: 86_400, means: 'How often a daemon looks what is wrong with the data.' },
  drainSeconds: {
    default: 30,
    min: 0,
    max: 3_600,
    means: 'How long chunks under way may finish after the first signal to stop.',
  },
  requestAttempts: { default: 6, min: 1, max: 20, means: 'Tries of one request.' },
  requestSeconds: { default: 120, min: 1, max: 3_600, means: 'Whole time of one try of a request.' },
  idleSeconds: { default: 60, min: 1, max: 3_600, means: 'Longest pause within an answer.' },
  streamSeconds: { default: 3_600, min: 1, max: 86_400, means: 'Whole time of one try of an answer that is read as a stream.' },
  longestWaitSeconds: { default: 60, min: 0, max: 3_600, means: 'Longest wait an API may ask for before the chunk is parked.' },
  bodyMebibytes: { default: 256, min: 1, max: 1_024, means: 'Largest answer taken into memory.' },
  keysPerChunk: {
    default: 1_000_000,
    min: 0,
    max: 50_000_000,
    means: 'Keys of a chunk checked in the stream, 32 bytes each; beyond it the warehouse checks.',
  },
} as const satisfies Readonly<Record<string, { default: number; min: number; max: number; means: string }>>

/** A value for every setting. */
export type Options = { readonly [K in keyof typeof OPTIONS]: number }

/** Fills in defaults; returns what is wrong with the rest, by name. */
export function resolveOptions(given: Partial<Options> = {}): Options {
  const problems: string[] = []
  for (const name of Object.keys(given)) if (!(name in OPTIONS)) problems.push(`${name} is not a setting`)
  const entries = Object.entries(OPTIONS).map(([name, { default: standard, min, max }]) => {
    const value = given[name as keyof Options] ?? standard
    // Seconds may have a fraction; half a chunk there is not.
    const [kind, fits] = name.endsWith('Seconds') ? ['number', Number.isFinite] : ['whole number', Number.isInteger]
    if (!fits(value) || value < min || value > max) problems.push(`${name} ${value} is not a ${kind} from ${min} to ${max}`)
    return [name, value] as const
  })
  if (problems.length > 0) {
    throw new ConfigError('CONFIG_INVALID', {
      message: `settings: ${problems.join('; ')}`,
      hint: 'Correct the configuration. Nothing was read or written.',
    })
  }
  return Object.fromEntries(entries) as Options
}
