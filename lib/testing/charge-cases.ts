import { deepEqual, ok } from 'node:assert/strict'
import { CONFORMANCE_DAYS, CONFORMANCE_TABLE, CONFORMANCE_TOTALS, type ConformanceCase, conformanceRow, shown } from './case.ts'
import { publishDrafts, undisturbed } from './stage.ts'

const TABLE = CONFORMANCE_TABLE
const [D1] = CONFORMANCE_DAYS
const CHUNKS = [{ pipeline: 'conformance', client: 'a', window: { from: D1, to: D1 } }]

/** Saying what a commit would cost. */
export const CHARGE_CASES: readonly ConformanceCase[] = [
  {
    title: 'what a commit would be charged is told without one, or that it is not known',
    run: async open => {
      const host = await open()
      const { warehouse } = host
      try {
        const unknown = await warehouse.charge(TABLE, CONFORMANCE_TOTALS, { chunks: CHUNKS, replacing: false }, undisturbed)
        ok(unknown.kind !== 'bytes', `nothing is there: ${JSON.stringify(unknown)}`)
        await warehouse.prepare(TABLE, { create: true }, undisturbed)
        await publishDrafts(warehouse, TABLE, [], [{ client: 'a', from: D1, rows: [conformanceRow('a', D1, 'x')] }])
        const before = await shown(host)
        for (const replacing of [false, true]) {
          const charge = await warehouse.charge(TABLE, CONFORMANCE_TOTALS, { chunks: CHUNKS, replacing }, undisturbed)
          ok(charge.kind === 'none' || (charge.kind === 'bytes' && charge.bytes > 0), JSON.stringify(charge))
        }
        deepEqual(await shown(host), before)
      } finally {
        await host.close()
      }
    },
  },
]
