import { driftText } from '../../lib/attempt/drift.ts'
import { windowText } from '../../lib/chunk.ts'
import type { ChunkRecord, DriftRecord } from '../../lib/ledger/ledger.ts'
import type { BlockedChunk } from '../../lib/ledger/served.ts'
import { type Coverage, coverage } from '../../lib/standing/coverage.ts'
import { columns, output, plural } from '../output.ts'
import { chosenPipelines, withConfig } from './context.ts'
import type { CommonOptions } from './options.ts'

/** Problems and drifts listed; beyond it they are only counted. */
const LISTED = 20

/** More than anybody has. */
export const ALL = 1_000_000

/** `headrace status`: through which day the data of each client is complete, its gaps, how records changed, and what waits for somebody. */
export async function status(
  options: CommonOptions & { readonly pipeline?: string; readonly clients?: readonly string[] },
): Promise<void> {
  await withConfig(options.config, async config => {
    const found = []
    for (const { name, after } of chosenPipelines(config, options.pipeline)) {
      found.push({
        pipeline: name,
        lastFinished: (await config.ledger.lastFinished(name)) ?? null,
        clients: await Array.fromAsync(coverage(config.ledger, name, options.clients)),
        drifts: await config.ledger.drifts(name, ALL),
        problems: await config.ledger.problems(name, undefined, ALL),
        blocked: await config.ledger.blocked(name, after, ALL),
        restatements: options.json ? await config.ledger.restatements(name, LISTED) : [],
      })
    }
    if (options.json) {
      output.json({ command: 'status', pipelines: found })
      return
    }
    for (const [index, { pipeline, lastFinished, clients, drifts, problems, blocked }] of found.entries()) {
      if (index > 0) output.line()
      const finished = lastFinished === null ? 'no run has finished yet' : `last run finished ${instant(lastFinished)}`
      output.line(`${pipeline}: ${finished}`)
      if (clients.length > 0) {
        output.line()
        for (const line of columns([COVERAGE, ...clients.map(coverageRow)])) output.line(line)
      }
      for (const drift of drifts.slice(0, LISTED)) for (const line of driftLines(drift)) output.line(line)
      if (drifts.length > LISTED) output.line(`and ${plural(drifts.length - LISTED, 'change')} more (--json lists them all)`)
      for (const problem of problems.slice(0, LISTED)) for (const line of problemLines(problem)) output.line(line)
      if (problems.length > LISTED) output.line(`and ${plural(problems.length - LISTED, 'chunk')} more (--json lists them all)`)
      for (const one of blocked.slice(0, LISTED)) for (const line of blockedLines(one)) output.line(line)
      if (blocked.length > LISTED)
        output.line(`and ${plural(blocked.length - LISTED, 'chunk')} more that wait (--json lists them all)`)
    }
  })
}

const COVERAGE = ['client', 'complete through', 'from', 'to', 'days', 'rows', 'empty days', 'gaps']

function coverageRow({ client, completeThrough, first, last, days, rows, emptyDays, gaps }: Coverage): (string | number)[] {
  const shown = gaps.slice(0, 3).map(windowText).join(', ')
  const more = gaps.length > 3 ? ` and ${gaps.length - 3} more` : ''
  return [client, completeThrough ?? 'nothing', first ?? '', last ?? '', days, rows, emptyDays, shown + more || 'none']
}

function driftLines(drift: DriftRecord): string[] {
  const { first, lastAt, clients } = drift
  return [
    '',
    `${drift.change}: ${driftText(drift)}`,
    `  first ${instant(first.at)}: ${first.client}, ${windowText(first.window)}; last ${instant(lastAt)}; ${plural(clients, 'client')}`,
  ]
}

/** A chunk that waits for another pipeline, and why. */
function blockedLines({ chunk, upstream, missing, by }: BlockedChunk): string[] {
  const days = missing.length === 0 ? 'its days are read again' : `${plural(missing.length, 'day')} not published`
  const cause = by === null ? 'nobody has asked for them' : `${by.state}: ${windowText(by.chunk.window)}`
  return [
    '',
    `waits for ${upstream}: ${chunk.client}, ${windowText(chunk.window)}`,
    `  ${days} there; ${cause}`,
    ...(by === null || by.problem === null ? [] : [`  ${by.problem.code}: ${by.problem.message}`]),
  ]
}

/** A chunk that needs somebody, as two or three lines. */
export function problemLines({ chunk, state, problem, notBefore }: ChunkRecord): string[] {
  const when = state === 'parked' && notBefore > 0 ? `, not before ${instant(notBefore)}` : ''
  return [
    '',
    `${state}${when}: ${chunk.client}, ${windowText(chunk.window)}`,
    ...(problem === null
      ? []
      : [`  ${problem.code}: ${problem.message}`, ...(problem.hint === null ? [] : [`  ${problem.hint}`])]),
  ]
}

function instant(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} UTC`
}
