import t, { type Test } from 'tap'
import { RULES, WARNINGS } from '../../lib/errors.ts'
import { MAY, type Project, project } from './project.ts'

/** One line of a scrape. */
interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** A scrape in the text format of Prometheus. */
interface Scrape {
  readonly types: ReadonlyMap<string, string>
  readonly samples: readonly Sample[]
  value(name: string, labels?: Readonly<Record<string, string>>): number | undefined
}

/** Reads the text format; anything it does not know fails. */
function parse(text: string): Scrape {
  const types = new Map<string, string>()
  const described = new Set<string>()
  const samples: Sample[] = []
  for (const line of text.split('\n')) {
    const comment = /^# (HELP|TYPE) (\w+) (.+)$/.exec(line)
    if (comment !== null) {
      const [, kind, name = '', rest = ''] = comment
      if (kind === 'TYPE') types.set(name, rest)
      else described.add(name)
      continue
    }
    if (line === '') continue
    const sample = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line)
    if (sample === null) throw new Error(`not a sample: ${line}`)
    const [, name = '', inside = '', number = ''] = sample
    const labels = Object.fromEntries(
      [...inside.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, label, value]) => [label, value]),
    )
    const family = types.has(name) ? name : name.replace(/_(bucket|sum|count)$/, '')
    if (!types.has(family) || !described.has(family)) throw new Error(`${name} has no type or no help`)
    samples.push({ name, labels, value: Number(number) })
  }
  return {
    types,
    samples,
    value: (name, labels = {}) =>
      samples.find(
        sample => sample.name === name && Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
      )?.value,
  }
}

/** Starts a backfill whose API does not answer yet, and says where its metrics are. */
async function held({ api, start }: Project, t: Test, ...args: string[]) {
  const hold = Promise.withResolvers<undefined>()
  const { script } = api
  api.script = async asked => (await hold.promise) ?? script(asked)
  const running = start(['backfill', ...MAY, '--metrics-port', '0', ...args])
  const [, address = ''] = /metrics at (\S+)/.exec(await running.said(/metrics at \S+/)) ?? []
  await api.request(() => true)
  const scrape = async (): Promise<Scrape> => {
    const response = await fetch(address)
    t.match(response.headers.get('content-type'), 'text/plain; version=0.0.4')
    return parse(await response.text())
  }
  return { running, address, scrape, release: () => hold.resolve(undefined) }
}

const FAMILIES = {
  headrace_api_concurrency_limit: 'gauge',
  headrace_api_quota_left_ratio: 'gauge',
  headrace_api_pace_seconds_total: 'counter',
  headrace_api_request_duration_seconds: 'histogram',
  headrace_api_requests_total: 'counter',
  headrace_api_retries_total: 'counter',
  headrace_api_throttled_seconds_total: 'counter',
  headrace_backfill_chunks: 'gauge',
  headrace_budget_used_ratio: 'gauge',
  headrace_build_info: 'gauge',
  headrace_bytes_extracted_total: 'counter',
  headrace_bytes_staged_total: 'counter',
  headrace_chunk_attempts_total: 'counter',
  headrace_chunk_duration_seconds: 'histogram',
  headrace_chunks: 'gauge',
  headrace_chunks_empty_total: 'counter',
  headrace_commit_duration_seconds: 'histogram',
  headrace_commit_group_chunks: 'histogram',
  headrace_commits_total: 'counter',
  headrace_warehouse_jobs_total: 'counter',
  headrace_warehouse_bytes_billed_total: 'counter',
  headrace_warehouse_slot_seconds_total: 'counter',
  headrace_credential_expiry_timestamp_seconds: 'gauge',
  headrace_divergences_total: 'counter',
  headrace_grants: 'gauge',
  headrace_token_requests_total: 'counter',
  headrace_pages_total: 'counter',
  headrace_restated_rows_total: 'counter',
  headrace_rows_deduplicated_total: 'counter',
  headrace_rows_deleted_total: 'counter',
  headrace_rows_extracted_total: 'counter',
  headrace_rows_loaded_total: 'counter',
  headrace_rows_rejected_total: 'counter',
  headrace_rows_staged_total: 'counter',
  headrace_schema_changes_total: 'counter',
  headrace_source_totals_total: 'counter',
  headrace_step_seconds_total: 'counter',
  headrace_warnings_total: 'counter',
  headrace_alerts_total: 'counter',
  headrace_clients: 'gauge',
  headrace_complete_through_timestamp_seconds: 'gauge',
  headrace_daemon_failures_total: 'counter',
  headrace_findings: 'gauge',
  headrace_freshness_slo_seconds: 'gauge',
  headrace_lineage_events_total: 'counter',
  headrace_monitor_run_timestamp_seconds: 'gauge',
  headrace_next_run_timestamp_seconds: 'gauge',
  headrace_pipeline_info: 'gauge',
  headrace_scheduler_tick_timestamp_seconds: 'gauge',
  headrace_volume_ratio_to_baseline: 'gauge',
}

