import { driftText } from '../attempt/drift.ts'
import { addDecimals, subtractDecimals } from '../decimal.ts'
import { percentText } from '../monitor/finding.ts'
import { bytes, count, duration, hours, minute, plural } from '../quantity.ts'
import { daysLeft } from '../standing/grants.ts'
import type { Moved } from './changes.ts'
import type { Wanting } from './days.ts'
import type { PipelineReport, Report } from './report.ts'
import { named, type PartTable, some, totalRow, withoutZeros } from './tables.ts'

/** What a report says of one thing, the same on a terminal and on a page. */
export interface Part {
  /** Names it in an address. */
  readonly id: string
  readonly heading: string
  readonly says: readonly string[]
  readonly tables: readonly PartTable[]
}

/** Rows of a table that are shown. */
const MOST_ROWS = 10

/** The parts of a report behind what is to be done. */
export function partsOf(report: Report): Part[] {
  return [
    daysPart(report),
    restatedPart(report),
    rejectsPart(report),
    driftsPart(report),
    workPart(report),
    grantsPart(report),
    knowPart(report),
  ]
}

/** What can be said of the whole report beside its verdict. */
export function introductionOf({ window, overThrough, now, clients, pipelines, name }: Report): string[] {
  const about = `${window.from} to ${window.to}, ${plural(clients, 'client')}, ${plural(pipelines.length, 'pipeline')}, as of ${minute(now)}.`
  const over =
    overThrough < window.to
      ? [
          `${name} is not over: it has ended for every client through ${overThrough < window.from ? 'none of its days' : overThrough}.`,
        ]
      : []
  return [about, ...over]
}

function daysPart({ pipelines, clients }: Report): Part {
  const rows = pipelines.map(({ pipeline, days }) => [
    pipeline,
    days.clients,
    days.expected,
    days.there,
    days.late ?? '',
    days.lateHours === null ? '' : hours(days.lateHours.most),
    days.missing,
    days.held,
    days.failed,
    days.parked,
    days.partial,
    days.toCome,
    days.rows,
  ])
  const columns = [
    'pipeline',
    'clients',
    'days due',
    'there',
    'late',
    'by at most',
    'missing',
    'held',
    'failed',
    'put off',
    'too early',
    'to come',
    'rows',
  ]
  const wanting = pipelines.flatMap(({ pipeline, days }) => days.wanting.map(one => ({ pipeline, ...one })))
  wanting.sort((a, b) => b.lacking - a.lacking || b.late - a.late || b.latestHours - a.latestHours)
  const says = [
    'A day is one day of one client, on its own clock; it is late when it came later after its end than its pipeline promises.',
  ]
  return {
    id: 'days',
    heading: 'Is the data there?',
    says,
    tables: [
      withoutZeros(
        { caption: 'Days by pipeline', columns, rows: [...rows, ...totalRow(rows).map(row => row.with(1, clients))], more: 0 },
        4,
      ),
      ...some({
        caption: 'Clients with the most days that are not there, or late',
        columns: ['pipeline', 'client', 'not there', 'late', 'by at most'],
        rows: wanting.slice(0, MOST_ROWS).map(wantingRow),
        more: wanting.length - MOST_ROWS,
      }),
    ],
  }
}

function wantingRow({
  pipeline,
  client,
  lacking,
  late,
  latestHours,
}: Wanting & { readonly pipeline: string }): (string | number)[] {
  return [pipeline, client, lacking, late, late === 0 ? '' : hours(latestHours)]
}

function restatedPart({ pipelines }: Report): Part {
  const rows = pipelines
    .filter(({ restated }) => restated.days > 0)
    .map(({ pipeline, restated: { days, clients, added, removed, oldest, moved } }) => [
      pipeline,
      days,
      clients,
      added,
      removed,
      oldest === null ? '' : plural(oldest, 'day'),
      moved.map(movedText).join('; '),
    ])
  const columns = ['pipeline', 'days', 'clients', 'rows new', 'rows gone', 'oldest', 'control totals']
  const lookbacks = pipelines.flatMap(({ pipeline, restated: { lookback, measuredLookback } }) =>
    lookback === null || measuredLookback === null ? [] : [lookbackText(pipeline, lookback, measuredLookback)],
  )
  const says = rows.length === 0 ? ['No published day changed.'] : ['Days that changed when they were read again.']
  return {
    id: 'restated',
    heading: 'What changed afterwards',
    says: [...says, ...lookbacks],
    tables: some({ caption: 'Changed days by pipeline', columns, rows, more: 0 }),
  }
}

function lookbackText(pipeline: string, lookback: number, measured: number): string {
  const enough = measured < lookback ? 'it is long enough' : 'it is too short to see what comes later'
  return `${pipeline}: 99 % of all changes come within ${plural(measured, 'day')}, the lookback is ${plural(lookback, 'day')}: ${enough}.`
}

function movedText({ column, before, after }: Moved): string {
  const by = subtractDecimals(after, before)
  const share =
    Number(before) === 0 ? '' : ` (${by.startsWith('-') ? '' : '+'}${percentText(Number(by) / Math.abs(Number(before)))})`
  return `${column} ${decimal(before)} -> ${decimal(after)}${share}`
}

