import type { Day } from '../chunk.ts'
import type { TimeRange } from '../ledger/work.ts'
import { clientsOf, clientsText, daysText, type Finding, type Level, MONITORS, type MonitorName } from '../monitor/finding.ts'
import { count, plural } from '../quantity.ts'
import type { DayCounts } from './days.ts'

/** Something that somebody should do. */
export interface Fix {
  readonly level: Level
  /** What is wrong, with its pipelines and numbers. */
  readonly what: string
  /** When it began, in epoch milliseconds; null where that is not known. */
  readonly since: number | null
  /** How many rows, about, and clients are concerned; 0 where that is not known. */
  readonly rows: number
  readonly clients: number
  readonly safe: string
  readonly action: string
  /** What to type for it, in this order; none where it is no matter of a command. */
  readonly commands: readonly string[]
}

/** Things to do that are shown; the others are counted. */
export const MOST_FIXES = 20

/** How many things there are to do, and how many of them are new. */
export function fixesText(fixes: readonly Fix[], { from }: TimeRange): string {
  if (fixes.length === 0) return 'Nothing.'
  const fresh = fixes.filter(({ since }) => since !== null && since >= from).length
  return `${plural(fixes.length, 'thing')}, ${count(fresh)} of them since these days began.`
}

/** How much is concerned, as far as that is known. */
export function sizeText({ rows, clients }: Fix): string {
  return [...(rows === 0 ? [] : [`about ${plural(rows, 'row')}`]), ...(clients === 0 ? [] : [plural(clients, 'client')])].join(
    ', ',
  )
}

/** What findings ask for, in their order; those that one monitor has of one pipeline are one, but for what is held, each for another reason. */
export function fixesOf(findings: readonly Finding[]): Fix[] {
  const same = Map.groupBy(findings, ({ monitor, level, pipelines, subject }) =>
    JSON.stringify([monitor, level, pipelines, monitor === 'held' ? subject : '']),
  )
  return [...same.values()].map(fixOf)
}

function fixOf(findings: readonly Finding[]): Fix {
  const [finding, ...others] = findings as [Finding, ...Finding[]]
  const { monitor, level, pipelines, what } = finding
  const { safe, action } = MONITORS[monitor]
  const places = findings.flatMap(one => one.places)
  const where = pipelines.length === 0 ? '' : `${pipelines.join(', ')}: `
  const more = others.length === 0 ? '' : `; and ${count(others.length)} more of this, ${daysText(places)} in all`
  // A monitor that does not know since when says that it is so now.
  const since = monitor === 'credentials' || monitor === 'monitors' ? null : Math.min(...findings.map(one => one.since))
  return {
    level,
    what: `${where}${monitor}: ${what}${more}`,
    since,
    rows: findings.reduce((sum, { rows }) => sum + rows, 0),
    clients: clientsOf(places).length,
    safe,
    action,
    commands: commandsOf({ ...finding, places }),
  }
}

/** What days ask for that nobody reads, where no monitor tells of them: of pipelines that promise nothing, or before the promise is broken. */
export function fixMissing(pipeline: string, { wanting, missingSince: since }: DayCounts): Fix {
  const places = wanting.flatMap(({ client, missing }) => missing.map(day => ({ client, day })))
  const { safe, action } = MONITORS.completeness
  return {
    level: 'ticket',
    what: `${pipeline}: ${plural(places.length, 'day')} missing (${daysText(places)}) for ${clientsText(clientsOf(places))}`,
    since,
    rows: 0,
    clients: clientsOf(places).length,
    safe,
    action,
    commands: [headrace('backfill', ...about(pipeline, places), '--missing')],
  }
}

/** Clients that are named in a command; of more, it is about all of them. */
const MOST_NAMED = 10

/** Chunks for which there is a command each. */
const MOST_CHUNKS = 3

/** Monitors whose findings are settled by reading their days again. */
const READ_AGAIN: readonly MonitorName[] = [
  'volume',
  'empty',
  'repeated',
  'totals',
  'source_totals',
  'nulls',
  'range',
  'distribution',
]

function commandsOf({ monitor, pipelines, places }: Finding): string[] {
  const [pipeline = '', ...others] = pipelines
  if (monitor === 'credentials') return [headrace('grants', 'list')]
  if (monitor === 'monitors') return [headrace('findings')]
  // Which of several pipelines a place is of is not known.
  if (others.length > 0) return [headrace('status')]
  if (monitor === 'held') {
    const retries = places.map(({ client, day }) => headrace('retry', '--pipeline', pipeline, '--client', client, '--from', day))
    const status = headrace('status', '--pipeline', pipeline, ...named(clientsOf(places)))
    return [status, ...(retries.length > MOST_CHUNKS ? [] : retries)]
  }
  if (monitor === 'freshness') return [headrace('status', '--pipeline', pipeline)]
  if (monitor === 'completeness') return [headrace('backfill', ...about(pipeline, places), '--missing')]
  if (monitor === 'rejects') return [headrace('rejects', ...about(pipeline, places))]
  if (monitor === 'fields') return [headrace('describe', '--pipeline', pipeline)]
  if (READ_AGAIN.includes(monitor) && places.length > 0) return [headrace('backfill', ...about(pipeline, places))]
  return []
}

/** The options that say which days of which clients. */
function about(pipeline: string, places: readonly { readonly client: string; readonly day: Day }[]): string[] {
  const days = places.map(({ day }) => day).sort()
  return ['--pipeline', pipeline, '--from', days[0] ?? '', '--to', days.at(-1) ?? '', ...named(clientsOf(places))]
}

function named(clients: readonly string[]): string[] {
  return clients.length > MOST_NAMED ? [] : ['--clients', clients.map(inList).join(',')]
}

/** A name in a list of names, as CSV. */
function inList(name: string): string {
  return /^[^",]*$/.test(name) && name.trim() === name ? name : `"${name.replaceAll('"', '""')}"`
}

/** A command as it is typed into a shell: whatever a client is called is one word of it, and nothing more. */
function headrace(...words: readonly string[]): string {
  const quoted = words.map(word => (/^[\w.,:/@%+=-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`))
  return ['headrace', ...quoted].join(' ')
}
