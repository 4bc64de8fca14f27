import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { run } from '../bin/cli.ts'
import { MAY, project } from '../bin/project.ts'

t.test('a configuration that does not load is an error that names the file, the line and what is wrong', async t => {
  const { folder } = await project(t)
  const files: Readonly<Record<string, readonly [text: string, says: RegExp]>> = {
    'nothing.ts': [
      'export const pipelines = []',
      /CONFIG_INVALID: .*nothing\.ts: its default export is not what defineConfig\(\) returns/,
    ],
    'plain.ts': [
      'export default { pipelines: [], clients: [] }',
      /CONFIG_INVALID: .*plain\.ts: its default export is not what defineConfig/,
    ],
    'promise.ts': ['export default async () => ({})', /CONFIG_INVALID: .*promise\.ts: its default export is not/],
    'syntax.ts': [
      'const a = 1\nconst b = = 2\nexport default a',
      /CONFIG_FAILED: .*syntax\.ts could not be loaded: SyntaxError: .* \(line 2\)/,
    ],
    'syntax.js': [
      'export const a = 1\nexport const b = = 2\nexport default a',
      /CONFIG_FAILED: .*syntax\.js could not be loaded: SyntaxError: Unexpected token '='/,
    ],
    'strip.ts': [
      '\nexport enum Kind { A, B }\nexport default Kind',
      /CONFIG_FAILED: .*strip\.ts could not be loaded: SyntaxError: .*enum is not supported.* \(line 2\)/,
    ],
    'inside.ts': [
      "import './syntax.ts'\nexport default 1",
      /CONFIG_FAILED: .*inside\.ts could not be loaded: SyntaxError: .* \(\/.*\/syntax\.ts, line 2\)/,
    ],
    'throws.ts': [
      "\n\nthrow new Error('ADS_KEY is not set')",
      /CONFIG_FAILED: .*throws\.ts could not be loaded: Error: ADS_KEY is not set \(line 3\)/,
    ],
    'object.ts': ['throw { status: 7 }', /CONFIG_FAILED: .*object\.ts could not be loaded: it threw \{ status: 7 \}/],
    'undefined.ts': ['throw undefined', /CONFIG_FAILED: .*undefined\.ts could not be loaded: it threw undefined/],
    'package.ts': [
      "import 'not-a-package-of-anybody'\nexport default 1",
      /CONFIG_FAILED: .*package\.ts could not be loaded: Error: Cannot find package 'not-a-package-of-anybody'/,
    ],
    'forever.ts': [
      'await new Promise(() => undefined)\nexport default 1',
      /CONFIG_FAILED: .*forever\.ts could not be loaded: Error: it waits for something that never happens\n/,
    ],
  }
  const ran = await Promise.all(
    Object.entries(files).map(async ([name, [text]]) => {
      await writeFile(join(folder, name), text)
      return run(['backfill', ...MAY, '--config', name, '--json'], { cwd: folder })
    }),
  )
  for (const [index, [name, [, says]]] of Object.entries(files).entries()) {
    t.equal(ran[index]?.code, 2, name)
    t.match(ran[index]?.stderr, says, name)
    t.match(ran[index]?.stderr, 'Nothing was read or written.', name)
    t.match(ran[index]?.json(), { error: { code: /^CONFIG_/ } }, name)
  }
})

t.test('a declaration that cannot work is an error that names what is wrong with it', async t => {
  const parts = [
    [{ pipelines: '[]' }, 'CONFIG_INVALID: the configuration: it has no pipelines'],
    [{ pipelines: '[ads, ads]' }, 'two pipelines are named ads; two pipelines write shop.ads: each would delete the other'],
    [
      { before: "const b = definePipeline({ ...options, name: 'b' })", pipelines: '[ads, b]' },
      'two pipelines write shop.ads: each would delete the other',
    ],
    [{ settings: 'patience: 3,' }, 'settings: patience is not a setting'],
    [{ settings: 'concurrency: 2.5,' }, 'settings: concurrency 2.5 is not a whole number from 1 to 64'],
    [{ pipeline: "map: { ...map, price: text('p') }," }, 'PIPELINE_INVALID: pipeline ads: price is not a column of shop.ads'],
    [{ clients: '42' }, 'its clients are neither a list nor a function'],
  ] as const
  const it = await Promise.all(parts.map(([part]) => project(t, part)))
  const ran = await Promise.all(it.map(({ headrace }) => headrace('check')))
  for (const [index, [, says]] of parts.entries()) {
    t.equal(ran[index]?.code, 2, says)
    t.match(ran[index]?.stderr, says)
    t.match(ran[index]?.stderr, 'Nothing was read or written.', says)
  }
})

t.test('a list of clients that cannot be had, or names nobody, is an error before anything is read', async t => {
  const lists = [
    [
      "async () => { throw new Error('login failed', { cause: new Error('certificate expired') }) }",
      'could not be obtained: login failed (certificate expired)',
    ],
    ["() => { throw 'no' }", "could not be obtained: 'no'"],
    [
      "async () => { throw new Error('https://api.example/accounts?token=planted-secret answered 403') }",
      'could not be obtained: https://api.example/accounts?… answered 403',
    ],
    ['() => new Promise(() => undefined)', 'could not be obtained: it waits for something that never happens'],
    ['async () => undefined', 'is undefined, not a list'],
    ["async () => ({ accounts: ['acme'] })", "is { accounts: [ 'acme' ] }, not a list"],
    ['[]', 'has 0 entries: it is empty'],
    ["['acme', 'globex', 'acme']", "has 3 entries: 'acme' stands in it twice"],
    [
      "async () => ['acme', '  ', 7, null]",
      "has 4 entries: '  ' is not a client id; 7 is not a client id; null is not a client id",
    ],
  ] as const
  const it = await Promise.all(lists.map(([clients]) => project(t, { clients })))
  const ran = await Promise.all(it.map(({ backfill }) => backfill()))
  for (const [index, [, says]] of lists.entries()) {
    t.equal(ran[index]?.code, 2, String(says))
    t.match(ran[index]?.stderr, /^CLIENTS_UNAVAILABLE: the list of clients /, String(says))
    t.match(ran[index]?.stderr, says)
    t.notMatch(ran[index]?.stderr, 'planted-secret')
    t.equal(it[index]?.api.asked.length, 0)
  }
})

t.test('client ids with commas, spaces, quotes and slashes are clients like any other', async t => {
  const clients = ['Smith, Jones & Co', 'two words', `it's "quoted"`, 'a/b?c=d&e', 'ünïcode ☃', '{client}', "'; DROP TABLE x; --"]
  const { headrace, backfill, query } = await project(t, { clients: JSON.stringify(clients) })
  const ran = await backfill('--json')
  t.equal(ran.code, 0)
  t.match(ran.json(), { states: { published: { chunks: 21, inserted: 42 } } })
  const found = await query('SELECT DISTINCT client_id FROM shop.ads')
  t.same(found.map(({ client_id }) => client_id).sort(), [...clients].sort())
  const status = await headrace('status')
  for (const client of clients) t.match(status.stdout, `${client} `)
  t.equal((await headrace('verify')).code, 0)
})
