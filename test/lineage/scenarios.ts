import { join } from 'node:path'
import { Registry } from 'prom-client'
import {
  type BackfillResult,
  backfill,
  createLog,
  DataError,
  defineConfig,
  defineConnector,
  sqlite,
  TransientError,
} from '../../lib/index.ts'
import type { RunEvent } from '../../lib/lineage/events.ts'
import { integer } from '../../lib/mapping.ts'
import { type AdRecord, AdsApi, ad, adsPipeline } from '../support/ads.ts'
import { type RunOptions, run } from '../support/run.ts'
import { openBigQuery } from '../warehouse-bigquery/hosts.ts'
import { eventsIn } from './events.ts'

const DAY = { from: '2026-03-01', to: '2026-03-01' }

/** What one backfill came to, and what it told. */
interface Chapter {
  readonly result: BackfillResult
  readonly events: readonly RunEvent[]
}

/** A folder, what the API says, and backfills of one client and one day, unless they say otherwise. */
class Story {
  readonly api = new AdsApi()
  readonly #folder: string
  #seen = 0

  constructor(folder: string) {
    this.#folder = folder
  }

  async run(options: Partial<RunOptions> = {}): Promise<Chapter> {
    const file = lineageIn(this.#folder)
    const pipeline = adsPipeline(this.api.connector(10))
    const result = await run({ folder: this.#folder, ...DAY, clients: ['a'], pipeline, lineage: { file }, ...options })
    const events = eventsIn(file).slice(this.#seen)
    this.#seen += events.length
    return { result, events }
  }
}

/** The file that the backfills of a folder tell. */
export function lineageIn(folder: string): string {
  return join(folder, 'lineage.jsonl')
}

/** A chunk of two records is published, by a pipeline that is described, under a namespace of its own. */
export async function published(folder: string): Promise<Chapter> {
  const story = new Story(folder)
  story.api.set('a', '2026-03-01', [
    { ...ad('a', '2026-03-01', '1', 3, '1250000'), campaign: { id: '1', name: null } },
    ad('a', '2026-03-01', '2', 5, '2000000'),
  ])
  return story.run({
    lineage: { file: lineageIn(folder), namespace: 'staging' },
    pipeline: { ...adsPipeline(story.api.connector(10)), description: 'what campaigns cost' },
  })
}

/** A published chunk is read again: first it is the same, then one record of three is another. */
export async function restated(folder: string): Promise<{ readonly same: Chapter; readonly other: Chapter }> {
  const story = new Story(folder)
  const first = ['1', '2', '3'].map(id => ad('a', '2026-03-01', id))
  story.api.set('a', '2026-03-01', first)
  await story.run()
  const same = await story.run()
  story.api.set('a', '2026-03-01', [...first.slice(1), ad('a', '2026-03-01', '4', 9)])
  return { same, other: await story.run() }
}

/** A chunk is held, because one of two records is rejected. */
export async function held(folder: string): Promise<Chapter> {
  const story = new Story(folder)
  story.api.set('a', '2026-03-01', [ad('a', '2026-03-01', '1'), ad('a', '2026-03-01', '2', -1)])
  return story.run()
}

/** A chunk is held, because three of four records are gone. */
export async function shrunk(folder: string): Promise<Chapter> {
  const story = new Story(folder)
  const four = ['1', '2', '3', '4'].map(id => ad('a', '2026-03-01', id))
  story.api.set('a', '2026-03-01', four)
  await story.run()
  story.api.set('a', '2026-03-01', four.slice(0, 1))
  return story.run()
}

/** A chunk is held, because the API itself states another sum than that of the clicks it gave. */
export async function diverged(folder: string): Promise<Chapter> {
  const story = new Story(folder)
  story.api.set('a', '2026-03-01', [ad('a', '2026-03-01', '1', 3)])
  const source = defineConnector<AdRecord, { clicks: number }>({
    name: 'ads',
    pages: async function* (request) {
      request.totals({ clicks: 5 })
      yield* story.api.connector(10).pages(request)
    },
  })
  const sourceTotals = { clicks: integer('clicks') }
  return story.run({ pipeline: { ...adsPipeline(story.api.connector(10)), source, sourceTotals } })
}

/** A chunk fails twice with an error that has what may be a secret in it, `planted`. */
export async function failed(folder: string): Promise<Chapter> {
  const failing = {
    name: 'ads',
    pages: async function* () {
      yield []
      throw new TransientError('API_FAILED', { message: 'GET https://u:planted@api.example/x?key=planted with Bearer planted' })
    },
  }
  return new Story(folder).run({ pipeline: adsPipeline(failing), settings: { attempts: 2 } })
}

/** A chunk fails with an error that is no check of what the API gave. */
export async function broken(folder: string): Promise<Chapter> {
  const endless = {
    name: 'ads',
    pages: async function* () {
      yield []
      throw new DataError('PAGES_ENDLESS', { message: 'more than 10 pages' })
    },
  }
  return new Story(folder).run({ pipeline: adsPipeline(endless) })
}

/** A chunk of two days is too much for the API, and is read in halves; then an attempt is told to stop. */
export async function abandoned(folder: string): Promise<{ readonly halved: Chapter; readonly stopped: Chapter }> {
  const story = new Story(folder)
  story.api.mostDays = 1
  for (const day of ['2026-03-01', '2026-03-02']) story.api.set('a', day, [ad('a', day, '1')])
  const halved = await story.run({ to: '2026-03-02', pipeline: adsPipeline(story.api.connector(10), { days: 2 }) })
  const abort = new AbortController()
  const stopping = {
    ...story.api.connector(10),
    pages: async function* () {
      yield []
      abort.abort()
      throw new TransientError('ABORTED', { message: 'stopped' })
    },
  }
  const stopped = await story.run({ force: true, pipeline: adsPipeline(stopping), stop: abort.signal, abort: abort.signal })
  return { halved, stopped }
}

/** A chunk of two records is published into a local server for BigQuery. */
export async function inBigQuery(folder: string): Promise<Chapter & { readonly project: string }> {
  const host = await openBigQuery()
  const ledger = sqlite({ path: join(folder, 'ledger.sqlite') })
  try {
    const file = lineageIn(folder)
    const api = new AdsApi()
    api.set('a', '2026-03-01', [ad('a', '2026-03-01', '1'), ad('a', '2026-03-01', '2')])
    const pipeline = adsPipeline(api.connector(10))
    const config = defineConfig({ pipelines: [pipeline], clients: ['a'], warehouse: host.warehouse, ledger, lineage: { file } })
    const never = new AbortController().signal
    const result = await backfill(
      config,
      { pipeline, window: DAY, clients: ['a'] },
      { log: createLog('silent'), registry: new Registry(), observe: () => {}, control: { stop: never, abort: never } },
    )
    return { result, events: eventsIn(file), project: host.server.project }
  } finally {
    await ledger.close()
    await host.close()
  }
}
