import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { addDays, type Day, daysOf } from '../../lib/chunk.ts'
import { TransientError } from '../../lib/errors.ts'
import type { Connector } from '../../lib/index.ts'
import type { Ledger, Run, RunRequest } from '../../lib/ledger/ledger.ts'
import type { Occasion, Serving } from '../../lib/ledger/served.ts'
import { finalThrough } from '../../lib/plan/finality.ts'
import { dayAt, lastOccasion, nextOccasion } from '../../lib/plan/schedule.ts'
import { coverage } from '../../lib/standing/coverage.ts'
import { sql } from '../ledger/kit.ts'
import { type AdRecord, ad, adsPipeline } from '../support/ads.ts'
import { Calendar } from '../support/calendar.ts'
import { type Daemon, startDaemon } from '../support/daemon.ts'
import { rows } from '../support/run.ts'

/**
 * A quarter of a year of a daemon, in a few minutes: real SQLite and DuckDB, a clock of its own. Three pipelines, one after another; 50 clients (or as many as asked for) in 6 time zones, where
 * the clocks are changed both ways; daily, weekly and monthly schedules; an API that is down for three days, a daemon that is down for four; and numbers
 * that the API changes for up to four weeks. Run it with: node test/prove/quarter.ts [CLIENTS]
 */

const HOUR = 3_600_000
const DAY = 24 * HOUR
/** The daemon looks around four times a day. */
const STEP = 6 * HOUR
const START = Date.UTC(2026, 8, 15, 9)
const END = Date.UTC(2026, 11, 15, 9)
const API_DOWN = { from: Date.UTC(2026, 9, 10), to: Date.UTC(2026, 9, 13, 12) }
const DAEMON_DOWN = { from: Date.UTC(2026, 10, 5, 3), to: Date.UTC(2026, 10, 9, 9) }
/** From here on the API changes no number any more, so that the last monthly run can have seen them all. */
const QUIET = Date.UTC(2026, 10, 25)

const ZONES = [
  'Europe/Berlin',
  'Europe/London',
  'America/New_York',
  'America/Los_Angeles',
  'Asia/Tokyo',
  'Australia/Sydney',
] as const
const CLIENTS = Array.from({ length: Number(process.argv[2] ?? 50) }, (_, index) => ({
  id: `c${String(index).padStart(2, '0')}`,
  timeZone: ZONES[index % ZONES.length] ?? 'UTC',
}))
const SCHEDULE = [
  { name: 'daily', cron: '0 6 * * *', lookbackDays: 3 },
  { name: 'weekly', cron: '30 2 * * SUN', lookbackDays: 30 },
  { name: 'monthly', cron: '0 2 1 * *', lookbackDays: 60 },
]
const PIPELINES = ['accounts', 'campaigns', 'spend'] as const

/** The clock that everybody looks at; another one for each life of the daemon. */
let calendar = new Calendar(START, STEP)

/** A number that follows from a text, from 0 to below `below`. */
function draw(text: string, below: number): number {
  let hash = 2_166_136_261
  for (const character of text) hash = Math.imul(hash ^ character.charCodeAt(0), 16_777_619)
  return (hash >>> 0) % below
}

/** What the API says of a day at an instant: a number that grows for some days, and some days that are empty. */
function recordsOf(client: string, day: Day, now: number): AdRecord[] {
  const seed = `${client} ${day}`
  if (draw(`empty ${seed}`, 12) === 0) return []
  const kind = draw(`kind ${seed}`, 10)
  const changesFor = kind < 6 ? draw(seed, 4) : kind < 9 ? draw(seed, 11) : draw(seed, 29)
  const age = Math.floor((Math.min(now, QUIET) - Date.parse(day)) / DAY) - 1
  const clicks = 10 + draw(`base ${seed}`, 100) + Math.max(0, Math.min(age, changesFor))
  return [ad(client, day, 'all', clicks, String(clicks * 10_000))]
}

const source: Connector<AdRecord> = {
  name: 'ads',
  async *pages({ client, window }) {
    const now = calendar.now()
    if (now >= API_DOWN.from && now < API_DOWN.to) throw new TransientError('API_UNREACHABLE', { message: 'connection refused' })
    yield daysOf(window).flatMap(day => recordsOf(client, day, now))
  },
}

