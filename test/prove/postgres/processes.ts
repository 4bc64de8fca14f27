import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import type { RunRequest } from '../../../lib/ledger/ledger.ts'
import { postgres } from '../../../lib/ledger/postgres.ts'
import { begin, chunksOf, request } from '../../../lib/testing/ledger-case.ts'
import type { PostgresServer } from '../../support/postgres.ts'
import { step } from './step.ts'

const CLIENTS = Array.from({ length: 12 }, (_, index) => `client ${index}`)
const RUN: RunRequest = request({ clients: CLIENTS, window: { from: '2026-01-01', to: '2026-01-30' } })

/** Another process on the ledger of a database. */
class Worker {
  readonly process: ChildProcess
  /** What it said, line by line. */
  readonly said: string[] = []
  readonly #lines: AsyncIterator<string>

  constructor(url: string, ...args: readonly string[]) {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'worker.ts'), ...args], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, DATABASE_URL: url },
    })
    this.process = child
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  }

  async line(): Promise<string> {
    const line = String((await this.#lines.next()).value)
    this.said.push(line)
    return line
  }

  tell(): void {
    this.process.stdin?.write('go\n')
  }

  /** All it has to say until it ends. */
  async end(): Promise<string[]> {
    for (let next = await this.#lines.next(); next.done !== true; next = await this.#lines.next()) this.said.push(next.value)
    return this.said
  }
}

export async function starts(server: PostgresServer): Promise<void> {
  const url = await server.database('starts')
  const workers = Array.from({ length: 8 }, () => new Worker(url, 'open'))
  for (const worker of workers) assert.equal(await worker.line(), 'ready')
  for (const worker of workers) worker.tell()
  assert.deepEqual(await Promise.all(workers.map(worker => worker.line())), Array(8).fill('opened'))
  const ledger = postgres({ url })
  await begin(ledger)
  await ledger.close()
  step('processes that start at once on an empty database', { opened: workers.length })
}

export async function crashes(server: PostgresServer): Promise<void> {
  const url = await server.database('crashes')
  const ledger = postgres({ url })
  const { id } = await ledger.beginRun(RUN, chunksOf(RUN))
  const begun = performance.now()
  const sleeper = new Worker(url, 'hold', id, '3000')
  const held = await sleeper.line()
  sleeper.process.kill('SIGSTOP')
  const workers = Array.from({ length: 3 }, () => new Worker(url, 'work', id, '3000'))
  const doomed = new Worker(url, 'work', id, '3000')
  for (let count = 0; count < 10; count++) await doomed.line()
  doomed.process.kill('SIGKILL')
  const ends = Promise.all(workers.map(worker => worker.end()))
  const [backend] = await server.query(url, "SELECT pid FROM pg_stat_activity WHERE application_name = 'headrace' LIMIT 1")
  process.kill(Number(backend?.pid), 'SIGKILL')
  await delay(1_500)
  await server.crash()
  await delay(1_500)
  await server.restart()
  const said = [...(await ends).flat(), ...doomed.said]
  const took = performance.now() - begun
  sleeper.process.kill('SIGCONT')
  sleeper.tell()
  assert.deepEqual((await sleeper.end()).slice(1), ['LEASE_LOST', 'LEASE_LOST'], 'what slept too long writes nothing')

  const published = said.filter(line => line.startsWith('published ')).map(line => line.slice(10))
  assert.equal(new Set(published).size, published.length, 'nothing is published twice')
  assert.ok(published.includes(held), 'what the sleeper held was taken over')
  const chunks = chunksOf(RUN).length
  assert.partialDeepStrictEqual(await ledger.progress(id), { published: chunks })
  const rows = await server.query(
    url,
    "SELECT count(*) AS attempts, count(DISTINCT (client, window_from)) AS chunks FROM headrace.attempt WHERE outcome = 'published'",
  )
  assert.deepEqual(rows, [{ attempts: String(chunks), chunks: String(chunks) }])
  // The one that was killed may have published a chunk without saying so.
  assert.ok(published.length >= chunks - 1, `${published.length} of ${chunks}`)
  const others = Object.entries(Object.groupBy(said, line => line.split(' ')[0] ?? '')).map(([word, lines]) => [
    word,
    lines?.length,
  ])
  await ledger.close()
  step('one worker killed, one asleep past its lease, a backend killed, the server crashed and away', {
    chunks,
    seconds: Math.round(took / 1_000),
    ...Object.fromEntries(others),
  })
}

/** Processes on one ledger keep a limit together. */
export async function pace(server: PostgresServer): Promise<void> {
  const url = await server.database('pace')
  const api = createServer((_, response) => void response.end('{}')).listen(0, '127.0.0.1')
  await once(api, 'listening')
  const address = `http://127.0.0.1:${(api.address() as AddressInfo).port}/`
  const allowed: number[] = []
  const children = await Promise.all(
    [0, 1].map(async () => {
      const child = spawn(process.execPath, [join(import.meta.dirname, '../../pace/child.ts'), 'never', address, '3000'], {
        stdio: ['pipe', 'pipe', 'inherit'],
        env: { ...process.env, DATABASE_URL: url },
      })
      const ready = Promise.withResolvers<void>()
      createInterface(child.stdout).on('line', line => {
        if (line === 'ready') ready.resolve()
        else allowed.push(Number(line))
      })
      await ready.promise
      return child
    }),
  )
  const ends = children.map(child => once(child, 'close'))
  for (const child of children) child.stdin?.end('go\n')
  await Promise.all(ends)
  api.close()
  const fullest = Math.max(...allowed.map(from => allowed.filter(at => at >= from && at < from + 1_000).length))
  // How well a limit is kept on a busy machine is for the tests of the pace to say; two that did not share would reach 120.
  assert.ok(fullest <= 90, `${fullest} in the fullest second, 60 are allowed`)
  assert.ok(allowed.length >= 60, `${allowed.length} in 3 s`)
  step('two processes that share a limit of 60 a second', { requests: allowed.length, fullest })
}
