import { driftText } from '../attempt/drift.ts'
import type { DriftRecord, PublishedDay } from '../ledger/ledger.ts'
import { daysLeft, type GrantStatus } from '../standing/grants.ts'
import { BASELINE_DAYS, median } from './baseline.ts'
import { clientsOf, clientsText, daysText, type Finding, type Level, numberText, percentText } from './finding.ts'
import { bySubject, findingAt, judgedDays, placesOf, sumOf, type Watched } from './watched.ts'

const DAY_MS = 86_400_000

/** Chunks that a guard holds, or whose tries are used up, by what stopped them. */
export function held(watched: Watched): Finding[] {
  const { problems, pipeline } = watched
  const stopped = problems.filter(({ state, problem }) => (state === 'held' || state === 'failed') && problem !== null)
  return [...Map.groupBy(stopped, ({ problem }) => problem?.code ?? '')].map(([code, chunks]) => {
    const places = chunks.map(({ chunk: { client, window } }) => ({ client, day: window.from }))
    const [first] = chunks
    const what = `${chunks.length} ${chunks.length === 1 ? 'chunk' : 'chunks'} of ${clientsText(clientsOf(places))} not published (${daysText(places)}): ${code}, the first: ${first?.problem?.message}`
    return findingAt(watched, 'held', { subject: `${pipeline.source.name} ${code}`, what, places, rows: 0 })
  })
}

/** Fields that are read and went missing, or have another type. */
export function fields(watched: Watched): Finding[] {
  return drifted(watched, 'fields', ({ change }) => change === 'missing' || change === 'type_changed')
}

/** Fields that no column reads, and values that no column declares. */
export function newFields(watched: Watched): Finding[] {
  return drifted(watched, 'new_fields', ({ change }) => change === 'added' || change === 'value_added')
}

function drifted(watched: Watched, monitor: 'fields' | 'new_fields', which: (drift: DriftRecord) => boolean): Finding[] {
  return watched.drifts.filter(which).map(drift => {
    const { change, path, first, clients, count } = drift
    const what = `${driftText(drift)}; first of client ${first.client}, ${clients} in all`
    const finding = findingAt(watched, monitor, {
      subject: `${change} ${path}${change === 'value_added' ? ` ${drift.value}` : ''}`,
      what,
      places: [{ client: first.client, day: first.window.from }],
      rows: count,
    })
    return { ...finding, since: first.at }
  })
}

/** Times that rejects must be more than usual. */
const TIMES_USUAL = 5

/** Rejected rows of a day, of each client, against the eight weeks before. What is beyond `checks.rejects` was not published: see `held`. */
export function rejects(watched: Watched): Finding[] {
  const { leastRows, rejectsShare } = watched.pipeline.thresholds
  const found = [...judgedDays(watched)].filter(({ day, days, epochDay }) => {
    const before = [...days].flatMap(([other, one]) =>
      other < epochDay && other >= epochDay - BASELINE_DAYS ? [rejectedShare(one)] : [],
    )
    const usual = before.length === 0 ? 0 : median(before)
    return day.rejected >= leastRows && rejectedShare(day) >= Math.max(rejectsShare, TIMES_USUAL * usual)
  })
  return [...bySubject(found)].map(([subject, members]) => {
    const rejected = sumOf(members, ({ day }) => day.rejected)
    const records = sumOf(members, ({ day }) => day.rejected + day.rows)
    const places = placesOf(members)
    const what = `${subject}: ${numberText(rejected)} of ${numberText(records)} rows rejected (${percentText(rejected / records)}), ${clientsText(clientsOf(places))}`
    return findingAt(watched, 'rejects', { subject, what, places, rows: rejected })
  })
}

function rejectedShare({ rows, rejected }: PublishedDay): number {
  return rejected === 0 ? 0 : rejected / (rows + rejected)
}

/** Quotas of the API of which little is left. */
export function quota(watched: Watched): Finding[] {
  const { pipeline, quotas } = watched
  return [...quotas].flatMap(([name, left]) => {
    if (left >= pipeline.thresholds.quotaShare) return []
    const subject = `${pipeline.source.name} ${name}`
    const what = `${subject}: ${percentText(left)} of the quota left, the least that an answer of the last hour has said`
    return [findingAt(watched, 'quota', { subject, what, places: [], rows: 0 })]
  })
}

/** Bytes billed against the budget: more than a day may cost, and what is used of a month. */
export function cost(watched: Watched): Finding[] {
  const { pipeline, bytesBilled, now } = watched
  const { bytesPerDay = Number.POSITIVE_INFINITY, bytesPerMonth = Number.POSITIVE_INFINITY } = pipeline.budget
  const found: Finding[] = []
  const tell = (subject: string, level: Level, since: number, what: string): void => {
    found.push({ ...findingAt(watched, 'cost', { subject, what, places: [], rows: 0 }), level, since })
  }
  if (bytesBilled.day > bytesPerDay) {
    const what = `${numberText(bytesBilled.day)} bytes billed within 24 hours, ${numberText(bytesPerDay)} allowed`
    tell('day', 'ticket', now - DAY_MS, what)
  }
  const used = bytesBilled.month / bytesPerMonth
  if (used >= pipeline.thresholds.budgetShare) {
    const what = `${numberText(bytesBilled.month)} bytes billed since the month began, ${percentText(used)} of ${numberText(bytesPerMonth)}`
    tell('month', used >= 1 ? 'page' : 'ticket', now, what)
  }
  return found
}

/** From when on the end of a grant is told of, and from when on it wakes somebody. */
const ENDING = { ticketMs: 7 * DAY_MS, pageMs: 3_600_000 } as const

/** Grants of the clients that are read that do not work, or will not for long, by provider. */
export function credentials(grants: readonly GrantStatus[], now: number): Finding[] {
  const found = grants.flatMap(grant => {
    const { state, refreshExpiresAt, configured } = grant
    if (!configured) return []
    if (state !== 'usable' && state !== 'doubtful') return [{ grant, level: 'page' as const, how: state }]
    if (refreshExpiresAt === null || refreshExpiresAt > now + ENDING.ticketMs) return []
    const days = daysLeft(refreshExpiresAt, now)
    const level: Level = refreshExpiresAt <= now + ENDING.pageMs ? 'page' : 'ticket'
    return [{ grant, level, how: days < 0 ? 'ended' : level === 'page' ? 'ending within the hour' : 'ending within a week' }]
  })
  return [...Map.groupBy(found, ({ grant, how }) => `${grant.provider} ${how}`)].map(([subject, same]) => {
    const names = same.map(({ grant }) => grant.grant)
    return {
      monitor: 'credentials',
      level: same[0]?.level ?? 'ticket',
      subject,
      pipelines: [],
      since: now,
      what: `${names.length} ${names.length === 1 ? 'grant' : 'grants'} of ${subject}: ${names.slice(0, 5).join(', ')}${names.length > 5 ? ', ...' : ''}`,
      places: [],
      rows: 0,
    }
  })
}
