import { addDays, type Day } from '../chunk.ts'
import type { Client, Config } from '../config.ts'
import type { DriftRecord } from '../ledger/ledger.ts'
import type { TimeRange, Work } from '../ledger/work.ts'
import { type Finding, LEVELS } from '../monitor/finding.ts'
import { grantsOf, watch } from '../monitor/watch.ts'
import { dayAt } from '../plan/schedule.ts'
import { count, hours, plural } from '../quantity.ts'
import { type GrantStatus, needsSomebody } from '../standing/grants.ts'
import { driftsOf, type Rejects, type Restated, rejectsOf, restatedOf } from './changes.ts'
import { type DayCounts, dayCounts, type Lack } from './days.ts'
import { type Fix, fixesOf, fixMissing } from './fix.ts'
import type { Period } from './period.ts'

const DAY_MS = 86_400_000

/** Grants that end within this time are told of: long enough to ask somebody for his consent. */
const SOON_MS = 30 * DAY_MS

/** What a report says of one pipeline. */
export interface PipelineReport {
  readonly pipeline: string
  readonly days: DayCounts
  readonly restated: Restated
  readonly rejects: Rejects
  readonly drifts: readonly DriftRecord[]
  readonly work: Work
}

/** What became of some days, as of one instant; usually of a week. */
export interface Report extends Period {
  /** Epoch milliseconds. */
  readonly now: number
  readonly clients: number
  /** The last day that is over for every client; the last of the window unless that has not ended. */
  readonly overThrough: Day
  /** The time whose work is counted: the days of the window in UTC, as far as they are over. */
  readonly within: TimeRange
  readonly verdict: Verdict
  readonly pipelines: readonly PipelineReport[]
  /** What is to be done now, the most urgent first. */
  readonly fixes: readonly Fix[]
  /** What else the monitors find now. */
  readonly findings: readonly Finding[]
  /** Grants that need somebody, or end within 30 days, those that end first first. */
  readonly grants: readonly GrantStatus[]
}

/** Whether the days are there, in one sentence. */
export interface Verdict {
  /** Whether every day that should be there is, and nothing about them looks wrong. */
  readonly whole: boolean
  readonly mood: 'good' | 'busy' | 'bad'
  readonly sentence: string
}

/** What a report is made of. */
export interface ReportOptions {
  readonly config: Pick<Config, 'pipelines' | 'ledger'>
  readonly clients: readonly Client[]
  readonly period: Period
  /** What encrypts the grants in the ledger, where there is a key. */
  readonly grantKey: string | undefined
  /** Epoch milliseconds. */
  readonly now: number
}

/** Gives account of some days. It reads the ledger and nothing else. */
export async function report({ config, clients, period, grantKey, now }: ReportOptions): Promise<Report> {
  const { ledger } = config
  const { window } = period
  const within = { from: Date.parse(window.from), until: Math.min(now, Date.parse(window.to) + DAY_MS) }
  const { findings, standings } = await watch({ config, clients, grantKey, now })
  const pipelines = await Array.fromAsync(config.pipelines, async (pipeline): Promise<PipelineReport> => {
    const standing = standings.find(one => one.pipeline === pipeline)
    return {
      pipeline: pipeline.name,
      days: await dayCounts(pipeline, clients, ledger, period, now),
      restated: await restatedOf(pipeline, clients, ledger, within, standing?.measuredLookback),
      rejects: await rejectsOf(pipeline, ledger, period),
      drifts: await driftsOf(pipeline, ledger, within),
      work: await ledger.work(pipeline.name, within),
    }
  })
  const fixes = whatToFix(findings, pipelines)
  const overThrough = lastOver(period, clients, now)
  const grants = (await grantsOf(config, clients, grantKey)).filter(grant => grant.configured && isEnding(grant, now))
  return {
    ...period,
    now,
    clients: clients.length,
    overThrough,
    within,
    verdict: verdictOf(period, overThrough, pipelines, findings),
    pipelines,
    fixes,
    findings: findings.filter(({ level }) => level === 'report'),
    grants: grants.sort((a, b) => (a.refreshExpiresAt ?? 0) - (b.refreshExpiresAt ?? 0)),
  }
}

