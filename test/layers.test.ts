import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** The longest a file may be. */
const MOST_LINES = 300

/** What a file imports: a path from the root, or the name of a package; and whether anything of it is there at run time. */
interface Import {
  readonly from: string
  readonly target: string
  readonly typeOnly: boolean
}

/** Where a file may reach inside the project, by the first pattern that matches its path; `$1` is what the pattern captured. */
const MAY_REACH: readonly (readonly [file: RegExp, targets: string])[] = [
  // The one command that tries the contract of a warehouse on a real one.
  [/^bin\/commands\/live\.ts$/, '(lib|connectors|bin)/'],
  [/^bin\//, '(lib/(?!testing/)|connectors/|bin/)'],
  [/^connectors\/index\.ts$/, 'connectors/[^/]+/index\\.ts$'],
  [/^connectors\/([^/]+)\//, '(lib/(connector|table|pipeline|mapping|errors|oauth/oauth)\\.ts$|lib/http/|connectors/$1/)'],
  [/^lib\/errors\.ts$/, '$'],
  [/^lib\/(table|chunk)\.ts$/, 'lib/errors\\.ts$'],
  [/^lib\/steps\//, 'lib/(?!(steps|ledger|testing)/|(metrics|log)\\.ts$)'],
  [/^lib\/version\.ts$/, 'package\\.json$'],
  [/^lib\/testing\//, 'lib/'],
  [/^lib\//, 'lib/(?!testing/)'],
]

/** Which files alone may import a package; `types` says that types of it may be imported anywhere. */
const KEPT: Readonly<Record<string, { readonly to: RegExp; readonly types: boolean }>> = {
  '@duckdb/node-api': { to: /^lib\/warehouse\/duckdb\//, types: false },
  '@google-cloud/bigquery': { to: /^lib\/warehouse\/bigquery\/connect\.ts$/, types: true },
  'google-auth-library': { to: /^lib\/warehouse\/bigquery\/connect\.ts$/, types: false },
  'node:sqlite': { to: /^lib\/ledger\/sqlite/, types: false },
  pg: { to: /^lib\/ledger\/postgres/, types: false },
  'prom-client': { to: /^(bin\/|lib\/(metrics\.ts$|server\/))/, types: true },
  fastify: { to: /^lib\/server\//, types: false },
  oauth4webapi: { to: /^lib\/oauth\//, types: false },
  undici: { to: /^lib\/(http|oauth)\//, types: true },
  '@opentelemetry': { to: /^lib\/trace\.ts$/, types: false },
  pino: { to: /^lib\/log\.ts$/, types: false },
  croner: { to: /^lib\/plan\/schedule\.ts$/, types: false },
  'stream-chain': { to: /^lib\/run-chunk\.ts$/, types: false },
}

const IMPORT = /^(?:import|export)\s+(type\s+)?(?:[\w*{][^'"]*?\sfrom\s+)?['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm

function importsOf(from: string, source: string): Import[] {
  return [...source.matchAll(IMPORT)].map(([, type, named, called]) => {
    const target = named ?? called ?? ''
    return { from, target: target.startsWith('.') ? join(dirname(from), target) : target, typeOnly: type !== undefined }
  })
}

/** Whether a target is a file of the project. */
function isInside(target: string): boolean {
  return /^(lib|connectors|bin|test|examples|bench)\/|^package\.json$/.test(target)
}

function* wrongImports({ from, target, typeOnly }: Import): Generator<string> {
  if (isInside(target)) {
    const [file, targets] = MAY_REACH.find(([pattern]) => pattern.test(from)) ?? [/$/, '$']
    const allowed = targets.replaceAll('$1', () => file.exec(from)?.[1] ?? '')
    if (!new RegExp(`^${allowed}`).test(target)) yield `${from} may not import ${target}`
  }
  const kept = Object.entries(KEPT).find(([name]) => target === name || target.startsWith(`${name}/`))?.[1]
  if (kept !== undefined && !kept.to.test(from) && !(typeOnly && kept.types)) yield `${from} may not import ${target}`
}

function* undocumented(file: string, source: string): Generator<string> {
  const lines = source.split('\n')
  let previous = ''
  for (const [index, line] of lines.entries()) {
    const name = /^export (?:async |abstract |declare )*(?:function\*?|class|interface|type|const) +(\w+)/.exec(line)?.[1]
    if (name === undefined) continue
    // Overloads share the comment of the first.
    if (name !== previous && !lines[index - 1]?.trimEnd().endsWith('*/')) yield `${file}: ${name} has no doc comment`
    previous = name
  }
}

/** Import cycles that exist at run time, each as one line that starts with its first file. */
function cycles(imports: readonly Import[]): string[] {
  const atRunTime = imports.filter(({ target, typeOnly }) => isInside(target) && !typeOnly)
  const next = Map.groupBy(atRunTime, ({ from }) => from)
  const found = new Set<string>()
  const done = new Set<string>()
  const visit = (file: string, path: readonly string[]): void => {
    const start = path.indexOf(file)
    if (start >= 0) {
      const cycle = path.slice(start)
      const first = cycle.indexOf([...cycle].sort()[0] ?? '')
      found.add(`cycle: ${[...cycle.slice(first), ...cycle.slice(0, first)].join(' -> ')}`)
    } else if (!done.has(file)) {
      for (const { target } of next.get(file) ?? []) visit(target, [...path, file])
      done.add(file)
    }
  }
  for (const file of next.keys()) visit(file, [])
  return [...found]
}

/** Everything that is wrong with the files of the project, by path from its root. */
function problemsOf(files: ReadonlyMap<string, string>): string[] {
  const imports = [...files].flatMap(([file, source]) => importsOf(file, source))
  return [
    ...imports.flatMap(one => [...wrongImports(one)]),
    ...cycles(imports),
    ...[...files].flatMap(([file, source]) => [
      ...(file.startsWith('bin/') ? [] : undocumented(file, source)),
      ...(file.startsWith('lib/') && /\bconsole\./.test(source) ? [`${file} uses console`] : []),
      ...(source.split('\n').length - 1 > MOST_LINES ? [`${file} has more than ${MOST_LINES} lines`] : []),
    ]),
  ]
}

const files = new Map(
  globSync('{lib,connectors,bin}/**/*.ts', { cwd: ROOT }).map(file => [file, readFileSync(join(ROOT, file), 'utf8')]),
)

t.test('every file imports only what its layer may, is short, and says what it exports', async t => {
  t.ok(files.size > 50, 'the project was found')
  t.strictSame(problemsOf(files), [])
})

const PLANTED: Readonly<Record<string, readonly [file: string, source: string, problem: string]>> = {
  'a bin file that imports a test': ['bin/x.ts', "import { a } from '../test/a.ts'", 'bin/x.ts may not import test/a.ts'],
  'a lib file that imports a command': ['lib/x.ts', "import { a } from '../bin/run.ts'", 'lib/x.ts may not import bin/run.ts'],
  'a lib file that imports a connector': [
    'lib/x.ts',
    "const a = await import('../connectors/index.ts')",
    'lib/x.ts may not import connectors/index.ts',
  ],
  'a command that is made of tests': [
    'bin/commands/x.ts',
    "import { a } from '../../lib/testing/case.ts'",
    'bin/commands/x.ts may not import lib/testing/case.ts',
  ],
  'a part of the product that is made of tests': [
    'lib/warehouse/x.ts',
    "import { a } from '../testing/case.ts'",
    'lib/warehouse/x.ts may not import lib/testing/case.ts',
  ],
  'a connector that reaches past its contract': [
    'connectors/x/x.ts',
    "import type { Ledger } from '../../lib/ledger/ledger.ts'",
    'connectors/x/x.ts may not import lib/ledger/ledger.ts',
  ],
  'a connector that imports another one': [
    'connectors/x/x.ts',
    "import {\n  a,\n  b,\n} from '../rest/index.ts'",
    'connectors/x/x.ts may not import connectors/rest/index.ts',
  ],
  'the list of connectors with code of its own': [
    'connectors/index.ts',
    "export * from '../lib/connector.ts'",
    'connectors/index.ts may not import lib/connector.ts',
  ],
  'a step that imports another step': [
    'lib/steps/x.ts',
    "export { a } from './map.ts'",
    'lib/steps/x.ts may not import lib/steps/map.ts',
  ],
  'a step that counts': [
    'lib/steps/x.ts',
    "import type { A } from '../metrics.ts'",
    'lib/steps/x.ts may not import lib/metrics.ts',
  ],
  'a step that logs': ['lib/steps/x.ts', "import type { A } from '../log.ts'", 'lib/steps/x.ts may not import lib/log.ts'],
  'a step that remembers': [
    'lib/steps/x.ts',
    "import type { A } from '../ledger/ledger.ts'",
    'lib/steps/x.ts may not import lib/ledger/ledger.ts',
  ],
  'errors that import something': [
    'lib/errors.ts',
    "import { a } from './chunk.ts'",
    'lib/errors.ts may not import lib/chunk.ts',
  ],
  'tables that import more than errors': [
    'lib/table.ts',
    "import { a } from './decimal.ts'",
    'lib/table.ts may not import lib/decimal.ts',
  ],
  'chunks that import more than errors': [
    'lib/chunk.ts',
    "import type { A } from './table.ts'",
    'lib/chunk.ts may not import lib/table.ts',
  ],
  'the OAuth library outside its files': [
    'lib/http/client.ts',
    "import * as oauth from 'oauth4webapi'",
    'lib/http/client.ts may not import oauth4webapi',
  ],
  'DuckDB outside its warehouse': [
    'lib/x.ts',
    "import type { A } from '@duckdb/node-api'",
    'lib/x.ts may not import @duckdb/node-api',
  ],
  'BigQuery outside its client': [
    'lib/x.ts',
    "import { BigQuery } from '@google-cloud/bigquery'",
    'lib/x.ts may not import @google-cloud/bigquery',
  ],
  'PostgreSQL outside the ledger': ['lib/x.ts', "import type { Pool } from 'pg'", 'lib/x.ts may not import pg'],
  'SQLite outside the ledger': ['bin/x.ts', "import { DatabaseSync } from 'node:sqlite'", 'bin/x.ts may not import node:sqlite'],
  'a server made elsewhere': ['bin/x.ts', "import { fastify } from 'fastify'", 'bin/x.ts may not import fastify'],
  'a metric made elsewhere': ['lib/x.ts', "import { Counter } from 'prom-client'", 'lib/x.ts may not import prom-client'],
  'a request made elsewhere': [
    'connectors/x/x.ts',
    "import { request } from 'undici'",
    'connectors/x/x.ts may not import undici',
  ],
  'a span begun elsewhere': [
    'lib/x.ts',
    "import { trace } from '@opentelemetry/api'",
    'lib/x.ts may not import @opentelemetry/api',
  ],
  'another log': ['lib/x.ts', "import { pino } from 'pino'", 'lib/x.ts may not import pino'],
  'another joint of streams': [
    'lib/x.ts',
    "import chain from 'stream-chain/gen.js'",
    'lib/x.ts may not import stream-chain/gen.js',
  ],
  'a line to the console': ['lib/x.ts', "console.error('x')", 'lib/x.ts uses console'],
  'a file that is too long': ['bin/x.ts', '\n'.repeat(301), 'bin/x.ts has more than 300 lines'],
  'an export that nobody explains': ['lib/x.ts', '\nexport async function* read() {}', 'lib/x.ts: read has no doc comment'],
}

for (const [name, [file, source, problem]] of Object.entries(PLANTED)) {
  t.test(`the check finds ${name}`, async t => t.strictSame(problemsOf(new Map([[file, source]])), [problem]))
}

t.test('the check finds import cycles, but not those that only types make', async t => {
  const circle = (type: string): Map<string, string> =>
    new Map([
      ['lib/a.ts', "import { b } from './b.ts'"],
      ['lib/b.ts', `import ${type}{ c } from './c.ts'`],
      ['lib/c.ts', "import { a } from './a.ts'"],
    ])
  t.strictSame(problemsOf(circle('')), ['cycle: lib/a.ts -> lib/b.ts -> lib/c.ts'])
  t.strictSame(problemsOf(circle('type ')), [])
})

t.test('the check lets pass what is allowed', async t => {
  const allowed = new Map([
    ['connectors/x/index.ts', "export { a } from './a.ts'\nimport { DataError } from '../../lib/errors.ts'"],
    [
      'lib/x.ts',
      "import type { Registry } from 'prom-client'\nimport type { Agent } from 'undici'\nimport { join } from 'node:path'",
    ],
    ['lib/steps/x.ts', "import type { Table } from '../table.ts'"],
    ['lib/y.ts', '/** Said once. */\nexport function a(): 1\nexport function a(b?: 2): unknown {}\n'],
  ])
  t.strictSame(problemsOf(allowed), [])
})
