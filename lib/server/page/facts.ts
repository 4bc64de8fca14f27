import type { Client, Config } from '../../config.ts'
import type { ListedRun, OperatorAction } from '../../ledger/lists.ts'
import type { BlockedChunk } from '../../ledger/served.ts'
import type { Finding } from '../../monitor/finding.ts'
import { watch } from '../../monitor/watch.ts'
import { GRANT_KEY } from '../../oauth/seal.ts'
import type { Pipeline } from '../../pipeline.ts'
import { nextOccasion } from '../../plan/schedule.ts'
import { plural } from '../../quantity.ts'
import { type Calendar, calendarOf, daysLacking } from '../../standing/calendar.ts'

/** Blocked chunks, runs and actions that are shown, and unfinished runs that are looked at. */
const SHOWN = 20
const LOOKED_AT = 500

/** Everything the page shows of one pipeline. */
export interface PipelineFacts {
  readonly pipeline: Pipeline
  readonly calendar: Calendar
  readonly blocked: readonly BlockedChunk[]
  /** When its next schedule is due for some client, in epoch milliseconds; null where there is none. */
  readonly nextAt: number | null
}

/** Everything the page shows. */
export interface PageFacts {
  /** Epoch milliseconds. */
  readonly now: number
  readonly clients: number
  readonly pipelines: readonly PipelineFacts[]
  /** Runs in which something is left to do by itself, newest first. */
  readonly runs: readonly ListedRun[]
  readonly actions: readonly OperatorAction[]
  /** What the monitors find, the most urgent first. */
  readonly findings: readonly Finding[]
}

/** Reads from the ledger what the page shows. */
export async function pageFacts(config: Config, clients: readonly Client[], now: number): Promise<PageFacts> {
  const { pipelines, ledger } = config
  const zones = [...new Set(clients.map(({ timeZone }) => timeZone))]
  return {
    now,
    clients: clients.length,
    pipelines: await Array.fromAsync(pipelines, async pipeline => {
      const next = pipeline.schedule.flatMap(one => zones.map(zone => nextOccasion(one, zone, now)))
      return {
        pipeline,
        calendar: await calendarOf(pipeline, clients, ledger, now),
        blocked: await ledger.blocked(pipeline.name, pipeline.after, SHOWN),
        nextAt: next.length === 0 ? null : Math.min(...next),
      }
    }),
    runs: (await ledger.runs({ finished: false }, LOOKED_AT)).filter(isUnderWay).slice(0, SHOWN),
    actions: await ledger.actions(SHOWN),
    findings: (await watch({ config, clients, grantKey: process.env[GRANT_KEY], now })).findings,
  }
}

function isUnderWay({ progress: { pending, running, staged } }: ListedRun): boolean {
  return pending + running + staged > 0
}

/** What is said of chunks that nothing more happens to. */
const STUCK = [
  ['held', 'is held', 'are held'],
  ['failed', 'has failed', 'have failed'],
  ['parked', 'is parked', 'are parked'],
] as const

/** The one sentence for whoever is on call: whether everything is there, and if not, what is not. */
export function verdict({ pipelines, clients, findings }: PageFacts): {
  readonly mood: 'good' | 'busy' | 'bad'
  readonly sentence: string
} {
  const rows = pipelines.flatMap(({ calendar }) => calendar.rows)
  const problems = pipelines.flatMap(({ calendar }) => calendar.problems)
  const lacking = new Set(rows.filter(({ wrong, complete }) => wrong && !complete).map(({ client }) => client))
  const busy = new Set(rows.filter(({ wrong, complete }) => !wrong && !complete).map(({ client }) => client))
  const days = rows.filter(({ wrong }) => wrong).reduce((sum, row) => sum + daysLacking(row), 0)
  const stuck = STUCK.flatMap(([state, one, many]) => {
    const count = problems.filter(problem => problem.state === state).length
    return count === 0 ? [] : [`${plural(count, 'chunk')} ${count === 1 ? one : many}`]
  })
  if (lacking.size > 0) {
    const what = `${lacking.size} of ${plural(clients, 'client')} ${lacking.size === 1 ? 'lacks' : 'lack'} ${plural(days, 'day')}`
    return { mood: 'bad', sentence: `Not everything is there: ${[what, ...stuck].join(', ')}.` }
  }
  if (stuck.length > 0) return { mood: 'bad', sentence: `Every day that is due is there, but ${stuck.join(', ')}.` }
  if (busy.size > 0) {
    return {
      mood: 'busy',
      sentence: `Not everything is there yet: ${busy.size} of ${plural(clients, 'client')} are still being read.`,
    }
  }
  if (rows.every(({ dueThrough }) => dueThrough === null))
    return { mood: 'busy', sentence: 'Nothing was read yet, and nothing is due.' }
  const doubts = findings.filter(({ level }) => level === 'block' || level === 'page').length
  if (doubts > 0) {
    const what = doubts === 1 ? 'something about it looks' : `${doubts} things about it look`
    return { mood: 'bad', sentence: `Every day that is due is there, but ${what} wrong.` }
  }
  return { mood: 'good', sentence: `Everything is there: every day that is due, of every client.` }
}