function whatToFix(findings: readonly Finding[], pipelines: readonly PipelineReport[]): Fix[] {
  const told = new Set(
    findings.flatMap(({ monitor, pipelines }) => (monitor === 'completeness' || monitor === 'freshness' ? pipelines : [])),
  )
  const untold = pipelines.filter(({ pipeline, days }) => days.missing > 0 && !told.has(pipeline))
  return [
    ...fixesOf(findings.filter(({ level }) => level !== 'report')),
    ...untold.map(({ pipeline, days }) => fixMissing(pipeline, days)),
  ].sort((a, b) => LEVELS.indexOf(a.level) - LEVELS.indexOf(b.level))
}

function isEnding({ state, refreshExpiresAt }: GrantStatus, now: number): boolean {
  return needsSomebody(state) || (refreshExpiresAt !== null && refreshExpiresAt < now + SOON_MS)
}

/** The last day of the window that is over for every client; the day before it when none is. */
function lastOver({ window }: Period, clients: readonly Client[], now: number): Day {
  const zones = [...new Set(clients.map(({ timeZone }) => timeZone))]
  const over = zones.map(zone => addDays(dayAt(now, zone), -1))
  return [...over, window.to].reduce((a, b) => (a < b ? a : b))
}

const SAID: Readonly<Record<Exclude<Lack, 'toCome'>, string>> = {
  missing: 'missing',
  held: 'held',
  failed: 'failed',
  parked: 'put off',
  partial: 'read too early',
}

function verdictOf(
  { name, window }: Period,
  overThrough: Day,
  pipelines: readonly PipelineReport[],
  findings: readonly Finding[],
): Verdict {
  const sum = (count: (days: DayCounts) => number): number => pipelines.reduce((all, { days }) => all + count(days), 0)
  const [expected, there, toCome, late] = [
    sum(days => days.expected),
    sum(days => days.there),
    sum(days => days.toCome),
    sum(days => days.late ?? 0),
  ]
  const subject = overThrough < window.to ? `${name} so far` : name
  const all = plural(expected, 'day')
  const lacking = expected - there - toCome
  if (lacking > 0) {
    const clients = new Set(
      pipelines.flatMap(({ days }) => days.wanting.filter(one => one.lacking > 0).map(({ client }) => client)),
    )
    const why = Object.entries(SAID).flatMap(([lack, said]) => {
      const days = sum(days => days[lack as keyof typeof SAID])
      return days === 0 ? [] : [`${count(days)} ${said}`]
    })
    const more = toCome === 0 ? '' : `; ${count(toCome)} ${toCome === 1 ? 'is' : 'are'} still to come`
    const what = `${count(lacking)} of ${all} ${lacking === 1 ? 'is' : 'are'} not there, of ${plural(clients.size, 'client')}`
    return { whole: false, mood: 'bad', sentence: `${subject} is not whole: ${what}: ${why.join(', ')}${more}.` }
  }
  if (expected === 0) return { whole: false, mood: 'busy', sentence: `${subject}: nothing was due.` }
  if (toCome > 0)
    return {
      whole: false,
      mood: 'busy',
      sentence: `${subject} is not whole yet: ${count(toCome)} of ${all} ${toCome === 1 ? 'is' : 'are'} still to come.`,
    }
  const wrong = findings.filter(({ level }) => level === 'block' || level === 'page').length
  if (wrong > 0) {
    const what = wrong === 1 ? 'something looks' : `${wrong} things look`
    return { whole: false, mood: 'bad', sentence: `${subject} has all its ${all}, but ${what} wrong.` }
  }
  const most = Math.max(0, ...pipelines.map(({ days }) => days.lateHours?.most ?? 0))
  const how = late === 0 ? '' : `, ${count(late)} of them late, by ${hours(most)} at most`
  return { whole: true, mood: 'good', sentence: `${subject} is whole: all ${all} are there${how}.` }
}
