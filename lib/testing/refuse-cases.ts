import { deepEqual, equal, ok } from 'node:assert/strict'
import type { StoredReject } from '../warehouse/warehouse.ts'
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
  refusals,
  shown,
} from './case.ts'
import { publishDrafts, stageDraft, undisturbed } from './stage.ts'

const TABLE = CONFORMANCE_TABLE
const TOTALS = CONFORMANCE_TOTALS
const [D1, D2] = CONFORMANCE_DAYS
const row = conformanceRow
const rejected = conformanceReject

/** Refusing members, confirming, rejects, and what is left behind. */
export const REFUSE_CASES: readonly ConformanceCase[] = [
  prepared('a member whose rows are not what it says is refused, and the others can be published', async host => {
    const { warehouse } = host
    await publishDrafts(warehouse, TABLE, TOTALS, [{ client: 'b', from: D1, rows: [row('b', D1, 'old')] }])
    const draft = (client: string) => ({ client, from: D1, totals: TOTALS, rows: [row(client, D1, 'new', 3)] })
    const [a, b, c] = [
      await stageDraft(warehouse, TABLE, draft('a')),
      await stageDraft(warehouse, TABLE, draft('b')),
      await stageDraft(warehouse, TABLE, draft('c')),
    ]
    const wrongRows = { ...b, days: b.days.map(day => ({ ...day, rows: 2 })) }
    const wrongTotal = { ...c, days: c.days.map(day => ({ ...day, totals: { ...day.totals, cost: '0.500000001' } })) }
    const members = [a, wrongRows, wrongTotal]
    deepEqual(await refusals(warehouse.commit(TABLE, TOTALS, members, undisturbed), members), [
      undefined,
      'COUNT_DIVERGED',
      'COUNT_DIVERGED',
    ])
    deepEqual(await shown(host), [`b ${D1} old 1 0.5`])
    await warehouse.commit(TABLE, TOTALS, [a], undisturbed)
    deepEqual(await shown(host), [`a ${D1} new 3 0.5`, `b ${D1} old 1 0.5`])
  }),
  prepared('an older generation overwrites nothing of a newer one', async host => {
    const { warehouse } = host
    await publishDrafts(warehouse, TABLE, TOTALS, [{ client: 'a', from: D2, generation: 9, rows: [row('a', D2, 'newer')] }])
    const old = await stageDraft(warehouse, TABLE, {
      client: 'a',
      from: D1,
      to: D2,
      generation: 8,
      totals: TOTALS,
      rows: [row('a', D1, 'x')],
    })
    const other = await stageDraft(warehouse, TABLE, {
      client: 'b',
      from: D1,
      generation: 1,
      totals: TOTALS,
      rows: [row('b', D1, 'x')],
    })
    deepEqual(await refusals(warehouse.commit(TABLE, TOTALS, [old, other], undisturbed), [old, other]), ['FENCED', undefined])
    deepEqual(await shown(host), [`a ${D2} newer 1 0.5`])
    await warehouse.commit(TABLE, TOTALS, [other], undisturbed)
    // Its own generation again is no newer one.
    await publishDrafts(warehouse, TABLE, TOTALS, [{ client: 'a', from: D2, generation: 9, rows: [row('a', D2, 'again')] }])
    deepEqual(await shown(host), [`a ${D2} again 1 0.5`, `b ${D1} x 1 0.5`])
  }),
  prepared('confirming writes only what the table does not already hold', async host => {
    const { warehouse } = host
    const drafts = ['a', 'b'].map(client => ({ client, from: D1, to: D2, rows: [row(client, D1, 'x', 2)] }))
    await publishDrafts(warehouse, TABLE, TOTALS, drafts)
    const confirm = drafts.map(draft => ({ ...draft, intent: 'confirm' as const }))
    deepEqual(outcomes(await publishDrafts(warehouse, TABLE, TOTALS, confirm)), [
      ['unchanged', 0, 0],
      ['unchanged', 0, 0],
    ])
    await host.spoil(TABLE, 'a')
    const [a, b] = await publishDrafts(warehouse, TABLE, TOTALS, confirm)
    deepEqual(outcomes([a, b].flatMap(one => one ?? [])), [
      ['published', 0, 1],
      ['unchanged', 0, 0],
    ])
    equal(b?.present.length, 1)
    deepEqual(await shown(host), [`a ${D1} x 2 0.5`, `b ${D1} x 2 0.5`])
    const other = [{ client: 'a', from: D1, intent: 'confirm' as const, rows: [row('a', D1, 'x', 3)] }]
    deepEqual(outcomes(await publishDrafts(warehouse, TABLE, TOTALS, other)), [['published', 1, 1]])
  }),
  prepared('rejects are kept beside the table, and replaced with their window', async host => {
    const { warehouse } = host
    const record = { id: 1, text: 'it\'s "so"\n{{projectId}}', list: [1.5, null, true], nested: { a: [] } }
    const rejects = [rejected(D2, record), { ...rejected(null, [1]), column: null, value: null, rule: 'record' as const }]
    const draft = { client: 'a', from: D1, to: D2, rows: [row('a', D1, 'x')], rejects }
    await publishDrafts(warehouse, TABLE, TOTALS, [draft, { ...draft, client: 'b', rows: [] }])
    const found = await warehouse.rejects(TABLE, { limit: 10 }, undisturbed)
    const short = ({ client, day, column, rule, value, held }: StoredReject): unknown[] => [
      client,
      day,
      column,
      rule,
      value,
      held,
    ]
    const expected = [
      ['a', D2, 'clicks', 'type', '"x"', false],
      ['b', D2, 'clicks', 'type', '"x"', false],
      ['a', D1, null, 'record', null, false],
      ['b', D1, null, 'record', null, false],
    ]
    deepEqual(found.map(short), expected)
    deepEqual(JSON.parse(found[0]?.record ?? ''), record)
    ok(Math.abs(Date.parse(found[0]?.rejectedAt ?? '') - Date.now()) < 3_600_000)
    deepEqual(
      (await warehouse.rejects(TABLE, { clients: ['b'], window: { from: D1, to: D1 }, limit: 10 }, undisturbed)).map(short),
      [expected[3]],
    )
    equal((await warehouse.rejects(TABLE, { limit: 1 }, undisturbed)).length, 1)
    await publishDrafts(warehouse, TABLE, TOTALS, [{ client: 'a', from: D2, rows: [row('a', D2, 'y')] }])
    deepEqual((await warehouse.rejects(TABLE, { clients: ['a'], limit: 10 }, undisturbed)).map(short), [expected[2]])
  }),
  prepared('the rejects of a held chunk are kept without its rows', async host => {
    const { warehouse } = host
    await publishDrafts(warehouse, TABLE, TOTALS, [{ client: 'a', from: D1, rows: [row('a', D1, 'old')] }])
    const held = { client: 'a', from: D1, rows: [row('a', D1, 'new')], rejects: [rejected(D1, {})], intent: 'rejects' as const }
    deepEqual(outcomes(await publishDrafts(warehouse, TABLE, TOTALS, [held])), [['rejects', 0, 0]])
    deepEqual(await shown(host), [`a ${D1} old 1 0.5`])
    equal(only(await warehouse.rejects(TABLE, { limit: 5 }, undisturbed)).held, true)
    // What is confirmed afterwards has no rejects any more.
    const confirmed = { client: 'a', from: D1, rows: [row('a', D1, 'old')], intent: 'confirm' as const }
    deepEqual(outcomes(await publishDrafts(warehouse, TABLE, TOTALS, [confirmed])), [['unchanged', 0, 0]])
    deepEqual(await warehouse.rejects(TABLE, { limit: 5 }, undisturbed), [])
  }),
  prepared('a key that is not unique is refused where the warehouse is asked to look', async host => {
    const { warehouse } = host
    const twice = { client: 'a', from: D1, totals: TOTALS, rows: [row('a', D1, 'x'), row('a', D1, 'x', 2)] }
    const [checked, unique] = [
      await stageDraft(warehouse, TABLE, { ...twice, checkKey: true }),
      await stageDraft(warehouse, TABLE, {
        client: 'b',
        from: D1,
        totals: TOTALS,
        checkKey: true,
        rows: [row('b', D1, 'x'), row('b', D1, 'y')],
      }),
    ]
    deepEqual(await refusals(warehouse.commit(TABLE, TOTALS, [checked, unique], undisturbed), [checked, unique]), [
      'KEY_DUPLICATED',
      undefined,
    ])
    deepEqual(await shown(host), [])
    await warehouse.commit(TABLE, TOTALS, [unique], undisturbed)
    equal((await shown(host)).length, 2)
  }),
  prepared('the rows that changed on a restated day are counted', async host => {
    const { warehouse } = host
    const old = [row('a', D1, 'same'), row('a', D1, 'changes'), row('a', D1, 'goes', 1, '0.5', 'note'), row('a', D2, 'other')]
    await publishDrafts(warehouse, TABLE, TOTALS, [{ client: 'a', from: D1, to: D2, rows: old }])
    const rows = [
      row('a', D1, 'same'),
      row('a', D1, 'changes', 2),
      row('a', D1, 'comes'),
      row('a', D1, 'comes too'),
      row('a', D2, 'other'),
    ]
    const draft = { client: 'a', from: D1, to: D2, rows, restated: [D1, D2] }
    const publication = only(await publishDrafts(warehouse, TABLE, TOTALS, [draft]))
    deepEqual(publication.changes, [
      { day: D1, added: 3, removed: 2 },
      { day: D2, added: 0, removed: 0 },
    ])
    const emptied = only(await publishDrafts(warehouse, TABLE, TOTALS, [{ client: 'a', from: D2, restated: [D2] }]))
    deepEqual(emptied.changes, [{ day: D2, added: 0, removed: 1 }])
  }),
  prepared('what dead attempts staged is swept away, what live ones staged stays', async host => {
    const { warehouse } = host
    const draft = (client: string) => ({
      client,
      from: D1,
      totals: TOTALS,
      rows: [row(client, D1, 'x')],
      rejects: [rejected(D1, {})],
    })
    const [dead, alive] = [await stageDraft(warehouse, TABLE, draft('a')), await stageDraft(warehouse, TABLE, draft('b'))]
    const swept = await warehouse.sweep(async () => new Set([alive.attemptId]))
    equal(await warehouse.sweep(async () => new Set([alive.attemptId])), 0)
    await warehouse.commit(TABLE, TOTALS, [alive], undisturbed)
    deepEqual(await shown(host), [`b ${D1} x 1 0.5`])
    if (swept === 0) return
    deepEqual(await refusals(warehouse.commit(TABLE, TOTALS, [dead], undisturbed), [dead]), ['WAREHOUSE_FAILED'])
  }),
]
