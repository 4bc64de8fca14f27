import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { duckdb } from '../../lib/warehouse/duckdb/duckdb.ts'
import { ad, ads, calling, folder, prepared, reject, stage, TOTALS } from './kit.ts'

const DAY = '2026-01-01'

t.test('discard removes the files of its attempt and nothing else, as often as it is asked', async t => {
  const { warehouse, path } = await prepared(t, ads)
  const kept = await stage(warehouse, ads, { client: 'a', from: DAY, rejects: [reject(DAY)] })
  const staging = await warehouse.stage(ads, 'attempt')
  await staging.write(Buffer.from('row\n'), 1, DAY)
  t.ok(existsSync(`${path}.staging/attempt.csv`))
  await staging.discard()
  await staging.discard()
  t.same(readdirSync(`${path}.staging`).sort(), [`${kept.attemptId}.csv`, `${kept.attemptId}.rejects.csv`])
})

t.test('discard after a commit, and before sealing, is safe', async t => {
  const { warehouse, path } = await prepared(t, ads)
  const open = await warehouse.stage(ads, 'open')
  await open.write(Buffer.from('half a ro'), 1, DAY)
  await open.discard()
  const sealed = await warehouse.stage(ads, 'sealed')
  const { bytes, receipt } = await sealed.seal()
  t.equal(bytes, 0)
  const chunk = { pipeline: 'test', client: 'a', window: { from: DAY, to: DAY } }
  const days = [{ day: DAY, rows: 0, rejected: 0, fingerprint: '', totals: {} }]
  const member = {
    chunk,
    attemptId: 'sealed',
    receipt,
    generation: 1,
    intent: 'publish',
    days,
    restated: [],
    checkKey: false,
  } as const
  await warehouse.commit(ads, [], [member], calling())
  await sealed.discard()
  t.same(readdirSync(`${path}.staging`), [])
})

t.test('seal says how many bytes of rows there are', async t => {
  const { warehouse } = await prepared(t, ads)
  const staging = await warehouse.stage(ads, 'attempt')
  await staging.write(Buffer.from('ä\n'), 1, DAY)
  await staging.write(Buffer.from('two\n'), 1, '2026-01-02')
  await staging.reject([{ day: DAY, column: null, rule: 'type', value: null, reason: 'x', record: '{}' }])
  t.match(await staging.seal(), { bytes: 7 })
})

t.test('an attempt cannot be staged twice at once', async t => {
  const { warehouse } = await prepared(t, ads)
  await warehouse.stage(ads, 'attempt')
  await t.rejects(warehouse.stage(ads, 'attempt'), { code: 'WAREHOUSE_FAILED' })
})

t.test('a folder that cannot be written to is a failure worth another try', async t => {
  const path = `${folder(t)}/warehouse.duckdb`
  writeFileSync(`${path}.staging`, 'a file where the folder should be')
  await t.rejects(duckdb({ path }).stage(ads, 'attempt'), { code: 'WAREHOUSE_FAILED', message: /cannot be staged/ })
})

t.test('sweep removes what dead attempts left and nothing else', async t => {
  const { warehouse, path } = await prepared(t, ads)
  const alive = await stage(warehouse, ads, { client: 'a', from: DAY, rows: [ad('a', DAY, 'x')], rejects: [reject(DAY)] })
  for (const dead of ['b', 'c']) await stage(warehouse, ads, { client: dead, from: DAY, rejects: [reject(DAY)] })
  const others = ['notes.txt', 'x.csv.bak', 'spill']
  mkdirSync(`${path}.staging/spill`)
  for (const other of others.slice(0, 2)) writeFileSync(`${path}.staging/${other}`, '')
  const restarted = duckdb({ path })
  t.equal(await restarted.sweep(async () => new Set([alive.attemptId])), 2)
  t.same(readdirSync(`${path}.staging`).sort(), [`${alive.attemptId}.csv`, `${alive.attemptId}.rejects.csv`, ...others].sort())
  t.match(await warehouse.commit(ads, TOTALS, [alive], calling()), [{ inserted: 1 }])
  t.equal(await restarted.sweep(async () => new Set()), 1)
  t.equal(await restarted.sweep(async () => new Set()), 0)
})

t.test('an attempt that begins while a sweep finds out who is alive is not taken for dead', async t => {
  const { warehouse } = await prepared(t, ads)
  await stage(warehouse, ads, { client: 'dead', from: DAY, rows: [ad('dead', DAY, 'x')] })
  const begun: Awaited<ReturnType<typeof stage>>[] = []
  const swept = await warehouse.sweep(async () => {
    begun.push(await stage(warehouse, ads, { client: 'a', from: DAY, rows: [ad('a', DAY, 'x')] }))
    return new Set()
  })
  t.equal(swept, 1)
  t.match(await warehouse.commit(ads, TOTALS, begun, calling()), [{ inserted: 1 }])
})

t.test('where nothing was ever staged there is nothing to sweep', async t => {
  const { warehouse, path } = await prepared(t, ads)
  rmSync(`${path}.staging`, { recursive: true, force: true })
  t.equal(await warehouse.sweep(async () => new Set()), 0)
})
