import { createInterface } from 'node:readline'
import { DuckDBInstance } from '@duckdb/node-api'
import { duckdb } from '../../lib/warehouse/duckdb/duckdb.ts'
import { ad, ads, calling, stage, TOTALS } from './kit.ts'

/** What another process does to a warehouse, by the name of it; it talks in lines. */
const [, , role, path = '', ...args] = process.argv
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const told = (): Promise<unknown> => lines.next()
const codeOf = (error: unknown): string =>
  error instanceof Error ? `${'code' in error ? error.code : error.name} ${error.message}` : String(error)

/** Tries to use the warehouse as somebody who may not. */
async function asNobody(): Promise<void> {
  process.setgid?.(65_534)
  process.setuid?.(65_534)
  const warehouse = duckdb({ path })
  const clients = (): Promise<unknown> => warehouse.clients(ads, calling()).catch(codeOf)
  console.log(`prepare ${await warehouse.prepare(ads, { create: true }, calling()).catch(codeOf)}`)
  console.log(`clients ${await clients()}`)
  await told()
  console.log(`clients ${await clients()}`)
}

/** Has the file open, as a person with the DuckDB shell does, until told to let go. */
async function hold(mode = 'READ_WRITE'): Promise<void> {
  const instance = await DuckDBInstance.create(path, { access_mode: mode })
  console.log('held')
  await told()
  instance.closeSync()
  console.log('released')
}

/** Publishes two clients together, again and again, with one more row each time; never ends by itself. */
async function publish(rows = '50', last = '0'): Promise<void> {
  const warehouse = duckdb({ path })
  for (let version = Number(last) + 1; ; version++) {
    const members = []
    for (const client of ['a', 'b']) {
      const more = Array.from({ length: Number(rows) + version }, (_, index) => ad(client, '2026-01-01', `n${index}`, version))
      members.push(await stage(warehouse, ads, { client, from: '2026-01-01', rows: more, generation: Date.now() }))
    }
    await warehouse.commit(ads, TOTALS, members, calling())
    console.log(version)
  }
}

/** Publishes a client of its own a number of times. */
async function turns(client = '', times = '0'): Promise<void> {
  const warehouse = duckdb({ path, patience: 60 })
  console.log('ready')
  await told()
  for (let version = 1; version <= Number(times); version++) {
    const member = await stage(warehouse, ads, {
      client,
      from: '2026-01-01',
      rows: Array.from({ length: version }, (_, index) => ad(client, '2026-01-01', `n${index}`, version)),
    })
    await warehouse.commit(ads, TOTALS, [member], calling())
  }
  console.log('done')
}

/** Creates the table in each file it is told. */
async function create(): Promise<void> {
  console.log('ready')
  for (;;) {
    const { value } = await lines.next()
    const done = duckdb({ path: String(value) }).prepare(ads, { create: true }, calling())
    console.log(await done.then(() => 'there', codeOf))
  }
}

const ROLES: Readonly<Record<string, (...args: string[]) => Promise<void>>> = {
  'as-nobody': asNobody,
  hold,
  publish,
  turns,
  create,
}
await ROLES[role ?? '']?.(...args)
process.exit()
