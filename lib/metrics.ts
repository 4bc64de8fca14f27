import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { CHANGES } from './attempt/drift.ts'
import { RULES, WARNINGS } from './errors.ts'
import { CHUNK_STATES } from './ledger/states.ts'
import { VERSION } from './version.ts'

const CHUNK_SECONDS = [1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600]
const REQUEST_SECONDS = [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120]
const COMMIT_SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]

const OUTCOMES = ['success', 'retryable_error', 'fatal_error', 'lease_lost'] as const
const STEPS = ['extract', 'map', 'validate', 'encode', 'stage', 'commit', 'reconcile'] as const
const SOURCE_RESULTS = ['agreed', 'diverged', 'unreadable'] as const

/** How an attempt at a chunk ends, as the metrics count it. */
export type AttemptOutcome = (typeof OUTCOMES)[number]

/** How a control total compares with what the source states. */
export type SourceResult = (typeof SOURCE_RESULTS)[number]

/** The steps whose time is counted. */
export type Step = (typeof STEPS)[number]

/**
 * Every metric, created once and into the registry that is handed in. Labels come from closed sets: never a client, a day or a run.
 * `docs/metrics.md` lists the same metrics; a test compares.
 */
export function createMetrics(registry: Registry) {
  const registers = [registry]
  const counter = <L extends string>(name: string, help: string, ...labelNames: L[]): Counter<L> =>
    new Counter({ name, help, labelNames, registers })
  const gauge = <L extends string>(name: string, help: string, ...labelNames: L[]): Gauge<L> =>
    new Gauge({ name, help, labelNames, registers })
  const histogram = <L extends string>(name: string, help: string, buckets: number[], ...labelNames: L[]): Histogram<L> =>
    new Histogram({ name, help, buckets, labelNames, registers })

  gauge('headrace_build_info', 'Version of the running headrace; always 1.', 'version').set({ version: VERSION }, 1)
  const schedulerTick = gauge('headrace_scheduler_tick_timestamp_seconds', 'When a daemon last found out what is due.')
  // A process without a scheduler has none that stands still.
  schedulerTick.remove()
  return {
    schedulerTick,
    nextRun: gauge('headrace_next_run_timestamp_seconds', 'When a pipeline is due next.', 'pipeline'),
    pipelineInfo: gauge('headrace_pipeline_info', 'Which API a pipeline reads; always 1.', 'pipeline', 'api'),
    daemonFailures: counter('headrace_daemon_failures_total', 'Times that a daemon could not do its work.', 'part'),
    chunks: gauge(
      'headrace_chunks',
      'Chunks of the runs under way, and those that need somebody, by state.',
      'pipeline',
      'state',
    ),
    backfillChunks: gauge(
      'headrace_backfill_chunks',
      'As a daemon sees them: chunks of backfills that are not its own and not finished, by state.',
      'pipeline',
      'state',
    ),
    chunkAttempts: counter('headrace_chunk_attempts_total', 'Attempts at chunks by outcome.', 'pipeline', 'outcome'),
    chunkSeconds: histogram('headrace_chunk_duration_seconds', 'Wall time of an attempt at a chunk.', CHUNK_SECONDS, 'pipeline'),
    chunksEmpty: counter('headrace_chunks_empty_total', 'Chunks published with no rows.', 'pipeline'),
    pages: counter('headrace_pages_total', 'Pages received.', 'pipeline'),
    rowsExtracted: counter('headrace_rows_extracted_total', 'Records received.', 'pipeline'),
    rowsStaged: counter(
      'headrace_rows_staged_total',
      'Rows written to staging; those that the warehouse refuses later count as rejected too.',
      'pipeline',
    ),
    rowsLoaded: counter('headrace_rows_loaded_total', 'Rows published.', 'pipeline'),
    rowsDeleted: counter('headrace_rows_deleted_total', 'Rows replaced by a publication.', 'pipeline'),
    rowsRejected: counter('headrace_rows_rejected_total', 'Rows refused by a rule.', 'pipeline', 'reason'),
    rowsDeduplicated: counter('headrace_rows_deduplicated_total', 'Rows the API sent more than once within a chunk.', 'pipeline'),
    rowsRestated: counter(
      'headrace_restated_rows_total',
      'Rows added or removed when a published day was read again.',
      'pipeline',
    ),
    bytesExtracted: counter('headrace_bytes_extracted_total', 'Bytes of answers received.', 'pipeline'),
    bytesStaged: counter('headrace_bytes_staged_total', 'Bytes written to staging.', 'pipeline'),
    stepSeconds: counter('headrace_step_seconds_total', 'Time spent in each step.', 'pipeline', 'step'),
    schemaChanges: counter('headrace_schema_changes_total', 'Changes of the records an API sends.', 'pipeline', 'change'),
    sourceTotals: counter(
      'headrace_source_totals_total',
      'Control totals compared with what the source states, by result.',
      'pipeline',
      'result',
    ),
    divergences: counter('headrace_divergences_total', 'Commits whose counts did not match what was expected.', 'pipeline'),
    warnings: counter('headrace_warnings_total', 'Warnings by name.', 'name'),
    commits: counter('headrace_commits_total', 'Transactions by outcome.', 'pipeline', 'outcome'),
    commitChunks: histogram(
      'headrace_commit_group_chunks',
      'Chunks per transaction.',
      [1, 2, 5, 10, 20, 50, 100, 200],
      'warehouse',
    ),
    commitSeconds: histogram('headrace_commit_duration_seconds', 'Wall time of a transaction.', COMMIT_SECONDS, 'warehouse'),
    warehouseJobs: counter('headrace_warehouse_jobs_total', 'Jobs of the warehouse for published chunks.', 'pipeline'),
    warehouseBytesBilled: counter('headrace_warehouse_bytes_billed_total', 'Bytes billed for published chunks.', 'pipeline'),
    warehouseSlotSeconds: counter('headrace_warehouse_slot_seconds_total', 'Slot time for published chunks.', 'pipeline'),
    tokenRequests: counter('headrace_token_requests_total', 'Requests for OAuth tokens by outcome.', 'provider', 'outcome'),
    grants: gauge('headrace_grants', 'Grants of the clients that are read, by state.', 'provider', 'state'),
    credentialExpiry: gauge(
      'headrace_credential_expiry_timestamp_seconds',
      'When the refresh token ends that ends first.',
      'provider',
    ),
    findings: gauge(
      'headrace_findings',
      'What is wrong with the data, by monitor, level and pipeline.',
      'monitor',
      'level',
      'pipeline',
    ),
    monitorRun: gauge('headrace_monitor_run_timestamp_seconds', 'When a monitor last looked at every pipeline.', 'monitor'),
    completeThrough: gauge(
      'headrace_complete_through_timestamp_seconds',
      'End of the last day up to which every day of every client is published.',
      'pipeline',
    ),
    freshnessSlo: gauge('headrace_freshness_slo_seconds', 'How long after its end a day is to be published.', 'pipeline'),
    clients: gauge('headrace_clients', 'Clients by whether every day is there that is due.', 'pipeline', 'state'),
    volumeRatio: gauge('headrace_volume_ratio_to_baseline', 'Rows of the newest whole day against what is expected.', 'pipeline'),
    budgetUsed: gauge('headrace_budget_used_ratio', 'Bytes billed against the budget.', 'pipeline', 'period'),
    alerts: counter('headrace_alerts_total', 'Alerts to the webhook by outcome.', 'outcome'),
    lineageEvents: counter('headrace_lineage_events_total', 'Events of OpenLineage by outcome.', 'outcome'),
    apiRequests: counter('headrace_api_requests_total', 'Requests by class of answer.', 'api', 'code_class'),
    apiSeconds: histogram('headrace_api_request_duration_seconds', 'Time of one request.', REQUEST_SECONDS, 'api'),
    apiRetries: counter('headrace_api_retries_total', 'Requests tried again.', 'api'),
    apiWaitSeconds: counter('headrace_api_throttled_seconds_total', 'Time waited because an API said so or failed.', 'api'),
    apiPaceSeconds: counter('headrace_api_pace_seconds_total', 'Time requests waited for their turn.', 'api'),
    quotaLeft: gauge(
      'headrace_api_quota_left_ratio',
      'Least share of a quota that was left within the last hour.',
      'api',
      'quota',
    ),
    apiConcurrency: gauge('headrace_api_concurrency_limit', 'Requests at once of the account that may make fewest.', 'api'),
  }
}

