import type { ChunkRecord, Restatement } from '../../ledger/ledger.ts'
import type { ListedRun, OperatorAction } from '../../ledger/lists.ts'
import type { BlockedChunk } from '../../ledger/served.ts'
import { type ChunkState, PROBLEM_STATES } from '../../ledger/states.ts'
import { MONITORS } from '../../monitor/finding.ts'
import { plural } from '../../quantity.ts'
import type { PageFacts } from './facts.ts'
import { type Html, html } from './html.ts'
import { days, instant, table } from './parts.ts'

/** Rows of a table that are shown; the others are counted. */
const SHOWN = 50

/** Chunks that are held, failed or parked, what is wrong with each, and what to do. */
export function problems({ pipelines }: PageFacts): Html {
  const all = pipelines
    .flatMap(({ calendar }) => calendar.problems)
    .toSorted((a, b) => URGENT.indexOf(a.state) - URGENT.indexOf(b.state))
  if (all.length === 0) return html`<p>Nothing is held, failed or parked.</p>`
  const row = ({ chunk, state, problem, notBefore }: ChunkRecord): Html[] => [
    html`<span class="mark tag ${state}">${state}</span>${state === 'parked' && notBefore > 0 ? html` until ${instant(notBefore)}` : undefined}`,
    html`${chunk.pipeline}`,
    html`${chunk.client}`,
    days(chunk.window),
    problem === null
      ? html``
      : html`<span class="code">${problem.code}</span> ${problem.message}${problem.hint === null ? undefined : html`<br><span class="hint">${problem.hint}</span>`}`,
  ]
  return html`${table('Chunks that wait for somebody or something', ['state', 'pipeline', 'client', 'days', 'what is wrong'], all.slice(0, SHOWN).map(row), all.length - SHOWN)}
<p class="quiet">A held chunk is published by <span class="code">headrace approve</span>, and each of them gets another chance by <span class="code">headrace retry</span>.</p>`
}

/** What a person has to decide comes first. */
const URGENT: readonly ChunkState[] = PROBLEM_STATES

/** What the monitors find in what is published, what is safe, and what to do. */
export function findings({ findings: all }: PageFacts): Html {
  if (all.length === 0) return html`<p>Nothing: the monitors find what they expect.</p>`
  const rows = all
    .slice(0, SHOWN)
    .map(({ monitor, level, pipelines, since, what }) => [
      html`<span class="tag ${level}">${level}</span>`,
      html`${pipelines.join(', ')}`,
      html`${what}<br><span class="hint">${MONITORS[monitor].safe} ${MONITORS[monitor].action}</span>`,
      instant(since),
    ])
  return table('What the monitors find', ['how urgent', 'pipelines', 'what, and what to do', 'since'], rows, all.length - SHOWN)
}

/** Runs that are not finished, and chunks that are being read. */
export function running({ runs, pipelines }: PageFacts): Html {
  const reading = pipelines.flatMap(({ calendar }) => calendar.reading)
  if (runs.length === 0 && reading.length === 0) return html`<p>Nothing: no run has anything left to do.</p>`
  const chunks = reading.map(({ chunk, state, attempts, updatedAt }) => [
    state === 'running' ? 'reading' : 'waiting for its commit',
    chunk.pipeline,
    chunk.client,
    days(chunk.window),
    html`${instant(updatedAt)}${attempts === 1 ? '' : `, try ${attempts}`}`,
  ])
  return html`${runs.length === 0 ? undefined : table('Runs that are not finished, newest first', ['pipeline', 'asked by', 'days', 'clients', 'begun', 'how far'], runs.map(runRow))}
${chunks.length === 0 ? html`<p class="quiet">Nothing is being read at this moment.</p>` : table('Chunks under way', ['state', 'pipeline', 'client', 'days', 'since'], chunks.slice(0, SHOWN), chunks.length - SHOWN)}`
}

function runRow({ pipeline, command, window, clients, startedAt, progress }: ListedRun): Html[] {
  const { published, unchanged, held, failed, parked } = progress
  const all = Object.values(progress).reduce((sum, count) => sum + count, 0)
  const done = published + unchanged
  const stuck = held + failed + parked
  return [
    html`${pipeline}`,
    html`${command === 'schedule' ? 'a schedule' : 'somebody'}`,
    days(window),
    html`${clients}`,
    instant(startedAt),
    html`<progress max="${Math.max(1, all)}" value="${done}" aria-label="chunks done"></progress> ${done} of ${plural(all, 'chunk')}${stuck > 0 ? `, ${stuck} stuck` : ''}`,
  ]
}

/** Chunks that wait for another pipeline, and why. */
export function blocked({ pipelines }: PageFacts): Html {
  const all = pipelines.flatMap(({ blocked }) => blocked)
  if (all.length === 0) return html`<p>No chunk waits for another pipeline.</p>`
  const row = ({ chunk, upstream, missing, by }: BlockedChunk): Html[] => [
    html`${chunk.pipeline}`,
    html`${chunk.client}`,
    days(chunk.window),
    html`${upstream}: ${missing.length === 0 ? 'its days are read again' : `${plural(missing.length, 'day')} not published`}`,
    by === null
      ? html`nobody has asked for these days`
      : html`${by.state}: ${days(by.chunk.window)}${by.problem === null ? undefined : html`, <span class="code">${by.problem.code}</span> ${by.problem.message}`}`,
  ]
  return table(
    'Chunks that wait for another pipeline',
    ['pipeline', 'client', 'days', 'waits for', 'because'],
    all.slice(0, SHOWN).map(row),
    all.length - SHOWN,
  )
}

/** Days that were published anew this week with other numbers. */
export function restatements({ pipelines }: PageFacts): Html {
  const all = pipelines.flatMap(({ calendar }) => calendar.restatements)
  if (all.length === 0) return html`<p>No published day has changed in the last seven days.</p>`
  const row = ({
    pipeline,
    client,
    day,
    rowsBefore,
    rowsAfter,
    added,
    removed,
    totalsBefore,
    totalsAfter,
    at,
  }: Restatement): Html[] => [
    instant(at),
    html`${pipeline}`,
    html`${client}`,
    html`${day}`,
    html`${rowsBefore.toLocaleString('en')} → ${rowsAfter.toLocaleString('en')} (${added.toLocaleString('en')} new, ${removed.toLocaleString('en')} gone)`,
    html`${Object.entries(totalsAfter)
      .filter(([column, after]) => totalsBefore[column] !== after)
      .map(([column, after]) => `${column} ${totalsBefore[column]} → ${after}`)
      .join('; ')}`,
  ]
  return table(
    'Days whose numbers changed, newest first',
    ['when', 'pipeline', 'client', 'day', 'rows', 'totals'],
    all.slice(0, SHOWN).map(row),
    all.length - SHOWN,
  )
}

/** What operators have done lately. */
export function actions({ actions }: PageFacts): Html {
  if (actions.length === 0) return html`<p>Nobody has done anything by hand.</p>`
  const row = ({ at, who, action, subject, outcome }: OperatorAction): Html[] => [
    instant(at),
    html`${who}`,
    html`${action}`,
    html`${subject}`,
    html`${outcome}`,
  ]
  return table('What was done by hand, newest first', ['when', 'who', 'what', 'to what', 'and then'], actions.map(row))
}
