import { deepEqual, equal, ok, rejects as throws } from 'node:assert/strict'
import { Bytes } from '../bytes.ts'
import { sameDecimal } from '../decimal.ts'
import type { HeadraceError } from '../errors.ts'
import { nullable, numeric, string, type Table } from '../table.ts'
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
import { publishDrafts, stageDraft, undisturbed } from './stage.ts'

const TABLE = CONFORMANCE_TABLE
const TOTALS = CONFORMANCE_TOTALS
const [D1, D2, D3] = CONFORMANCE_DAYS
const row = conformanceRow
const reject = conformanceReject

/** Creating tables, and replacing rows. */
export const PUBLISH_CASES: readonly ConformanceCase[] = [
  {
    title: 'a table is created once, and not at all unless that is asked for',
    run: async open => {
      const host = await open()
      const { warehouse } = host
      try {
        equal(await warehouse.prepare(TABLE, { create: false }, undisturbed), false)
        deepEqual(await warehouse.clients(TABLE, undisturbed), [])
        deepEqual(await warehouse.recount(TABLE, TOTALS, ['a'], undisturbed), [])
        deepEqual(await warehouse.rejects(TABLE, { limit: 5 }, undisturbed), [])
        equal(await warehouse.sweep(async () => new Set()), 0)
        equal(await warehouse.prepare(TABLE, { create: true }, undisturbed), false)
        equal(await warehouse.prepare(TABLE, { create: true }, undisturbed), true)
        equal(await warehouse.prepare(TABLE, { create: false }, undisturbed), true)
      } finally {
        await host.close()
      }
    },
  },
  prepared('a table that differs from its declaration is refused with every difference', async ({ warehouse }) => {
    const { note, clicks, ...columns } = TABLE.columns
    const other: Table = { ...TABLE, columns: { ...columns, clicks: numeric(), cost: nullable(numeric()), extra: string() } }
    await throws(warehouse.prepare(other, { create: true }, undisturbed), (error: HeadraceError) => {
      equal(error.code, 'TABLE_MISMATCH')
      for (const name of ['note', 'clicks', 'cost', 'extra'])
        ok(error.message.includes(`column ${name} `), `${name}: ${error.message}`)
      return true
    })
    await throws(warehouse.prepare({ ...TABLE, clusterBy: ['name'] }, { create: true }, undisturbed), { code: 'TABLE_MISMATCH' })
  }),
  prepared('a commit replaces its client and window, and nothing else', async host => {
    const { warehouse } = host
    const old = ['a', 'b'].map(client => ({ client, from: D1, to: D3, rows: [D1, D2, D3].map(day => row(client, day, 'old')) }))
    await publishDrafts(warehouse, TABLE, TOTALS, old)
    const rows = [row('a', D2, 'new', 7, '0.25'), row('a', D2, 'newer', 1, '0.1')]
    const publication = only(await publishDrafts(warehouse, TABLE, TOTALS, [{ client: 'a', from: D2, rows }]))
    deepEqual(outcomes([publication]), [['published', 1, 2]])
    const { client, day, rows: count, totals } = only(publication.present)
    deepEqual([client, day, count, totals.clicks], ['a', D2, 2, '8'])
    ok(sameDecimal(totals.cost ?? '', '0.35'))
    deepEqual(await shown(host), [
      `a ${D1} old 1 0.5`,
      `a ${D2} new 7 0.25`,
      `a ${D2} newer 1 0.1`,
      `a ${D3} old 1 0.5`,
      ...[D1, D2, D3].map(kept => `b ${kept} old 1 0.5`),
    ])
  }),
  prepared('a window that became empty is empty afterwards', async host => {
    const window = { client: 'a', from: D1, to: D2 }
    await publishDrafts(host.warehouse, TABLE, TOTALS, [{ ...window, rows: [row('a', D1, 'x'), row('a', D2, 'x')] }])
    const publication = only(await publishDrafts(host.warehouse, TABLE, TOTALS, [window]))
    deepEqual(outcomes([publication]), [['published', 2, 0]])
    deepEqual(publication.present, [])
    deepEqual(await shown(host), [])
  }),
  prepared('the same commit a second time leaves the same table', async host => {
    const { warehouse } = host
    const member = await stageDraft(warehouse, TABLE, { client: 'a', from: D1, totals: TOTALS, rows: [row('a', D1, 'x')] })
    const first = only(await warehouse.commit(TABLE, TOTALS, [member], undisturbed))
    const second = only(await warehouse.commit(TABLE, TOTALS, [member], undisturbed))
    deepEqual(second.present, first.present)
    deepEqual(await shown(host), [`a ${D1} x 1 0.5`])
  }),
  prepared('what is staged is invisible until it is committed, and gone when it is discarded', async host => {
    const { warehouse } = host
    const member = await stageDraft(warehouse, TABLE, { client: 'a', from: D1, totals: TOTALS, rows: [row('a', D1, 'x')] })
    deepEqual(await warehouse.recount(TABLE, TOTALS, ['a'], undisturbed), [])
    deepEqual(await warehouse.clients(TABLE, undisturbed), [])
    const other = await warehouse.stage(TABLE, 'another attempt'.replace(' ', '-'))
    await other.discard()
    await other.discard()
    await warehouse.commit(TABLE, TOTALS, [member], undisturbed)
    equal((await shown(host)).length, 1)
  }),
  prepared('the buffer of a write belongs to the caller again', async host => {
    const { warehouse } = host
    const expected = await stageDraft(warehouse, TABLE, {
      client: 'a',
      from: D1,
      totals: TOTALS,
      rows: [row('a', D1, 'x'), row('a', D1, 'y')],
    })
    const staging = await warehouse.stage(TABLE, 'reuse')
    const bytes = new Bytes()
    for (const name of ['x', 'y']) {
      bytes.length = 0
      warehouse.encoder(TABLE)(row('a', D1, name), bytes)
      await staging.write(bytes.slice(), 1, D1)
      bytes.slice().fill(35)
    }
    const { receipt } = await staging.seal()
    await warehouse.commit(TABLE, TOTALS, [{ ...expected, attemptId: 'reuse', receipt }], undisturbed)
    deepEqual(await shown(host), [`a ${D1} x 1 0.5`, `a ${D1} y 1 0.5`])
  }),
  prepared('what one process has staged another one publishes, together with its own', async host => {
    const { warehouse } = host
    const other = host.another()
    const theirs = [
      await stageDraft(other, TABLE, {
        client: 'a',
        from: D1,
        totals: TOTALS,
        rows: [row('a', D1, 'x')],
        rejects: [reject(D1, 'no')],
      }),
      await stageDraft(other, TABLE, { client: 'b', from: D1, to: D2, totals: TOTALS }),
    ]
    const ours = await stageDraft(warehouse, TABLE, { client: 'c', from: D1, totals: TOTALS, rows: [row('c', D1, 'z')] })
    const publications = await warehouse.commit(TABLE, TOTALS, [...theirs, ours], undisturbed)
    deepEqual(
      publications.map(({ outcome, inserted }) => `${outcome} ${inserted}`),
      ['published 1', 'published 0', 'published 1'],
    )
    deepEqual(await shown(host), [`a ${D1} x 1 0.5`, `c ${D1} z 1 0.5`])
    equal((await warehouse.rejects(TABLE, { limit: 5 }, undisturbed)).length, 1)
    // Whoever has staged it may come late: the same rows again change nothing.
    await other.commit(TABLE, TOTALS, theirs, undisturbed)
    deepEqual(await shown(host), [`a ${D1} x 1 0.5`, `c ${D1} z 1 0.5`])
    for (const member of [...theirs, ...theirs]) await warehouse.discard(member)
  }),
  prepared('many clients and different windows are published together', async host => {
    const { warehouse } = host
    const clients = Array.from({ length: 20 }, (_, index) => `client ${String(index).padStart(2, '0')}`)
    const drafts = clients.map((client, index) => {
      const from = index % 2 === 0 ? D1 : D3
      return { client, from, rows: Array.from({ length: index }, (_, n) => row(client, from, `n${n}`)) }
    })
    const publications = await publishDrafts(warehouse, TABLE, TOTALS, drafts)
    deepEqual(
      publications.map(({ inserted }) => inserted),
      clients.map((_, index) => index),
    )
    deepEqual(await warehouse.clients(TABLE, undisturbed), clients.slice(1))
    const counts = await warehouse.recount(TABLE, TOTALS, ['client 01', 'client 02'], undisturbed)
    deepEqual(
      counts.map(({ client, day, rows }) => [client, day, rows]),
      [
        ['client 01', D3, 1],
        ['client 02', D1, 2],
      ],
    )
  }),
  prepared('two windows of one client may be in one group', async host => {
    await publishDrafts(host.warehouse, TABLE, TOTALS, [{ client: 'a', from: D2, rows: [row('a', D2, 'kept')] }])
    const [first, second] = await publishDrafts(host.warehouse, TABLE, TOTALS, [
      { client: 'a', from: D1, rows: [row('a', D1, 'x')] },
      { client: 'a', from: D3, rows: [row('a', D3, 'y'), row('a', D3, 'z')] },
    ])
    deepEqual([first?.present.map(({ day }) => day), second?.present.map(({ day }) => day)], [[D1], [D3]])
    equal((await shown(host)).length, 4)
  }),
  prepared('a day that one client publishes stays what it was for the others of the group', async host => {
    const days = [D1, D2, D3]
    const old = ['a', 'b'].map(client => ({ client, from: D1, to: D3, rows: days.map(day => row(client, day, 'old')) }))
    await publishDrafts(host.warehouse, TABLE, TOTALS, old)
    await publishDrafts(host.warehouse, TABLE, TOTALS, [
      { client: 'a', from: D1, to: D2, rows: [row('a', D1, 'new')] },
      { client: 'b', from: D2, to: D3, rows: [row('b', D3, 'new')] },
    ])
    deepEqual(await shown(host), [`a ${D1} new 1 0.5`, `a ${D3} old 1 0.5`, `b ${D1} old 1 0.5`, `b ${D3} new 1 0.5`])
  }),
  prepared('a client is exactly its name', async host => {
    const { warehouse } = host
    const clients = [
      'a',
      'A',
      'a ',
      ' a',
      'á',
      "o'brien",
      "'); DROP TABLE conformance.daily; --",
      'a\nb',
      '%',
      '_',
      '"',
      '\\',
      '`',
      '{{projectId}}',
      '',
    ]
    const drafts = clients.map((client, index) => ({ client, from: D1, rows: [row(client, D1, 'x', index)] }))
    await publishDrafts(warehouse, TABLE, TOTALS, drafts)
    deepEqual((await warehouse.clients(TABLE, undisturbed)).sort(), [...clients].sort())
    const counts = await warehouse.recount(TABLE, TOTALS, clients, undisturbed)
    for (const [index, client] of clients.entries()) {
      equal(counts.find(count => count.client === client)?.totals.clicks, String(index), JSON.stringify(client))
    }
    await publishDrafts(warehouse, TABLE, TOTALS, [{ client: 'a', from: D1 }])
    deepEqual((await warehouse.clients(TABLE, undisturbed)).sort(), clients.filter(client => client !== 'a').sort())
  }),
]