/** Decimal text with thousands separators. */
function decimal(text: string): string {
  const [whole = '', fraction] = addDecimals(text, '0').split('.')
  return `${whole.replace(/\B(?=(\d{3})+$)/g, ',')}${fraction === undefined ? '' : `.${fraction}`}`
}

function rejectsPart({ pipelines }: Report): Part {
  const rows = pipelines
    .filter(({ rejects }) => rejects.rejected > 0)
    .map(({ pipeline, days, rejects: { rejected, rules, clients } }) => [
      pipeline,
      rejected,
      percentText(rejected / (rejected + days.rows)),
      clients.length,
      `${named(clients.map(({ client, rejected }) => `${client} ${count(rejected)}`))}; by rule: ${named(rules.map(({ rule, rejected }) => `${rule} ${count(rejected)}`))}`,
    ])
  const says =
    rows.length === 0
      ? ['No record of these days was rejected.']
      : ['Records of these days that were refused; they are kept beside the table. Rules are counted by chunk.']
  const columns = ['pipeline', 'rejected', 'share', 'clients', 'most of them']
  return {
    id: 'rejects',
    heading: 'What was rejected',
    says,
    tables: some({ caption: 'Rejected records by pipeline', columns, rows, more: 0 }),
  }
}

function driftsPart({ pipelines }: Report): Part {
  const all = pipelines.flatMap(({ pipeline, drifts }) => drifts.map(drift => ({ pipeline, drift })))
  const rows = all
    .slice(0, MOST_ROWS)
    .map(({ pipeline, drift }) => [pipeline, minute(drift.first.at), drift.clients, driftText(drift)])
  return {
    id: 'drifts',
    heading: 'What the APIs changed',
    says: rows.length === 0 ? ['No record had other fields, types or values than before.'] : [],
    tables: some({
      caption: 'Changes that were seen first in this time',
      columns: ['pipeline', 'first seen', 'clients', 'what'],
      rows,
      more: all.length - MOST_ROWS,
    }),
  }
}

function workPart({ pipelines, within }: Report): Part {
  const rows = pipelines.map(({ pipeline, work }) => [pipeline, ...WORK.map(([, of]) => of(work))])
  const sum = (of: (work: PipelineReport['work']) => number): number => pipelines.reduce((all, { work }) => all + of(work), 0)
  const [billed, waited, slots] = [sum(work => work.bytesBilled), sum(work => work.waitedMs), sum(work => work.slotMs)]
  const says = [
    `What was done from ${minute(within.from)} to ${minute(within.until)}, whatever days it was about.`,
    `Requests waited ${duration(waited / 1_000)} for limits and because APIs asked for it, all together.`,
    billed === 0 && slots === 0
      ? 'The warehouse billed nothing.'
      : `The warehouse billed ${bytes(billed)} in ${plural(
          sum(work => work.jobs),
          'job',
        )}, which took ${duration(slots / 1_000)} of slots.`,
  ]
  const columns = ['pipeline', ...WORK.map(([name]) => name)]
  const table = { caption: 'Work by pipeline', columns, rows: [...rows, ...totalRow(rows)], more: 0 }
  return { id: 'work', heading: 'What it took', says, tables: [withoutZeros(table, 3)] }
}

const MIB = 1_048_576

/** What is told of work, each as a number that can be summed. */
const WORK: readonly (readonly [name: string, of: (work: PipelineReport['work']) => number])[] = [
  ['chunks tried', work => work.attempts],
  ['records', work => work.extracted],
  ['stopped', work => work.stopped],
  ['requests', work => work.requests],
  ['retries', work => work.retries],
  ['s waited', work => Math.round(work.waitedMs / 1_000)],
  ['MiB billed', work => Math.round(work.bytesBilled / MIB)],
  ['jobs', work => work.jobs],
  ['slot s', work => Math.round(work.slotMs / 1_000)],
]

function grantsPart({ grants, now }: Report): Part {
  const rows = grants
    .slice(0, MOST_ROWS)
    .map(({ grant, state, refreshExpiresAt }) => [
      grant,
      state,
      refreshExpiresAt === null ? '' : `${minute(refreshExpiresAt)} (${plural(daysLeft(refreshExpiresAt, now), 'day')} left)`,
    ])
  const says =
    rows.length === 0
      ? ['Every grant works, and none ends within 30 days.']
      : ['Grants that need somebody, or end within 30 days: `headrace grants consent` has the account consent again.']
  return {
    id: 'grants',
    heading: 'Which credentials end',
    says,
    tables: some({
      caption: 'Grants, those that end first first',
      columns: ['grant', 'state', 'ends'],
      rows,
      more: grants.length - MOST_ROWS,
    }),
  }
}

function knowPart({ findings }: Report): Part {
  const rows = findings
    .slice(0, MOST_ROWS)
    .map(({ monitor, pipelines, since, what }) => [pipelines.join(', '), monitor, minute(since), what])
  return {
    id: 'know',
    heading: 'What else is worth knowing',
    says: rows.length === 0 ? ['Nothing.'] : [],
    tables: some({
      caption: 'What the monitors report',
      columns: ['pipeline', 'monitor', 'since', 'what'],
      rows,
      more: findings.length - MOST_ROWS,
    }),
  }
}