const pipelines = PIPELINES.map((name, index) =>
  adsPipeline(source, { name, days: 31, schedule: SCHEDULE, after: PIPELINES.slice(Math.max(0, index - 1), index) }),
)

/** Every occasion that was answered, by pipeline. */
const answered = new Map<string, Occasion[]>(PIPELINES.map(name => [name, []]))

function recording(ledger: Ledger): Ledger {
  function beginRun(request: RunRequest, chunks: Parameters<Ledger['beginRun']>[1]): Promise<Run>
  function beginRun(request: RunRequest, chunks: Parameters<Ledger['beginRun']>[1], serving: Serving): Promise<Run | undefined>
  async function beginRun(
    request: RunRequest,
    chunks: Parameters<Ledger['beginRun']>[1],
    serving: Serving = {},
  ): Promise<Run | undefined> {
    const run = await ledger.beginRun(request, chunks, serving)
    if (run !== undefined) answered.get(request.pipeline)?.push(...(serving.occasions ?? []))
    return run
  }
  return { ...ledger, beginRun }
}

/** One life of the daemon, from the time of the calendar to an instant. */
async function live(folder: string, until: number): Promise<Daemon> {
  const endings: (() => unknown)[] = []
  const daemon = startDaemon(
    { teardown: (ending: () => unknown) => void endings.push(ending) },
    {
      folder,
      clients: CLIENTS,
      pipelines,
      calendar,
      wrap: recording,
      settings: { attempts: 2, concurrency: 8, groupChunks: 100 },
    },
  )
  await calendar.run(daemon.ended, now => {
    if (now >= until) daemon.stop()
  })
  for (const ending of endings) await ending()
  return daemon
}

/** Every occasion of a client in which a daemon was there to see it as the newest one. */
function expectedOccasions(timeZone: string, one: (typeof SCHEDULE)[number]): number[] {
  const lives = [
    [START, DAEMON_DOWN.from],
    [DAEMON_DOWN.to, END],
  ] as const
  const found = new Set<number>()
  for (const [from, to] of lives) {
    for (let at = lastOccasion(one, timeZone, from); at <= to; at = nextOccasion(one, timeZone, at)) found.add(at)
  }
  return [...found]
}

