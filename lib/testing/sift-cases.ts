import { deepEqual, equal, rejects as throws } from 'node:assert/strict'
import type { AnyRow } from '../row.ts'
import { siftRows } from '../steps/sift.ts'
import { stageBatch } from '../steps/stage.ts'
import type { Warehouse } from '../warehouse/warehouse.ts'
import {
  CONFORMANCE_DAYS,
  CONFORMANCE_TABLE,
  CONFORMANCE_TOTALS,
  type ConformanceCase,
  conformanceReject,
  conformanceRow,
  only,
  outcomes,
  prepared,
  shown,
} from './case.ts'
import { type OpenDraft, openDraft, publishDrafts, undisturbed } from './stage.ts'

const TABLE = CONFORMANCE_TABLE
const TOTALS = CONFORMANCE_TOTALS
const [D1, D2] = CONFORMANCE_DAYS

/** One more than a column of 64 bits takes. No pipeline lets it through; it stands for whatever a warehouse may not take. */
const TOO_MUCH = '9223372036854775808'

/** Rows of two days, those with some numbers refused. Their text has everything in it that could be taken for the end of a row. */
function rowsBut(count: number, refused: readonly number[]): AnyRow[] {
  return Array.from({ length: count }, (_, index) => ({
    ...conformanceRow(
      'a',
      index % 2 === 0 ? D1 : D2,
      `n${index}`,
      index,
      `${index}.25`,
      index % 3 === 0 ? null : '"a",\n\r\u2028b\\',
    ),
    ...(refused.includes(index) ? { clicks: TOO_MUCH } : {}),
  }))
}

function written(warehouse: Warehouse, rows: readonly AnyRow[]): Promise<OpenDraft> {
  return openDraft(warehouse, TABLE, {
    client: 'a',
    from: D1,
    to: D2,
    totals: TOTALS,
    rows,
    rejects: [conformanceReject(D1, {})],
  })
}

/** Seals and commits; some warehouses read at once what is staged, others in the commit. */
async function publish(warehouse: Warehouse, draft: OpenDraft) {
  await draft.seal()
  return warehouse.commit(TABLE, TOTALS, [draft.member()], undisturbed)
}

/** Rows that the warehouse does not take, although they were checked. */
export const SIFT_CASES: readonly ConformanceCase[] = [
  prepared('rows that the warehouse refuses are found and taken out, and the others published', async host => {
    const { warehouse } = host
    await publishDrafts(warehouse, TABLE, TOTALS, [{ client: 'a', from: D1, rows: [conformanceRow('a', D1, 'old')] }])
    const refused = [0, 7, 8, 39]
    const draft = await written(warehouse, rowsBut(40, refused))
    await throws(publish(warehouse, draft), { code: 'STAGED_UNREADABLE' })
    equal((await shown(host)).length, 1, 'nothing was published')
    const rejects = await siftRows(draft.target, undisturbed)
    // They are staged day by day.
    const byDay = refused.toSorted((a, b) => (a % 2) - (b % 2))
    deepEqual(
      rejects.map(({ day, rule, column, value, record }) => [day, rule, column, value, Object(record).name, Object(record).cost]),
      byDay.map(index => [
        index % 2 === 0 ? D1 : D2,
        'warehouse',
        'clicks',
        JSON.stringify(TOO_MUCH),
        `n${index}`,
        `${index}.25`,
      ]),
    )
    equal(
      rejects.every(({ reason }) => /^is refused by \w+: .*onver/.test(reason)),
      true,
      rejects[0]?.reason,
    )
    await stageBatch({ rejects, deduplicated: 0 }, draft.target)
    deepEqual(outcomes([only(await publish(warehouse, draft))]), [['published', 1, 36]])
    equal((await shown(host)).length, 36)
    const stored = await warehouse.rejects(TABLE, { limit: 10 }, undisturbed)
    deepEqual(stored.map(({ rule }) => rule).sort(), ['type', ...refused.map(() => 'warehouse')])
    const others = rowsBut(40, refused).filter(({ clicks }) => clicks !== TOO_MUCH)
    const same = await openDraft(warehouse, TABLE, { client: 'a', from: D1, to: D2, totals: TOTALS, rows: others })
    await stageBatch({ rejects: [conformanceReject(D1, {}), ...rejects], deduplicated: 0 }, same.target)
    deepEqual(draft.member().days, same.member().days, 'as if they had never been staged')
    await same.target.staging.discard()
  }),
  prepared('a chunk of which every row is refused becomes empty', async host => {
    const { warehouse } = host
    const draft = await written(warehouse, rowsBut(1, [0]))
    await throws(publish(warehouse, draft), { code: 'STAGED_UNREADABLE' })
    equal((await siftRows(draft.target, undisturbed)).length, 1)
    deepEqual(outcomes([only(await publish(warehouse, draft))]), [['published', 0, 0]])
  }),
  prepared('a chunk with too many refused rows is not taken apart', async host => {
    const { warehouse } = host
    const everyOther = Array.from({ length: 100 }, (_, index) => 2 * index)
    await throws(
      (async () => {
        const draft = await written(warehouse, rowsBut(200, everyOther))
        await publish(warehouse, draft).catch(() => undefined)
        try {
          await siftRows(draft.target, undisturbed)
        } finally {
          await draft.target.staging.discard()
        }
      })(),
      { code: 'STAGED_UNREADABLE', message: /refuses more than 10 of \d+ rows/ },
    )
    deepEqual(await shown(host), [])
  }),
  prepared('rows are only taken out where some are refused', async host => {
    const { warehouse } = host
    const draft = await written(warehouse, rowsBut(3, []))
    await draft.seal()
    deepEqual(await siftRows(draft.target, undisturbed), [])
    await warehouse.commit(TABLE, TOTALS, [draft.member()], undisturbed)
    equal((await shown(host)).length, 3)
  }),
]
