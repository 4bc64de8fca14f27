import { A, dashboard, J, lines, S, stat } from './panels.ts'

/** The APIs that are read: do they answer, and how much may be asked of them? */
export const apis = dashboard('APIs', 'Do the APIs answer, how fast, and how much of the time is spent waiting for them?', 'api')
  .withPanel(
    lines({
      title: 'Requests by class of answer',
      about: 'Requests per second, every try counted. none: no answer at all. 4xx holds 429, too many requests.',
      unit: 'reqps',
      queries: {
        '{{api}}: {{code_class}}': `sum by (api, code_class) (rate(headrace_api_requests_total{${A}}[$__rate_interval]))`,
      },
    }),
  )
  .withPanel(
    lines({
      title: 'Share of requests that fail',
      about: 'Errors of the server, and no answer. Above one half, the API counts as down.',
      unit: 'percentunit',
      queries: {
        '{{api}}': `sum by (api) (increase(headrace_api_requests_total{${A},code_class=~"5xx|none"}[15m])) / clamp_min(sum by (api) (increase(headrace_api_requests_total{${A}}[15m])), 1)`,
      },
      runbook: 'HeadraceApiDown',
    }),
  )
  .withPanel(
    lines({
      title: 'Time of a request',
      about: '95 % of the requests of the last hour are quicker than this.',
      unit: 's',
      queries: {
        '{{api}}': `histogram_quantile(0.95, sum by (api, le) (increase(headrace_api_request_duration_seconds_bucket{${A}}[1h])))`,
      },
    }),
  )
  .withPanel(
    lines({
      title: 'Waiting',
      about: 'Seconds that requests waited in an hour: told to by the API after a refusal, or by headrace, to keep its limits.',
      unit: 's',
      queries: {
        '{{api}}: told to': `sum by (api) (increase(headrace_api_throttled_seconds_total{${A}}[1h]))`,
        '{{api}}: to keep limits': `sum by (api) (increase(headrace_api_pace_seconds_total{${A}}[1h]))`,
      },
      runbook: 'HeadraceApiThrottled',
    }),
  )
  .withPanel(
    lines({
      title: 'Quota left',
      about: 'The least share that an answer of the last hour said is left, of any account. Empty where no quota has a name.',
      unit: 'percentunit',
      queries: { '{{api}}: {{quota}}': `min by (api, quota) (headrace_api_quota_left_ratio{${A}})` },
      runbook: 'HeadraceQuotaLow',
    }),
  )
  .withPanel(
    lines({
      title: 'Requests tried again',
      about: 'In an hour.',
      unit: 'short',
      queries: { '{{api}}': `sum by (api) (increase(headrace_api_retries_total{${A}}[1h]))` },
    }),
  )
  .withPanel(
    lines({
      title: 'Grants by state',
      about: 'The OAuth grants that clients are read with. Anything but usable needs the account. Empty where no API uses OAuth.',
      unit: 'short',
      queries: { '{{provider}}: {{state}}': `max by (provider, state) (headrace_grants{${J}})` },
      runbook: 'HeadraceGrantLost',
    }),
  )
  .withPanel(
    stat({
      title: 'First grant to end',
      about: 'Time until the first refresh token ends. Empty where none is known to end.',
      unit: 's',
      queries: { '{{provider}}': `min by (provider) (headrace_credential_expiry_timestamp_seconds{${J}}) - time()` },
      runbook: 'HeadraceGrantExpiring',
    }),
  )

/** What BigQuery bills. With DuckDB all of it is 0. */
export const cost = dashboard('Cost', 'What the warehouse bills for published chunks. With DuckDB all of it is 0.', 'pipeline')
  .withPanel(
    lines({
      title: 'Bytes billed in 24 hours',
      about: 'By pipeline. The budget of a pipeline is watched by the monitor `cost`.',
      unit: 'bytes',
      queries: { '{{pipeline}}': `sum by (pipeline) (increase(headrace_warehouse_bytes_billed_total{${S}}[1d]))` },
      runbook: 'HeadraceFindings',
    }),
  )
  .withPanel(
    lines({
      title: 'Budget used',
      about:
        'Bytes billed against what the pipeline may cost within 24 hours and within a month. Empty where no budget is declared.',
      unit: 'percentunit',
      queries: { '{{pipeline}}: {{period}}': `max by (pipeline, period) (headrace_budget_used_ratio{${S}})` },
      runbook: 'HeadraceBudgetSpent',
    }),
  )
  .withPanel(
    lines({
      title: 'Slots in use',
      about: 'Slot seconds per second, averaged over an hour.',
      unit: 'short',
      queries: { '{{pipeline}}': `sum by (pipeline) (rate(headrace_warehouse_slot_seconds_total{${S}}[1h]))` },
    }),
  )
  .withPanel(
    lines({
      title: 'Jobs in 24 hours',
      about: 'Jobs that staged and published chunks. Fewer, larger groups are cheaper.',
      unit: 'short',
      queries: { '{{pipeline}}': `sum by (pipeline) (increase(headrace_warehouse_jobs_total{${S}}[1d]))` },
    }),
  )
  .withPanel(
    lines({
      title: 'Bytes billed for 1,000 rows',
      about: 'Over 24 hours. It grows when days are read again and again, or when a table lost its partitions.',
      unit: 'bytes',
      queries: {
        '{{pipeline}}': `1000 * sum by (pipeline) (increase(headrace_warehouse_bytes_billed_total{${S}}[1d])) / clamp_min(sum by (pipeline) (increase(headrace_rows_loaded_total{${S}}[1d])), 1)`,
      },
    }),
  )