/** The metrics of one process. */
export type Metrics = ReturnType<typeof createMetrics>

/** `2xx` and the like; `none` for a request without an answer. */
export function codeClass(status: number): string {
  return status === 0 ? 'none' : `${Math.floor(status / 100)}xx`
}

/** Says what a pipeline reads, and starts everything about it at 0: `increase()` does not see a counter that is born at 1. */
export function startAtZero(metrics: Metrics, pipeline: string, api: string): void {
  for (const counter of [
    metrics.chunksEmpty,
    metrics.pages,
    metrics.rowsExtracted,
    metrics.rowsStaged,
    metrics.rowsLoaded,
    metrics.rowsDeleted,
    metrics.rowsDeduplicated,
    metrics.rowsRestated,
    metrics.bytesExtracted,
    metrics.bytesStaged,
    metrics.divergences,
    metrics.warehouseJobs,
    metrics.warehouseBytesBilled,
    metrics.warehouseSlotSeconds,
  ]) {
    counter.inc({ pipeline }, 0)
  }
  for (const state of CHUNK_STATES) metrics.chunks.set({ pipeline, state }, 0)
  for (const outcome of OUTCOMES) metrics.chunkAttempts.inc({ pipeline, outcome }, 0)
  for (const result of SOURCE_RESULTS) metrics.sourceTotals.inc({ pipeline, result }, 0)
  for (const step of STEPS) metrics.stepSeconds.inc({ pipeline, step }, 0)
  for (const reason of Object.keys(RULES)) metrics.rowsRejected.inc({ pipeline, reason }, 0)
  for (const name of Object.keys(WARNINGS)) metrics.warnings.inc({ name }, 0)
  for (const outcome of ['published', 'refused', 'failed']) metrics.commits.inc({ pipeline, outcome }, 0)
  for (const outcome of ['delivered', 'dropped']) metrics.lineageEvents.inc({ outcome }, 0)
  for (const code_class of ['2xx', '3xx', '4xx', '5xx', 'none']) metrics.apiRequests.inc({ api, code_class }, 0)
  for (const change of Object.keys(CHANGES)) metrics.schemaChanges.inc({ pipeline, change }, 0)
  metrics.pipelineInfo.set({ pipeline, api }, 1)
  metrics.apiRetries.inc({ api }, 0)
  metrics.apiWaitSeconds.inc({ api }, 0)
  metrics.apiPaceSeconds.inc({ api }, 0)
  metrics.chunkSeconds.zero({ pipeline })
  metrics.apiSeconds.zero({ api })
}
