import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { type ConfigOptions, defineConfig, findPipeline, loadConfig, resolveClients } from '../lib/config.ts'
import { defineConnector, definePipeline, duckdb, OPTIONS, type Pipeline, sqlite } from '../lib/index.ts'
import { client, day } from '../lib/mapping.ts'
import { resolveOptions } from '../lib/options.ts'
import { date, defineTable, string } from '../lib/table.ts'

const never = new AbortController().signal

const source = defineConnector<{ day: string }>({ name: 'none', async *pages() {} })

function pipeline(name: string, table = `shop.${name}`, after: readonly string[] = []): Pipeline {
  return definePipeline({
    name,
    after,
    source,
    table: defineTable(table, { client_id: string(), date: date() }, { partitionBy: 'date' }),
    map: { client_id: client(), date: day('day') },
  })
}

/** A configuration that works, before anything is changed. None of its files is touched. */
const usual: ConfigOptions = {
  pipelines: [pipeline('ads')],
  clients: ['acme', 'globex'],
  warehouse: duckdb({ path: '/nowhere/warehouse.duckdb' }),
  ledger: sqlite({ path: '/nowhere/ledger.sqlite' }),
}

t.test('a configuration fills in every setting it does not name', async t => {
  const { settings } = defineConfig({ ...usual, settings: { concurrency: 2, drainSeconds: 0.5 } })
  const defaults = Object.fromEntries(Object.entries(OPTIONS).map(([name, option]) => [name, option.default]))
  t.same(settings, { ...defaults, concurrency: 2, drainSeconds: 0.5 })
})

t.test('every setting is bounded, and all that are wrong are named at once', async t => {
  for (const [name, { min, max }] of Object.entries(OPTIONS)) {
    t.doesNotThrow(() => resolveOptions({ [name]: min }), name)
    t.doesNotThrow(() => resolveOptions({ [name]: max }), name)
    for (const wrong of [min - 1, max + 1, Number.NaN, Number.POSITIVE_INFINITY, '3']) {
      t.throws(() => resolveOptions({ [name]: wrong }), {
        code: 'CONFIG_INVALID',
        message: `settings: ${name} ${wrong} is not a `,
      })
    }
  }
  t.throws(() => resolveOptions({ concurrency: 1.5, attempts: 0 }), {
    message: 'settings: concurrency 1.5 is not a whole number from 1 to 64; attempts 0 is not a whole number from 1 to 20',
  })
  t.throws(() => resolveOptions({ ['concurency' as 'concurrency']: 3 }), { message: 'settings: concurency is not a setting' })
})

t.test('pipelines have names and tables of their own, their rejects included', async t => {
  for (const [pipelines, message] of [
    [[], 'it has no pipelines'],
    [[pipeline('ads'), pipeline('ads', 'shop.other')], 'two pipelines are named ads'],
    [[pipeline('ads'), pipeline('orders', 'shop.ads')], "two pipelines write shop.ads: each would delete the other's rows"],
    [[pipeline('ads'), pipeline('orders', 'Shop.Ads')], "two pipelines write shop.ads: each would delete the other's rows"],
    [[pipeline('ads'), pipeline('bad', 'shop.ads_rejects')], 'two pipelines write shop.ads_rejects: each would delete'],
  ] as const) {
    t.throws(() => defineConfig({ ...usual, pipelines }), { code: 'CONFIG_INVALID', message })
  }
  t.doesNotThrow(() => defineConfig({ ...usual, pipelines: [pipeline('ads'), pipeline('orders')] }))
})

t.test('pipelines wait for others that exist, and never for each other', async t => {
  const of = (name: string, ...after: readonly string[]): Pipeline => pipeline(name, undefined, after)
  for (const [pipelines, message] of [
    [[of('a', 'b')], 'pipeline a comes after b, which there is not'],
    [[of('a', 'a')], 'pipelines wait for each other: a -> a'],
    [[of('x', 'a'), of('a', 'b'), of('b', 'c'), of('c', 'a')], 'pipelines wait for each other: a -> b -> c -> a'],
    [
      [of('a', 'b', 'c'), of('b', 'a'), of('c', 'a')],
      'pipelines wait for each other: a -> b -> a; pipelines wait for each other: a -> c -> a',
    ],
  ] as const) {
    t.throws(() => defineConfig({ ...usual, pipelines }), { code: 'CONFIG_INVALID', message: `the configuration: ${message}` })
  }
  t.doesNotThrow(() => defineConfig({ ...usual, pipelines: [of('d', 'b', 'c'), of('b', 'a'), of('c', 'a'), of('a')] }))
})

t.test('the time zone of a configuration is one of the IANA database, and UTC unless it says so', async t => {
  t.equal(defineConfig(usual).timeZone, 'UTC')
  t.equal(defineConfig({ ...usual, timeZone: 'America/St_Johns' }).timeZone, 'America/St_Johns')
  for (const timeZone of ['Mars/Olympus', '', 7 as unknown as string]) {
    t.throws(() => defineConfig({ ...usual, timeZone }), { message: `its timeZone ${timeZone} is not in the IANA database` })
  }
})

