import { RowBuilder } from '@grafana/grafana-foundation-sdk/dashboard'
import { dashboard, J, ledgerTable, lines, S, stat, withLedger } from './panels.ts'

const FRESH = `1 - max(max by (pipeline) (headrace_clients{${S},state="stale"}) / clamp_min(sum by (pipeline) (max by (pipeline, state) (headrace_clients{${S}})), 1))`

/** Is the data there, and is it right? */
export const overview = dashboard('Overview', 'Is the data there, and is it right? Begin here.', 'pipeline')
  .withRow(new RowBuilder('Is the data there, and is it right?'))
  .withPanel(
    stat({
      title: 'Clients with all data',
      about: 'Share of the clients that have every day that was promised by now, in the worst pipeline. 100 % is right.',
      unit: 'percentunit',
      queries: { clients: FRESH },
      runbook: 'HeadraceDataStale',
    }),
  )
  .withPanel(
    stat({
      title: 'Findings to wake somebody for',
      about: 'Things that monitors found wrong for certain: no rows, a source that stands still, lost access. 0 is right.',
      unit: 'short',
      bad: 1,
      queries: { findings: `sum(max by (monitor, pipeline) (headrace_findings{${J},level="page"}))` },
      runbook: 'HeadraceFindings',
    }),
  )
  .withPanel(
    stat({
      title: 'Chunks that wait for a person',
      about: 'Pieces of work (one client, some days) that a guard holds or that failed every time. 0 is right.',
      unit: 'short',
      bad: 1,
      queries: { chunks: `sum(max by (pipeline, state) (headrace_chunks{${S},state=~"held|failed"}))` },
      runbook: 'HeadraceChunksHeld',
    }),
  )
  .withPanel(
    stat({
      title: 'Commits that did not match',
      about: 'Times in 24 hours that the table did not hold what was to be written. Anything but 0 needs a person now.',
      unit: 'short',
      bad: 1,
      queries: { commits: `sum(increase(headrace_divergences_total{${S}}[1d]))` },
      runbook: 'HeadraceDiverged',
    }),
  )
  .withPanel(
    lines({
      title: 'How old the data is, and what is promised',
      about: 'Time since the end of the last day up to which all clients have everything. Above its promise, a pipeline is late.',
      unit: 's',
      queries: {
        '{{pipeline}}': `time() - max by (pipeline) (last_over_time(headrace_complete_through_timestamp_seconds{${S}}[1d]))`,
        '{{pipeline}}: promised': `max by (pipeline) (headrace_freshness_slo_seconds{${S}})`,
      },
      runbook: 'HeadraceDataStale',
    }),
  )
  .withPanel(
    lines({
      title: 'Rows of the newest day, against what is expected',
      about: '1 is what the same weekday of the last weeks lets expect. 0 means that there are none.',
      unit: 'percentunit',
      queries: { '{{pipeline}}': `max by (pipeline) (headrace_volume_ratio_to_baseline{${S}})` },
      runbook: 'HeadraceVolume',
    }),
  )
  .withRow(new RowBuilder('What is wrong, and what comes next?'))
  .withPanel(
    lines({
      title: 'Findings by monitor',
      about: 'What monitors find wrong with the data now, by monitor and level. `headrace findings` tells the clients and days.',
      unit: 'short',
      queries: {
        '{{monitor}} ({{level}})': `sum by (monitor, level) (max by (monitor, level, pipeline) (headrace_findings{${J}}))`,
      },
      runbook: 'HeadraceFindings',
    }),
  )
  .withPanel(
    lines({
      title: 'Time until the next run',
      about: 'Below zero: what was due has not begun.',
      unit: 's',
      queries: { '{{pipeline}}': `max by (pipeline) (headrace_next_run_timestamp_seconds{${S}}) - time()` },
      runbook: 'HeadraceRunMissed',
    }),
  )