const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'headrace-quarter-'))
const began = performance.now()
try {
  const first = await live(folder, DAEMON_DOWN.from)
  calendar = new Calendar(DAEMON_DOWN.to, STEP)
  const second = await live(folder, END)
  const seconds = (performance.now() - began) / 1_000
  const path = join(folder, 'ledger.sqlite')
  const lines = [...first.lines, ...second.lines]

  // Every occasion was answered, once: one a day in every zone, whatever the clocks did.
  for (const name of PIPELINES) {
    for (const { id, timeZone } of CLIENTS) {
      for (const one of SCHEDULE) {
        const at = (answered.get(name) ?? [])
          .filter(({ client, schedule }) => client === id && schedule === one.name)
          .map(({ at }) => at)
        const due = expectedOccasions(timeZone, one).filter(at => at <= END)
        assert.deepEqual(at, due, `${name} ${id} ${one.name}: every occasion that was due, once`)
        if (one.name === 'daily') assert.equal(new Set(at.map(ms => dayAt(ms, timeZone))).size, at.length, `${id}: one a day`)
      }
    }
  }

  // Every chunk that was planned came to its end, and was published once.
  const left = sql(path, "SELECT count(*) AS chunks FROM chunk WHERE state NOT IN ('published', 'unchanged', 'failed')")
  assert.deepEqual(
    left.map(({ chunks }) => chunks),
    [0],
    'nothing is left to do',
  )
  const twice = sql(
    path,
    "SELECT run_id, client, window_from FROM attempt WHERE outcome IN ('published', 'unchanged') GROUP BY 1, 2, 3 HAVING count(*) > 1",
  )
  assert.deepEqual(twice, [], 'no chunk was published twice')
  const failedOutside = sql(
    path,
    'SELECT count(*) AS attempts FROM attempt WHERE outcome NOT IN (?, ?) AND NOT (started_at >= ? AND started_at < ?)',
    'published',
    'unchanged',
    API_DOWN.from,
    API_DOWN.to,
  )
  assert.deepEqual(
    failedOutside.map(({ attempts }) => attempts),
    [0],
    'nothing failed but while the API was down',
  )

  // No day was read more often than schedules looked back to it, but for once more when it was missing.
  const reads = sql(
    path,
    "SELECT pipeline, client, window_from, window_to FROM attempt WHERE outcome IN ('published', 'unchanged')",
  )
  const readings = new Map<string, number>()
  for (const { pipeline, client, window_from, window_to } of reads) {
    for (const day of daysOf({ from: String(window_from), to: String(window_to) })) {
      const key = `${pipeline} ${client} ${day}`
      readings.set(key, (readings.get(key) ?? 0) + 1)
    }
  }
  const zoneOf = new Map(CLIENTS.map(({ id, timeZone }) => [id, timeZone]))
  const wanted = new Map<string, number>()
  for (const [pipeline, occasions] of answered) {
    for (const { client, schedule, at } of occasions) {
      const to = addDays(dayAt(at, zoneOf.get(client) ?? 'UTC'), -1)
      const days = SCHEDULE.find(({ name }) => name === schedule)?.lookbackDays ?? 0
      for (const day of daysOf({ from: addDays(to, 1 - days), to })) {
        const key = `${pipeline} ${client} ${day}`
        wanted.set(key, (wanted.get(key) ?? 0) + 1)
      }
    }
  }
  for (const [key, times] of readings)
    assert.ok(times <= (wanted.get(key) ?? 0) + 1, `${key} was read ${times} times, wanted ${wanted.get(key) ?? 0}`)

  // The table is what the API says at the end; every day is published, and final once no schedule looks back to it.
  for (const name of PIPELINES) {
    const found = new Map<string, string>()
    for (const { key, clicks } of await rows(
      folder,
      `SELECT client_id || ' ' || date AS key, clicks::VARCHAR AS clicks FROM ads.${name}`,
    )) {
      found.set(String(key), String(clicks))
    }
    let days = 0
    for (const { id, timeZone } of CLIENTS) {
      const through = addDays(dayAt(lastOccasion({ cron: '0 6 * * *' }, timeZone, END), timeZone), -1)
      for (const day of daysOf({ from: addDays(dayAt(START, timeZone), -15), to: through })) {
        const [record] = recordsOf(id, day, END)
        assert.equal(
          found.get(`${id} ${day}`),
          record === undefined ? undefined : String(record.metrics.clicks),
          `${name} ${id} ${day}`,
        )
        days++
      }
    }
    assert.ok(days > 100 * CLIENTS.length)
  }
  const daemonLedger = second.ledger
  for (const pipeline of pipelines) {
    const occasions = Map.groupBy(answered.get(pipeline.name) ?? [], ({ client }) => client)
    const newest = (client: string): Occasion[] => [
      ...new Map((occasions.get(client) ?? []).map(one => [one.schedule, one])).values(),
    ]
    for await (const extent of coverage(daemonLedger, pipeline.name, undefined)) {
      const timeZone = zoneOf.get(extent.client) ?? 'UTC'
      const final = finalThrough(pipeline, { timeZone, coverage: extent, occasions: newest(extent.client), open: [] })
      assert.deepEqual(extent.gaps, [], `${extent.client}: no day is missing`)
      assert.equal(final, '2026-11-01', `${extent.client}: final is what the monthly schedule of New Year will not look back to`)
    }
  }
  await daemonLedger.close()

  const count = (text: string): unknown => sql(path, text)[0]?.n
  console.log(
    `${(END - START) / DAY} days of ${CLIENTS.length} clients in ${ZONES.length} time zones, ${PIPELINES.length} pipelines, in ${seconds.toFixed(1)} s`,
  )
  console.log(
    `${[...answered.values()].flat().length} occasions answered, ${lines.filter(({ event }) => event === 'run.started').length} runs`,
  )
  console.log(
    `${count('SELECT count(*) AS n FROM chunk')} chunks: ${count("SELECT count(*) AS n FROM chunk WHERE state = 'published'")} published, ` +
      `${count("SELECT count(*) AS n FROM chunk WHERE state = 'unchanged'")} unchanged, ${count("SELECT count(*) AS n FROM chunk WHERE state = 'failed'")} failed and read later`,
  )
  console.log(
    `${count('SELECT count(*) AS n FROM attempt')} attempts, ${count("SELECT count(*) AS n FROM attempt WHERE outcome NOT IN ('published', 'unchanged')")} while the API was down; ` +
      `${count('SELECT count(*) AS n FROM restatement')} days restated`,
  )
} finally {
  rmSync(folder, { recursive: true, force: true })
}
