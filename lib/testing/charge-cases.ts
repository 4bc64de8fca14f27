import { deepEqual, ok } from 'node:assert/strict'
import {
  CONFORMANCE_DAYS,
  CONFORMANCE_TABLE,
  CONFORMANCE_TOTALS,
  type ConformanceCase,
  conformanceRow,
  prepared,
  shown,
} from './case.ts'
import { publishDrafts, undisturbed } from './stage.ts'

const [D1] = CONFORMANCE_DAYS
const CHUNKS = [{ pipeline: 'conformance', client: 'a', window: { from: D1, to: D1 } }]

/** Saying what a commit would cost. */
export const CHARGE_CASES: readonly ConformanceCase[] = [
  prepared('what a commit would be charged is told without one, or that it is not known', async host => {
    const { warehouse } = host
    await publishDrafts(warehouse, CONFORMANCE_TABLE, [], [{ client: 'a', from: D1, rows: [conformanceRow('a', D1, 'x')] }])
    const before = await shown(host)
    for (const replacing of [false, true]) {
      const charge = await warehouse.charge(CONFORMANCE_TABLE, CONFORMANCE_TOTALS, { chunks: CHUNKS, replacing }, undisturbed)
      ok(charge.kind === 'none' || (charge.kind === 'bytes' && charge.bytes > 0), JSON.stringify(charge))
    }
    deepEqual(await shown(host), before)
    const absent = { ...CONFORMANCE_TABLE, name: 'conformance.absent' }
    const charge = await warehouse.charge(absent, [], { chunks: CHUNKS, replacing: false }, undisturbed)
    ok(charge.kind !== 'bytes', JSON.stringify(charge))
  }),
]