/** Counters that have nothing to count in a backfill: without OAuth there is no provider, and only daemons fail on their own and tell of findings. */
const ELSEWHERE = ['headrace_token_requests_total', 'headrace_daemon_failures_total', 'headrace_alerts_total']

t.test('every metric has its type, and every counter is there at 0 before anything arrives', async t => {
  const it = await project(t)
  const { running, scrape, release } = await held(it, t)
  const { types, samples, value } = await scrape()
  t.same(Object.fromEntries([...types].sort()), FAMILIES)
  for (const [name, type] of types) {
    if (type !== 'counter' || ELSEWHERE.includes(name)) continue
    const mine = samples.filter(sample => sample.name === name)
    t.ok(mine.length > 0, `${name} is there`)
    // The steps that came before the first answer may already have taken time.
    if (name !== 'headrace_step_seconds_total')
      t.ok(
        mine.every(sample => sample.value === 0),
        `${name} is 0`,
      )
  }
  for (const reason of Object.keys(RULES)) t.equal(value('headrace_rows_rejected_total', { pipeline: 'ads', reason }), 0)
  for (const name of Object.keys(WARNINGS)) t.equal(value('headrace_warnings_total', { name }), 0)
  t.equal(value('headrace_build_info'), 1)
  release()
  t.equal((await running.ended).code, 0)
})

t.test('a scrape during the run shows how far it is, and no label names a client or a day', async t => {
  const it = await project(t, { settings: 'concurrency: 1,' })
  const hold = Promise.withResolvers<undefined>()
  it.api.script = ({ client, from }) => {
    if (client === 'globex' && from === '2025-05-03') return hold.promise
    const data = [
      { account: client, day: from, campaign: 'a', clicks: 1, cost: '1' },
      { account: client, day: from, campaign: 'b', clicks: -1, cost: '1' },
    ]
    return { body: { data } }
  }
  const { running, scrape, address, release } = await held(it, t)
  release()
  await it.api.request(({ client, from }) => client === 'globex' && from === '2025-05-03')
  let seen = await scrape()
  // What was read is published a moment later.
  while (seen.value('headrace_chunks', { state: 'published' }) !== 5) seen = await scrape()
  t.equal(seen.value('headrace_rows_extracted_total', { pipeline: 'ads' }), 10)
  t.equal(seen.value('headrace_rows_loaded_total', { pipeline: 'ads' }), 5)
  t.equal(seen.value('headrace_rows_rejected_total', { pipeline: 'ads', reason: 'minimum' }), 5)
  t.equal(seen.value('headrace_chunk_attempts_total', { pipeline: 'ads', outcome: 'success' }), 5)
  t.equal(seen.value('headrace_warnings_total', { name: 'ROWS_REJECTED' }), 5)
  t.equal(seen.value('headrace_api_requests_total', { api: 'ads-api', code_class: '2xx' }), 5)
  t.equal(seen.value('headrace_api_request_duration_seconds_count', { api: 'ads-api' }), 5)
  const texts = seen.samples.flatMap(({ labels }) => Object.values(labels))
  t.notOk(
    texts.some(text => /acme|globex|2025-05/.test(text)),
    'no label names a client or a day',
  )
  hold.resolve(undefined)
  t.equal((await running.ended).code, 0)
  await t.rejects(fetch(address), 'nobody listens after the run')
})
