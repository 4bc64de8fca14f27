import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FacetName } from '../../lib/lineage/facets.ts'
import { eventsIn } from '../lineage/events.ts'
import {
  abandoned,
  broken,
  diverged,
  failed,
  held,
  inBigQuery,
  lineageIn,
  published,
  restated,
  shrunk,
} from '../lineage/scenarios.ts'
import { FAULTS, spoiled } from './lineage/faults.ts'
import { makeEnvironment } from './python.ts'

/**
 * Every event of real backfills, judged by the classes of OpenLineage's own client for Python, which are generated from the published schemas; and events
 * with faults, each of which the judge has to find. Takes some ten seconds. Run it with: node test/prove/lineage.ts
 */

const CLIENT = 'openlineage-python==1.54.0'
/** Longest a step of its installation may take. */
const STEP_MS = 50_000

const SCENARIOS = { published, restated, held, shrunk, diverged, failed, broken, abandoned, inBigQuery }

/** Every facet there is; the compiler says when one is missing here. */
const FACETS: Readonly<Record<FacetName, true>> = {
  nominalTime: true,
  parent: true,
  processing_engine: true,
  tags: true,
  errorMessage: true,
  jobType: true,
  documentation: true,
  schema: true,
  columnLineage: true,
  dataQualityMetrics: true,
  dataQualityAssertions: true,
  outputStatistics: true,
}

const folder = mkdtempSync(join(tmpdir(), 'headrace-lineage-'))

/** What the judge has against each of some events. */
function judged(events: readonly unknown[]): string[][] {
  const judge = fileURLToPath(new URL('lineage/judge.py', import.meta.url))
  const { status, stdout, stderr } = spawnSync(join(folder, 'python/bin/python'), [judge], {
    input: events.map(event => `${JSON.stringify(event)}\n`).join(''),
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  })
  assert.equal(status, 0, stderr)
  const verdicts = stdout.split('\n').flatMap((line): string[][] => (line === '' ? [] : [JSON.parse(line)]))
  assert.equal(verdicts.length, events.length, 'a verdict on each event')
  return verdicts
}

/** The faults that the judge has not found, or not where they are. */
function missed(
  faults: readonly { readonly what: string; readonly event: unknown; readonly problem: RegExp | string }[],
): string[] {
  const verdicts = judged(faults.map(({ event }) => event))
  return faults.flatMap(({ what, problem }, at) => {
    const problems = verdicts[at] ?? []
    const found = problems.some(one => (typeof problem === 'string' ? one.startsWith(`${problem}: `) : problem.test(one)))
    return found ? [] : [`${what}: ${problems.join('; ')}`]
  })
}

async function prove(): Promise<void> {
  const events = []
  for (const [name, scenario] of Object.entries(SCENARIOS)) {
    const place = join(folder, name)
    mkdirSync(place)
    await scenario(place)
    const told = eventsIn(lineageIn(place))
    assert.ok(told.length > 1, `${name} is told`)
    events.push(...told)
  }
  const sets = events.flatMap(({ run, job, inputs, outputs }) => [
    run.facets,
    job.facets,
    ...[...inputs, ...outputs].map(({ facets }) => facets),
    ...inputs.map(({ inputFacets = {} }) => inputFacets),
    ...outputs.map(({ outputFacets = {} }) => outputFacets),
  ])
  const met = new Set(sets.flatMap(set => Object.keys(set)))
  assert.deepEqual([...met].sort(), Object.keys(FACETS).sort(), 'every facet is told')
  assert.deepEqual(judged(events).flat(), [])
  console.log(
    `${events.length} events of ${Object.keys(SCENARIOS).length} stories, with ${met.size} facets, are as the client of OpenLineage has them`,
  )

  const [start, complete] = events
  const fail = events.find(({ run }) => JSON.stringify(run).includes('SOURCE_DIVERGED'))
  assert.ok(fail !== undefined, 'one of them has failed, with a check of a column')
  const text = JSON.stringify(complete)
  const planted = Object.entries(FAULTS).map(([what, { from, to, problem }]) => {
    assert.ok(text.includes(from), `${what} can be made`)
    return { what, event: JSON.parse(text.replace(from, to)), problem }
  })
  assert.deepEqual(missed(planted), [])
  const everywhere = [start, complete, fail].flatMap(event => [...spoiled(event, 'event')])
  assert.deepEqual(missed(everywhere), [])
  console.log(`each of ${planted.length + everywhere.length} faults is found where it was planted`)
}

try {
  const absent = makeEnvironment(join(folder, 'python'), 'python3', [[CLIENT]], STEP_MS)
  if (absent === undefined) await prove()
  else console.log(`${CLIENT} ${absent}: left out`)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