/** One pipeline, from the API to the table. */
export const pipeline = dashboard(
  'Pipeline',
  'What happens to the records of a pipeline between the API and the table.',
  'pipeline',
)
  .withRow(new RowBuilder('Rows'))
  .withPanel(
    lines({
      title: 'What becomes of rows',
      about: 'Rows per second. Received should be published, rejected or merged; attempts that fail are received again.',
      unit: 'rowsps',
      queries: Object.fromEntries(
        Object.entries({ received: 'extracted', published: 'loaded', rejected: 'rejected', merged: 'deduplicated' }).map(
          ([word, name]) => [
            `{{pipeline}}: ${word}`,
            `sum by (pipeline) (rate(headrace_rows_${name}_total{${S}}[$__rate_interval]))`,
          ],
        ),
      ),
    }),
  )
  .withPanel(
    lines({
      title: 'Rejected rows by rule',
      about: 'Share of the rows received that a rule refuses. `headrace rejects` shows them.',
      unit: 'percentunit',
      queries: {
        '{{pipeline}}: {{reason}}': `sum by (pipeline, reason) (rate(headrace_rows_rejected_total{${S}}[$__rate_interval])) / on (pipeline) group_left () clamp_min(sum by (pipeline) (rate(headrace_rows_extracted_total{${S}}[$__rate_interval])), 1e-9)`,
      },
      runbook: 'HeadraceRejects',
    }),
  )
  .withPanel(
    lines({
      title: 'Rows that changed in published days',
      about: 'Rows that were new or gone when a day was read again, in 24 hours. APIs correct their numbers for some days.',
      unit: 'short',
      queries: { '{{pipeline}}': `sum by (pipeline) (increase(headrace_restated_rows_total{${S}}[1d]))` },
    }),
  )
  .withPanel(
    lines({
      title: 'Totals that the source states',
      about:
        'Sums and counts that the source states itself, compared with what was read, in 24 hours. diverged: read again, then held or told of. unreadable: it stated none, or no number.',
      unit: 'short',
      queries: { '{{pipeline}}: {{result}}': `sum by (pipeline, result) (increase(headrace_source_totals_total{${S}}[1d]))` },
    }),
  )
  .withPanel(
    lines({
      title: 'Changes of the records',
      about: 'Fields and values that came, went or changed their type, in 24 hours. Missing and type_changed break columns.',
      unit: 'short',
      queries: { '{{pipeline}}: {{change}}': `sum by (pipeline, change) (increase(headrace_schema_changes_total{${S}}[1d]))` },
      runbook: 'HeadraceFieldsChanged',
    }),
  )
  .withRow(new RowBuilder('Chunks'))
  .withPanel(
    lines({
      title: 'Attempts by outcome',
      about: 'Attempts at chunks in an hour. lease_lost: another process went on with it.',
      unit: 'short',
      queries: { '{{pipeline}}: {{outcome}}': `sum by (pipeline, outcome) (increase(headrace_chunk_attempts_total{${S}}[1h]))` },
      runbook: 'HeadraceChunksFailing',
    }),
  )
  .withPanel(
    lines({
      title: 'Time a chunk takes',
      about: 'Half of the attempts, and 95 % of them, are quicker than this.',
      unit: 's',
      queries: Object.fromEntries(
        [0.5, 0.95].map(share => [
          `{{pipeline}}: ${share * 100} %`,
          `histogram_quantile(${share}, sum by (pipeline, le) (increase(headrace_chunk_duration_seconds_bucket{${S}}[1h])))`,
        ]),
      ),
    }),
  )
  .withPanel(
    lines({
      title: 'Where the time goes',
      about: 'Seconds per second in each step, over all chunks. extract is waiting for the API, commit for the warehouse.',
      unit: 'short',
      queries: { '{{step}}': `sum by (step) (rate(headrace_step_seconds_total{${S}}[$__rate_interval]))` },
    }),
  )
  .withPanel(
    lines({
      title: 'Chunks published without rows',
      about: 'In 24 hours. Right for clients without activity; for all at once it is not.',
      unit: 'short',
      queries: { '{{pipeline}}': `sum by (pipeline) (increase(headrace_chunks_empty_total{${S}}[1d]))` },
      runbook: 'HeadraceEmpty',
    }),
  )

/** Clients by name, from the ledger. */
export const clients = withLedger(
  dashboard(
    'Clients',
    'Which clients lack what. Names are in the ledger; the tables need it as a PostgreSQL data source.',
    'pipeline',
  ),
)
  .withPanel(
    lines({
      title: 'Clients by state',
      about: 'fresh have every day that was promised by now, stale do not.',
      unit: 'short',
      queries: { '{{pipeline}}: {{state}}': `max by (pipeline, state) (headrace_clients{${S}})` },
      runbook: 'HeadraceClientsStale',
    }),
  )
  .withPanel(
    ledgerTable(
      'Clients whose newest day is oldest',
      'The newest published day of each client and when that was. Days may be missing before it: `headrace ready` tells.',
      `SELECT pipeline, client, max(day) AS newest_day, to_timestamp(max(published_at) / 1000.0) AS published_at,
  sum(rejected) AS rejected_rows FROM headrace.day WHERE pipeline ~ '^(\${pipeline:pipe})$' GROUP BY pipeline, client ORDER BY newest_day, client LIMIT 200`,
    ),
  )
  .withPanel(
    ledgerTable(
      'Chunks that need somebody',
      'Held by a guard, failed every time, or parked until the API takes requests again; the newest word on each chunk.',
      `SELECT DISTINCT ON (pipeline, client, window_from) pipeline, client, window_from, window_to, state, attempts, problem_code, problem_hint,
  to_timestamp(updated_at / 1000.0) AS at FROM headrace.chunk WHERE state IN ('held', 'failed', 'parked') AND pipeline ~ '^(\${pipeline:pipe})$'
ORDER BY pipeline, client, window_from, updated_at DESC LIMIT 200`,
    ),
  )
  .withPanel(
    ledgerTable(
      'Days that changed',
      'Published days that were different when they were read again.',
      `SELECT pipeline, client, day, rows_before, rows_after, added, removed, to_timestamp(at / 1000.0) AS at FROM headrace.restatement
WHERE pipeline ~ '^(\${pipeline:pipe})$' ORDER BY at DESC LIMIT 200`,
    ),
  )
