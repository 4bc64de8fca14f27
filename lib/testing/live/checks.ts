import { deepEqual, equal, ok, rejects as throws } from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type HeadraceError, TransientError } from '../../errors.ts'
import { runQuery } from '../../warehouse/bigquery/jobs.ts'
import { CONFORMANCE_DAYS, CONFORMANCE_TABLE, CONFORMANCE_TOTALS, conformanceRow, shown } from '../case.ts'
import { publishDrafts, undisturbed } from '../stage.ts'
import { WAREHOUSE_CASES } from '../warehouse.ts'
import type { Scratch, ScratchHost } from './scratch.ts'

/** One thing that must hold on the real service. */
export interface LiveCheck {
  readonly title: string
  /** Throws when it does not. */
  run(scratch: Scratch): Promise<void>
}

const TABLE = CONFORMANCE_TABLE
const TOTALS = CONFORMANCE_TOTALS
const [D1] = CONFORMANCE_DAYS

/** Into a new table BigQuery may lose rows for some minutes. */
const STREAM_TRIES = 12
const STREAM_WAIT_MS = 30_000

function onTable(title: string, run: (host: ScratchHost, scratch: Scratch) => Promise<void>, staging?: 'insert-all'): LiveCheck {
  return {
    title,
    run: async scratch => {
      const host = await scratch.host(staging === undefined ? {} : { staging })
      try {
        await host.warehouse.prepare(TABLE, { create: true }, undisturbed)
        await run(host, scratch)
      } finally {
        await host.close()
      }
    },
  }
}

/** Everything that must hold: the contract of every warehouse, and what is BigQuery's own. */
export const LIVE_CHECKS: readonly LiveCheck[] = [
  ...WAREHOUSE_CASES.map(({ title, run }) => ({ title, run: (scratch: Scratch) => run(() => scratch.host()) })),
  onTable('a job that is submitted twice is run once, and found', async (host, { client }) => {
    const id = `headrace-live-${randomUUID()}`
    const sql =
      `INSERT INTO ${host.path(TABLE)} (client_id, date, name, clicks, cost) ` +
      `VALUES ('a', DATE '${D1}', 'once', 1, NUMERIC '0.5')`
    const both = await Promise.all([runQuery(client, { sql, id }), runQuery(client, { sql, id })])
    equal(both[0].jobId, both[1].jobId)
    await runQuery(client, { sql, id })
    deepEqual(await shown(host), [`a ${D1} once 1 0.5`])
  }),
  onTable('commits of one table at the same time are all published, each once', async host => {
    const clients = ['a', 'b', 'c']
    await Promise.all(
      clients.map(client =>
        publishDrafts(host.another(), TABLE, TOTALS, [{ client, from: D1, rows: [conformanceRow(client, D1, 'x')] }]),
      ),
    )
    deepEqual(
      await shown(host),
      clients.map(client => `${client} ${D1} x 1 0.5`),
    )
  }),
  onTable('a query that does not say which days it wants is refused', async (host, scratch) => {
    await throws(scratch.ask(`SELECT COUNT(*) AS n FROM ${host.path(TABLE)}`), /partition/i)
  }),
  onTable('a commit above the ceiling is refused, and changes nothing', async host => {
    const draft = { client: 'a', from: D1, rows: [conformanceRow('a', D1, 'x')] }
    await throws(
      publishDrafts(host.another({ maximumBytesBilled: 1 }), TABLE, TOTALS, [draft]),
      (error: HeadraceError) => error.code === 'WAREHOUSE_CEILING',
    )
    deepEqual(await shown(host), [])
  }),
  onTable(
    'streamed rows arrive, and are published',
    async (host, { signal }) => {
      for (let attempt = 1; ; attempt++) {
        try {
          await publishDrafts(host.warehouse, TABLE, TOTALS, [{ client: 'a', from: D1, rows: [conformanceRow('a', D1, 'x')] }])
          break
        } catch (error) {
          // Not all arrived, which is noticed before the commit; see STREAM_TRIES.
          if (!(error instanceof TransientError) || attempt >= STREAM_TRIES) throw error
          await sleep(STREAM_WAIT_MS, undefined, { signal })
        }
      }
      deepEqual(await shown(host), [`a ${D1} x 1 0.5`])
    },
    'insert-all',
  ),
  onTable('what a commit was charged is no more than what was told before', async ({ warehouse }) => {
    const draft = { client: 'a', from: D1, rows: [conformanceRow('a', D1, 'x')] }
    const chunks = [{ pipeline: 'conformance', client: 'a', window: { from: D1, to: D1 } }]
    for (const replacing of [false, true]) {
      const charge = await warehouse.charge(TABLE, TOTALS, { chunks, replacing }, undisturbed)
      const [publication] = await publishDrafts(warehouse, TABLE, TOTALS, [draft])
      const billed = publication?.cost?.bytesBilled ?? 0
      ok(charge.kind === 'bytes' && billed > 0 && billed <= charge.bytes, `${JSON.stringify(charge)} told, ${billed} billed`)
    }
  }),
]
