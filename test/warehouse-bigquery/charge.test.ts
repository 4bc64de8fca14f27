import t from 'tap'
import { publishDrafts, undisturbed } from '../../lib/testing/stage.ts'
import type { Publication } from '../../lib/warehouse/warehouse.ts'
import { ad, ads, TOTALS } from '../warehouse/kit.ts'
import { openBigQuery } from './hosts.ts'

const MIB = 2 ** 20
const DAY = '2026-01-01'
const clients = Array.from({ length: 12 }, (_, index) => `client ${index}`)
const chunks = clients.map(client => ({ pipeline: 'ads', client, window: { from: DAY, to: DAY } }))

function billed(publications: readonly Publication[]): number {
  return publications.reduce((sum, { cost }) => sum + (cost?.bytesBilled ?? 0), 0)
}

t.test('a commit is charged at most what was told, and not much less', async t => {
  const host = await openBigQuery()
  t.teardown(() => host.close())
  const { warehouse, server } = host
  await warehouse.prepare(ads, { create: true }, undisturbed)
  // Names so long that a day of the table is larger than the least that is charged.
  const drafts = (note: string) =>
    clients.map(client => ({
      client,
      from: DAY,
      rows: Array.from({ length: 10 }, (_, n) => ({ ...ad(client, DAY, `${n}`), note: note.repeat(180_000) })),
    }))
  const told = async (replacing: boolean): Promise<number> => {
    const jobs = server.jobs.length
    const charge = await warehouse.charge(ads, TOTALS, { chunks, replacing }, undisturbed)
    t.equal(server.jobs.length, jobs, 'nothing was run')
    if (charge.kind !== 'bytes') throw new Error(JSON.stringify(charge))
    return charge.bytes
  }
  for (const [note, replacing] of [
    ['a', false],
    ['b', true],
  ] as const) {
    const expected = await told(replacing)
    const was = billed(await publishDrafts(warehouse, ads, TOTALS, drafts(note)))
    t.ok(
      was <= expected && was > expected * 0.6,
      `${was / MIB} MiB billed of ${expected / MIB} MiB told, replacing: ${replacing}`,
    )
  }
  t.ok((await told(true)) - (await told(false)) > 20 * MIB, 'a DELETE is charged with the whole day')
})

t.test('a table that is not there, and one that may not be read, are not guessed about', async t => {
  const host = await openBigQuery({ tries: 1 })
  t.teardown(() => host.close())
  const { warehouse, server } = host
  const ask = () => warehouse.charge(ads, TOTALS, { chunks, replacing: true }, undisturbed)
  t.match(await ask(), { kind: 'unknown', why: /not there yet/ })
  await warehouse.prepare(ads, { create: true }, undisturbed)
  server.faults.add({ on: 'jobs.insert', effect: { kind: 'error', reason: 'accessDenied' } })
  await t.rejects(ask(), { code: 'WAREHOUSE_UNUSABLE' })
  server.faults.add({ on: 'jobs.insert', effect: { kind: 'truncate' } })
  await t.rejects(ask(), { code: 'WAREHOUSE_FAILED' })
})
