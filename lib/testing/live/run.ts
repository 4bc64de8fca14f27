import { asHeadraceError, ConfigError } from '../../errors.ts'
import { failure } from '../../warehouse/bigquery/failure.ts'
import type { LiveCheck } from './checks.ts'
import type { Observation } from './observations.ts'
import type { Scratch } from './scratch.ts'

/** What became of one check. */
export interface CheckResult {
  readonly title: string
  readonly seconds: number
  /** Why it does not hold; null when it does. */
  readonly problem: string | null
}

/** What was seen of one point. */
export interface Seen {
  readonly point: string
  readonly saw: string
}

/** What a live check found. */
export interface LiveResult {
  readonly checks: readonly CheckResult[]
  readonly observations: readonly Seen[]
  /** Whether it was told to stop before everything was looked at. */
  readonly interrupted: boolean
  /** Tables that could not be removed. */
  readonly left: readonly string[]
}

/** What is looked at. */
export interface LivePlan {
  readonly checks: readonly LiveCheck[]
  readonly observations: readonly Observation[]
}

/**
 * Tries every check, then looks at every point, one after the other, and removes what was made, however it ends. A check that does not hold stops
 * nothing; a mistake in the set-up would spoil all of them and is thrown.
 */
export async function runLive(
  scratch: Scratch,
  { checks, observations }: LivePlan,
  tell: (line: string) => void,
): Promise<LiveResult> {
  const { signal } = scratch
  const results: CheckResult[] = []
  const seen: Seen[] = []
  const all = checks.length + observations.length
  const progress = (text: string): void => tell(`${results.length + seen.length}/${all} ${text}`)
  let left: readonly string[] = []
  try {
    for (const { title, run } of checks) {
      if (signal.aborted) break
      const started = performance.now()
      const problem = await problemOf(scratch, run(scratch))
      // What was cut off says nothing.
      if (signal.aborted) break
      results.push({ title, seconds: (performance.now() - started) / 1_000, problem })
      progress(`${problem === null ? 'holds' : 'DOES NOT HOLD'}: ${title}`)
    }
    for (const { point, see } of observations) {
      if (signal.aborted) break
      let saw = ''
      const problem = await problemOf(
        scratch,
        see(scratch).then(text => {
          saw = text
        }),
      )
      if (signal.aborted) break
      seen.push({ point, saw: problem === null ? saw : `could not be looked at: ${problem}` })
      progress(`seen: ${point}`)
    }
  } finally {
    left = await scratch.close()
  }
  return { checks: results, observations: seen, interrupted: results.length + seen.length < all, left }
}

/** Why something failed; null when it did not. */
async function problemOf({ dataset }: Scratch, work: Promise<void>): Promise<string | null> {
  try {
    await work
    return null
  } catch (thrown) {
    const error = failure(dataset, thrown, 'Only throw-away tables were written.')
    if (error instanceof ConfigError && error.code === 'WAREHOUSE_UNUSABLE') throw error
    return error instanceof Error && error.name === 'AssertionError' ? error.message : asHeadraceError(error).message
  }
}
