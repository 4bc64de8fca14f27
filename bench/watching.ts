import { fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { Session } from 'node:inspector/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { Attempt } from '../lib/attempt/attempt.ts'
import { Fingerprint, rowHash } from '../lib/attempt/fingerprint.ts'
import { ChunkSummary } from '../lib/attempt/summary.ts'
import { backfill, createLog, defineConfig, duckdb, sqlite } from '../lib/index.ts'
import { benchDay, WIDE } from './shapes.ts'

/**
 * What watching costs: the share of the CPU time of the main thread that metrics, fingerprints and summaries take in a backfill of wide records. Measured
 * in two ways, because each has a blind spot. The profile says whose code runs, but not what the garbage of that code costs; the ablation takes the
 * code away, one part at a time, but the rest may run differently then. Every measurement is a process of its own, in turns.
 *
 *   ROUNDS=7 npm run bench:watching
 */

const CLIENTS = 4
const DAYS = 5
const PAGES = 10
const ROWS = 1_000
const ROUNDS = Number(process.env.ROUNDS ?? 5)

const PARTS = ['metrics', 'fingerprint', 'summaries'] as const

type Part = (typeof PARTS)[number]

/** What a process measured: milliseconds of CPU of its main thread, and the share of them in the code of each part, where it was profiled. */
interface Measured {
  readonly cpuMs: number
  readonly shares?: Readonly<Record<string, number>>
}

const nothing = (): void => undefined

/** Replaces the code of a part by nothing, as far as rows are published all the same. */
const REMOVE: Readonly<Record<Part, () => void>> = {
  metrics: () => {
    for (const { prototype } of [Counter, Gauge]) Object.assign(prototype, { inc: nothing, set: nothing })
    Object.assign(Histogram.prototype, { observe: nothing, zero: nothing })
    Attempt.prototype.timed = (_step, work) => work
  },
  fingerprint: () => {
    Fingerprint.prototype.add = nothing
    // The hash of a row, then that of its key: duplicates are found by the second, which is no watching.
    const { over } = rowHash
    let isKey = true
    rowHash.over = (...bytes) => {
      isKey = !isKey
      if (isKey) over.apply(rowHash, bytes)
    }
  },
  summaries: () => {
    ChunkSummary.prototype.add = function add(day, rows) {
      this.day(day).rows += rows.length
    }
  },
}

/** The part that a function belongs to, by where it stands. The keys of a chunk stand beside the fingerprint, and count as it here. */
function partOf(url: string, name: string): string {
  if (/prom-client|lib\/metrics\.ts|attempt\/report\.ts/.test(url) || (url.endsWith('attempt/attempt.ts') && name === 'count')) {
    return 'metrics'
  }
  if (url.endsWith('attempt/fingerprint.ts')) return 'fingerprint'
  // Functions of decimals without a name are the bounds of columns.
  if (url.endsWith('attempt/summary.ts') || (url.endsWith('lib/decimal.ts') && name !== '')) return 'summaries'
  if (/^\((garbage collector|idle)\)$/.test(name)) return name.slice(1, -1)
  return 'all else'
}

async function run(base: string, withoutTotals: boolean): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'headrace-watching-'))
  const clients = Array.from({ length: CLIENTS }, (_, index) => `c${index}`)
  const wide = WIDE.pipeline(base)
  // The commit compares the totals of the summary with the table.
  const pipeline = withoutTotals ? { ...wide, totals: [] } : wide
  const config = defineConfig({
    ...{ pipelines: [pipeline], clients },
    warehouse: duckdb({ path: join(folder, 'headrace.duckdb') }),
    ledger: sqlite({ path: join(folder, 'ledger.sqlite') }),
  })
  const { signal } = new AbortController()
  const { totals, exitCode } = await backfill(
    config,
    { pipeline, window: { from: benchDay(0), to: benchDay(DAYS - 1) }, clients },
    { log: createLog('silent'), registry: new Registry(), observe: nothing, control: { stop: signal, abort: signal } },
  )
  await config.ledger.close()
  rmSync(folder, { recursive: true })
  const rows = totals.states.published?.inserted
  if (exitCode !== 0 || rows !== CLIENTS * DAYS * PAGES * ROWS) throw new Error(`${rows} rows, ended with ${exitCode}`)
}