const BACKLOG = `sum by (pipeline) (max by (pipeline, state) (headrace_chunks{${S},state=~"pending|running|staged"}))`
const DONE = `sum by (pipeline) (increase(headrace_chunk_attempts_total{${S},outcome="success"}[1h]))`

/** How far backfills are. */
export const backfills = dashboard(
  'Backfills',
  'How far everything is that is under way. A backfill of its own process is seen here while it pushes its metrics, or serves them and is scraped.',
  'pipeline',
)
  .withPanel(
    lines({
      title: 'Chunks that are not done',
      about: 'Pieces of work that wait or run.',
      unit: 'short',
      queries: { '{{pipeline}}': BACKLOG },
      runbook: 'HeadraceBacklogStuck',
    }),
  )
  .withPanel(
    lines({
      title: 'Time until it is done',
      about: 'What is not done, at the speed of the last hour. Very large: nothing was published for an hour.',
      unit: 's',
      queries: { '{{pipeline}}': `3600 * ${BACKLOG} / clamp_min(${DONE}, 0.001)` },
      runbook: 'HeadraceBacklogStuck',
    }),
  )
  .withPanel(
    lines({
      title: 'Chunks by state',
      about: 'held and failed wait for a person, parked for a time that the API named.',
      unit: 'short',
      queries: { '{{pipeline}}: {{state}}': `max by (pipeline, state) (headrace_chunks{${S}})` },
      runbook: 'HeadraceChunksHeld',
    }),
  )
  .withPanel(
    lines({
      title: 'Beside the daemon: chunks by state',
      about:
        'Of backfills that somebody runs on the same ledger, as a daemon sees them. What is running and then stands still has been left: the same command takes it up.',
      unit: 'short',
      queries: { '{{pipeline}}: {{state}}': `max by (pipeline, state) (headrace_backfill_chunks{${S}})` },
      runbook: 'HeadraceBackfillAbandoned',
    }),
  )
  .withPanel(
    lines({
      title: 'Chunks published in an hour',
      about: 'How fast it goes.',
      unit: 'short',
      queries: { '{{pipeline}}': DONE },
    }),
  )
  .withPanel(
    lines({
      title: 'Since a backfill last pushed',
      about:
        'Of backfills that push their metrics, which they do every 15 seconds. One that ends is gone from here; one that rises has died.',
      unit: 's',
      queries: { '{{run_id}}': 'time() - max by (run_id) (push_time_seconds{job="headrace_backfill"})' },
      runbook: 'HeadraceBackfillAbandoned',
    }),
  )

/** The processes themselves. */
export const engine = dashboard('Engine', 'The processes themselves: look here last.', undefined)
  .withPanel(
    stat({
      title: 'Processes that answer',
      about: 'One is enough, unless more were meant to run.',
      unit: 'short',
      queries: { up: `sum(up{${J}})` },
      runbook: 'HeadraceDown',
    }),
  )
  .withPanel(
    stat({
      title: 'Since it was last looked what is due',
      about: 'Daemons look every 15 seconds.',
      unit: 's',
      bad: 300,
      queries: { scheduler: `time() - max(headrace_scheduler_tick_timestamp_seconds{${J}})` },
      runbook: 'HeadraceSchedulerStalled',
    }),
  )
  .withPanel(
    stat({
      title: 'Since the slowest monitor looked',
      about: 'Daemons run every monitor every five minutes.',
      unit: 's',
      bad: 1_800,
      queries: { monitors: `time() - min(max by (monitor) (headrace_monitor_run_timestamp_seconds{${J}}))` },
      runbook: 'HeadraceMonitorStalled',
    }),
  )
  .withPanel(
    stat({
      title: 'Versions',
      about: 'Processes by version of headrace.',
      unit: 'short',
      queries: { '{{version}}': `count by (version) (headrace_build_info{${J}})` },
    }),
  )
  .withPanel(
    lines({
      title: 'Transactions by outcome',
      about: 'In an hour. refused: rolled back because of some chunk, the others went on. failed: the warehouse or the network.',
      unit: 'short',
      queries: { '{{outcome}}': `sum by (outcome) (increase(headrace_commits_total{${J}}[1h]))` },
      runbook: 'HeadraceCommitsFailing',
    }),
  )
  .withPanel(
    lines({
      title: 'Time of a transaction',
      about: '95 % of the transactions of the last hour are quicker than this.',
      unit: 's',
      queries: {
        '{{warehouse}}': `histogram_quantile(0.95, sum by (warehouse, le) (increase(headrace_commit_duration_seconds_bucket{${J}}[1h])))`,
      },
    }),
  )
  .withPanel(
    lines({
      title: 'Memory',
      about: 'Resident memory of each process. It should not grow from day to day.',
      unit: 'bytes',
      queries: { '{{instance}}': `max by (instance) (process_resident_memory_bytes{${J}})` },
    }),
  )
  .withPanel(
    lines({
      title: 'Cores in use',
      about: 'By process. One is what JavaScript can use; more is the warehouse or compression.',
      unit: 'short',
      queries: { '{{instance}}': `sum by (instance) (rate(process_cpu_seconds_total{${J}}[$__rate_interval]))` },
    }),
  )
  .withPanel(
    lines({
      title: 'Delay of the event loop',
      about: '99 % of the time the process reacts within this.',
      unit: 's',
      queries: { '{{instance}}': `max by (instance) (nodejs_eventloop_lag_p99_seconds{${J}})` },
    }),
  )
  .withPanel(
    lines({
      title: 'Warnings',
      about: 'In an hour, by name; docs/errors.md explains each.',
      unit: 'short',
      queries: {
        '{{name}}': `sum by (name) (increase(headrace_warnings_total{${J}}[1h])) > 0 or sum by (name) (headrace_warnings_total{${J}}) * 0`,
      },
    }),
  )