t.test('what is not a warehouse, a ledger or a list of clients is refused by name', async t => {
  const options = { pipelines: usual.pipelines, clients: 'acme', warehouse: {}, ledger: undefined } as unknown as ConfigOptions
  t.throws(() => defineConfig(options), {
    message:
      'the configuration: its warehouse is not one: use duckdb({ path }) or bigquery(); its ledger is not one: use sqlite({ path }) or postgres({ url }); ' +
      'its clients are neither a list nor a function',
  })
})

t.test('a pipeline is found by its name, and needs none when it is the only one', async t => {
  const ads = pipeline('ads')
  const orders = pipeline('orders')
  t.equal(findPipeline({ pipelines: [ads, orders] }, 'orders'), orders)
  t.equal(findPipeline({ pipelines: [ads] }, undefined), ads)
  t.throws(() => findPipeline({ pipelines: [ads, orders] }, undefined), {
    code: 'USAGE',
    message: 'which pipeline? There are ads, orders',
  })
  t.throws(() => findPipeline({ pipelines: [ads, orders] }, 'x'), {
    code: 'USAGE',
    message: 'there is no pipeline x, only ads, orders',
  })
})

t.test('clients are those of the list or the function, or those asked for, once each', async t => {
  t.same(await resolveClients(usual, undefined, never), [
    { id: 'acme', timeZone: 'UTC' },
    { id: 'globex', timeZone: 'UTC' },
  ])
  const own = { id: 'b', timeZone: 'Asia/Kathmandu' }
  t.same(
    await resolveClients({ clients: async () => ['a', own, { id: 'c' }], timeZone: 'Pacific/Apia' }, ['c', 'b', 'c'], never),
    [{ id: 'c', timeZone: 'Pacific/Apia' }, own],
  )
  await t.rejects(resolveClients(usual, ['acme', ...'bcdefgh'], never), {
    code: 'USAGE',
    message: '--clients b; c; d; e; f and 2 more: not among the 2 clients of the configuration',
  })
})

t.test('what stands in the list of clients and is no client is named', async t => {
  const clients = [
    'a',
    ' ',
    'a',
    { id: 'b', timeZone: 'Europe/Atlantis' },
    null,
    { id: 7 },
  ] as unknown as ConfigOptions['clients']
  await t.rejects(resolveClients({ clients }, undefined, never), {
    code: 'CLIENTS_UNAVAILABLE',
    message:
      "the list of clients has 6 entries: ' ' is not a client id; 'a' stands in it twice; the time zone 'Europe/Atlantis' of 'b' is not in the " +
      'IANA database; null is not a client id; { id: 7 } is not a client id',
  })
})

t.test('a list of clients that fails says why, down to the last cause, without the query of any address', async t => {
  const refused = Object.assign(new AggregateError([]), { code: 'ECONNREFUSED' })
  for (const [error, says] of [
    [new TypeError('fetch failed', { cause: refused }), 'fetch failed (ECONNREFUSED)'],
    [new Error('https://api.example/accounts?key=planted answered 403'), 'https://api.example/accounts?… answered 403'],
    [{ status: 403 }, '{ status: 403 }'],
  ] as const) {
    await t.rejects(resolveClients({ clients: () => Promise.reject(error) }, undefined, never), {
      code: 'CLIENTS_UNAVAILABLE',
      message: `the list of clients could not be obtained: ${says}`,
    })
  }
})

t.test('a list of clients is not waited for once told to stop', async t => {
  const stop = new AbortController()
  const endless = resolveClients({ clients: () => new Promise(() => undefined) }, undefined, stop.signal)
  stop.abort()
  await t.rejects(endless, { code: 'ABORTED' })
  const listening = (signal: AbortSignal): Promise<never> => Promise.reject(new Error('told to stop', { cause: signal.reason }))
  await t.rejects(resolveClients({ clients: listening }, undefined, stop.signal), { code: 'ABORTED' })
})

t.test('a configuration file is loaded, or named with what is wrong with it', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'headrace-config-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'headrace.config.ts')
  await t.rejects(loadConfig(file, never), { code: 'CONFIG_NOT_FOUND', message: `there is no configuration ${file}` })
  await writeFile(file, "\nthrow new Error('no key')")
  await t.rejects(loadConfig(file, never), {
    code: 'CONFIG_FAILED',
    message: `${file} could not be loaded: Error: no key (line 2)`,
  })
  const other = join(folder, 'other.ts')
  const lib = new URL('../lib/index.ts', import.meta.url).href
  await writeFile(other, `import { defineConfig } from '${lib}'\nexport default defineConfig({ pipelines: [] } as any)`)
  await t.rejects(loadConfig(other, never), { code: 'CONFIG_INVALID', message: 'it has no pipelines' })
})