/** Runs twice, and measures the second time. */
async function measure(base: string, without: readonly Part[], profiled: boolean): Promise<Measured> {
  for (const part of without) REMOVE[part]()
  const backfilled = (): Promise<void> => run(base, without.includes('summaries'))
  await backfilled()
  if (!profiled) {
    const before = process.threadCpuUsage()
    await backfilled()
    const { user, system } = process.threadCpuUsage(before)
    return { cpuMs: (user + system) / 1_000 }
  }
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.setSamplingInterval', { interval: 500 })
  await session.post('Profiler.start')
  await backfilled()
  const { profile } = await session.post('Profiler.stop')
  const hits: Record<string, number> = {}
  for (const { callFrame, hitCount = 0 } of profile.nodes) {
    const part = partOf(callFrame.url, callFrame.functionName)
    hits[part] = (hits[part] ?? 0) + hitCount
  }
  const { idle = 0, ...busy } = hits
  const total = Object.values(busy).reduce((sum, count) => sum + count, 0)
  return { cpuMs: Number.NaN, shares: Object.fromEntries(Object.entries(busy).map(([part, count]) => [part, count / total])) }
}

/** Lets a process of its own measure. */
async function measured(base: string, without: readonly Part[], profiled: boolean): Promise<Measured> {
  const child = fork(import.meta.filename, [base, without.join(), profiled ? 'profile' : ''])
  return new Promise((resolve, reject) => {
    child.once('message', message => resolve(message as Measured))
    child.once('exit', code => reject(new Error(`a measurement ended with ${code}`)))
  })
}

const median = (numbers: readonly number[]): number => [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN
const percent = (share: number): string => `${(share * 100).toFixed(1)} %`

async function compare(): Promise<void> {
  const server = fork(new URL('./pages.ts', import.meta.url), ['wide', CLIENTS, DAYS, PAGES, ROWS].map(String))
  const { port } = await new Promise<{ port: number }>(resolve =>
    server.once('message', message => resolve(message as { port: number })),
  )
  const base = `http://127.0.0.1:${port}`
  const variants: readonly (readonly Part[])[] = [[], ...PARTS.map(part => [part]), PARTS]
  const cpu = variants.map((): number[] => [])
  const shares: Readonly<Record<string, number>>[] = []
  try {
    for (let round = 0; round < ROUNDS; round++) {
      for (const [index, without] of variants.entries()) cpu[index]?.push((await measured(base, without, false)).cpuMs)
      shares.push((await measured(base, [], true)).shares ?? {})
    }
  } finally {
    server.kill()
  }
  const whole = median(cpu[0] ?? [])
  const saved = (index: number): string => percent(1 - median(cpu[index] ?? []) / whole)
  const profile = (parts: readonly string[]): string =>
    percent(median(shares.map(share => parts.reduce((sum, part) => sum + (share[part] ?? 0), 0))))
  const rows = CLIENTS * DAYS * PAGES * ROWS
  console.log(`Node ${process.version}, ${rows.toLocaleString('en')} wide records, ${ROUNDS} rounds, medians`)
  console.log(`main thread: ${((whole * 1_000) / rows).toFixed(1)} µs of CPU a record`)
  console.table({
    ...Object.fromEntries(PARTS.map((part, at) => [part, { profile: profile([part]), ablation: saved(at + 1) }])),
    'all three': { profile: profile(PARTS), ablation: saved(variants.length - 1) },
    'garbage collector': { profile: profile(['garbage collector']), ablation: '' },
  })
}

const [base, without = '', profile = ''] = process.argv.slice(2)
if (base === undefined) await compare()
else {
  const parts = PARTS.filter(part => without.split(',').includes(part))
  process.send?.(await measure(base, parts, profile !== ''))
  process.disconnect()
}
