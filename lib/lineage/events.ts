import { addDays } from '../chunk.ts'
import { type HeadraceError, withoutCredentials } from '../errors.ts'
import type { AttemptSummary, Claim } from '../ledger/ledger.ts'
import type { ChunkState } from '../ledger/states.ts'
import type { Pipeline } from '../pipeline.ts'
import { VERSION } from '../version.ts'
import { columnLineage, recordFields, tableFields } from './columns.ts'
import { apiName, type DatasetName } from './dataset.ts'
import { EVENT_SCHEMA, type Facets, facet, PRODUCER } from './facets.ts'
import { assertionsOf, metricsOf } from './quality.ts'

/** A dataset in an event. */
interface Dataset extends DatasetName {
  readonly facets: Facets
}

interface InputDataset extends Dataset {
  readonly inputFacets?: Facets
}

interface OutputDataset extends Dataset {
  readonly outputFacets?: Facets
}

/** A RunEvent of OpenLineage: an attempt began, or came to its end. */
export interface RunEvent {
  readonly eventType: 'START' | 'COMPLETE' | 'FAIL' | 'ABORT'
  /** ISO 8601, UTC. */
  readonly eventTime: string
  readonly producer: string
  readonly schemaURL: string
  /** The attempt. */
  readonly run: { readonly runId: string; readonly facets: Facets }
  readonly job: { readonly namespace: string; readonly name: string; readonly facets: Facets }
  readonly inputs: readonly InputDataset[]
  readonly outputs: readonly OutputDataset[]
}

/** What is the same in all events about attempts of one pipeline. */
export interface Job {
  readonly pipeline: Pipeline
  readonly namespace: string
  readonly facets: Facets
  readonly input: Dataset
  readonly output: Dataset
}

/** How an attempt ended. */
export interface Ending {
  /** What became of its chunk. */
  readonly state: ChunkState
  readonly summary: AttemptSummary
  /** Why it did not publish; null when it did. */
  readonly error: HeadraceError | null
  /** Whether the attempt was given up rather than failed: told to stop, overtaken, or read again in halves. */
  readonly abandoned: boolean
}

/** Longest message of an error. */
const LONGEST_MESSAGE = 1_000

/** What can be said of a pipeline once and for all. */
export function jobOf(pipeline: Pipeline, namespace: string, table: DatasetName): Job {
  const api = apiName(pipeline.source)
  const { description } = pipeline
  return {
    pipeline,
    namespace,
    facets: {
      ...facet('jobType', { processingType: 'BATCH', integration: 'HEADRACE', jobType: 'TASK' }),
      ...(description === undefined ? {} : facet('documentation', { description })),
    },
    input: { ...api, facets: facet('schema', recordFields(pipeline)) },
    output: {
      ...table,
      facets: { ...facet('schema', tableFields(pipeline)), ...facet('columnLineage', columnLineage(pipeline, api)) },
    },
  }
}

/** An attempt begins. `at` in epoch milliseconds. */
export function startOf(job: Job, claim: Claim, at: number): RunEvent {
  return eventOf(job, claim, { eventType: 'START', at, tags: {}, facets: {}, input: job.input, output: job.output })
}

/** An attempt came to its end. */
export function endOf(job: Job, claim: Claim, { state, summary, error, abandoned }: Ending, at: number): RunEvent {
  const { pipeline, input, output } = job
  const assertions = assertionsOf(pipeline, summary, { force: claim.force, code: error?.code ?? null })
  const checked = assertions.length === 0 ? input : { ...input, inputFacets: facet('dataQualityAssertions', { assertions }) }
  const end = { at, tags: { state }, input: checked }
  if (error !== null) {
    const eventType = abandoned ? 'ABORT' : 'FAIL'
    return eventOf(job, claim, { ...end, eventType, facets: facet('errorMessage', messageOf(error)), output })
  }
  const { rows, stagedBytes } = summary
  const written = { rowCount: rows.inserted, size: rows.inserted === 0 ? 0 : stagedBytes }
  return eventOf(job, claim, {
    ...end,
    eventType: 'COMPLETE',
    facets: {},
    output: {
      ...output,
      facets: { ...output.facets, ...facet('dataQualityMetrics', metricsOf(summary)) },
      outputFacets: facet('outputStatistics', written),
    },
  })
}

/** What tells one event about an attempt from another. */
interface Moment {
  readonly eventType: RunEvent['eventType']
  readonly at: number
  readonly tags: Readonly<Record<string, string>>
  readonly facets: Facets
  readonly input: InputDataset
  readonly output: OutputDataset
}

function eventOf({ namespace, facets, pipeline: { name } }: Job, claim: Claim, moment: Moment): RunEvent {
  const { attemptId, runId, attempt } = claim
  const { client, window } = claim.chunk
  return {
    eventType: moment.eventType,
    eventTime: new Date(moment.at).toISOString(),
    producer: PRODUCER,
    schemaURL: EVENT_SCHEMA,
    run: {
      runId: attemptId,
      facets: {
        ...facet('parent', { run: { runId }, job: { namespace, name } }),
        ...facet('nominalTime', {
          nominalStartTime: `${window.from}T00:00:00Z`,
          nominalEndTime: `${addDays(window.to, 1)}T00:00:00Z`,
        }),
        ...facet('processing_engine', { name: 'headrace', version: VERSION }),
        ...facet('tags', { tags: Object.entries({ client, attempt: String(attempt), ...moment.tags }).map(tagOf) }),
        ...moment.facets,
      },
    },
    // With the pipeline for its parent, as a task is named in its DAG.
    job: { namespace, name: `${name}.chunk`, facets },
    inputs: [moment.input],
    outputs: [moment.output],
  }
}

function tagOf([key, value]: [string, string]): object {
  return { key, value, source: 'HEADRACE' }
}

function messageOf({ code, message }: HeadraceError): object {
  return {
    message: withoutCredentials(`${code}: ${message}`).slice(0, LONGEST_MESSAGE),
    programmingLanguage: 'JavaScript',
  }
}
