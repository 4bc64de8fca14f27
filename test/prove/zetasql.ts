import { deepEqual, ok, rejects } from 'node:assert/strict'
import { WAREHOUSE_CASES } from '../../lib/testing/warehouse.ts'
import type { BigQueryOptions } from '../../lib/warehouse/bigquery/options.ts'
import type { BigQueryServer } from '../servers/bigquery/server.ts'
import { openBigQuery } from '../warehouse-bigquery/hosts.ts'
import { type Analyzer, install, startAnalyzer, typeOf, type ZetaTable, type ZetaType } from './analyzer.ts'
import { takeApart } from './script.ts'

/**
 * Lets Google's own analyzer judge every text of SQL that the BigQuery warehouse sends: its grammar, and its names and types against the tables as
 * they are created. The texts are those of the whole conformance kit, run against the local server with both ways to stage.
 * Downloads 112 MB the first time. Run it with: node test/prove/zetasql.ts
 */

interface ParameterType {
  readonly type: string
  readonly arrayType?: ParameterType
  readonly structTypes?: readonly { readonly name: string; readonly type: ParameterType }[]
}

/** The bodies of requests, as far as they are looked at. */
interface Body {
  readonly tableReference?: TableReference
  readonly schema?: Schema
  readonly configuration?: {
    readonly load?: { readonly destinationTable: TableReference; readonly schema: Schema }
    readonly query?: {
      readonly query: string
      readonly queryParameters?: readonly { readonly name: string; readonly parameterType: ParameterType }[]
    }
  }
}

interface TableReference {
  readonly projectId: string
  readonly datasetId: string
  readonly tableId: string
}

interface Schema {
  readonly fields: readonly { readonly name: string; readonly type: string }[]
}

/** One text with what it may refer to. */
interface Sent {
  readonly sql: string
  readonly parameters: Readonly<Record<string, ZetaType>>
  readonly tables: readonly ZetaTable[]
}

function zetaType({ type, arrayType, structTypes }: ParameterType): ZetaType {
  if (arrayType !== undefined) return { type_kind: 'TYPE_ARRAY', array_type: { element_type: zetaType(arrayType) } }
  if (structTypes === undefined) return typeOf(type)
  const field = structTypes.map(({ name, type: inner }) => ({ field_name: name, field_type: zetaType(inner) }))
  return { type_kind: 'TYPE_STRUCT', struct_type: { field } }
}

/** Attempts have random names and begin at random moments; what is judged does not depend on them. */
function steady(text: string): string {
  return text
    .replaceAll(/[0-9a-f]{8}([-_])[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{12}(_\d+)?/g, 'attempt')
    .replaceAll(/TIMESTAMP '[^']+'/g, "TIMESTAMP '2026-01-01T00:00:00.000Z'")
}

/** What a server was sent. */
function sentTo({ log, project }: BigQueryServer): Sent[] {
  const bodies = log.map(({ body }): Body => Object(body))
  const tables = new Map<string, ZetaTable>()
  const keep = ({ projectId, datasetId, tableId }: TableReference, { fields }: Schema): void => {
    const name = steady(`${projectId}.${datasetId}.${tableId}`)
    tables.set(name, { name, columns: Object.fromEntries(fields.map(({ name: column, type }) => [column, type])) })
  }
  // What was there keeps its type: a change repeats it in the words that tables are described with.
  const widen = (name: string, { fields }: Schema): void => {
    const added = Object.fromEntries(fields.map(({ name: column, type }) => [column, type]))
    tables.set(name, { name, columns: { ...added, ...tables.get(name)?.columns } })
  }
  for (const [index, { tableReference, schema, configuration }] of bodies.entries()) {
    const { kind, table } = log[index] ?? {}
    if (tableReference !== undefined && schema !== undefined) keep(tableReference, schema)
    if (kind === 'tables.patch' && schema !== undefined) widen(`${project}.${table}`, schema)
    if (configuration?.load !== undefined) keep(configuration.load.destinationTable, configuration.load.schema)
  }
  return bodies.flatMap(({ configuration }) => {
    const { query, queryParameters = [] } = configuration?.query ?? {}
    if (query === undefined) return []
    const parameters = Object.fromEntries(queryParameters.map(({ name, parameterType }) => [name, zetaType(parameterType)]))
    return [{ sql: steady(query), parameters, tables: [...tables.values()] }]
  })
}

/** Everything the conformance kit makes the warehouse send. */
async function collect(options: BigQueryOptions): Promise<Sent[]> {
  const sent: Sent[] = []
  for (const { title, run } of WAREHOUSE_CASES) {
    const open = async () => {
      const host = await openBigQuery(options)
      const close = async (): Promise<void> => {
        sent.push(...sentTo(host.server))
        await host.close()
      }
      return { ...host, close }
    }
    await run(open).catch((error: unknown) => {
      throw new Error(`${title}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
    })
  }
  return sent
}

/** How many parts were judged, and what is wrong with them. */
async function judge(analyzer: Analyzer, sent: readonly Sent[]): Promise<{ readonly judged: number; readonly wrong: string[] }> {
  const seen = new Set<string>()
  const wrong: string[] = []
  const unlessSeen = async (key: string, check: () => Promise<void>, sql: string): Promise<void> => {
    if (seen.has(key)) return
    seen.add(key)
    await check().catch((error: Error) => void wrong.push(`${error.message}\n${sql}`))
  }
  for (const { sql, parameters, tables } of sent) {
    await unlessSeen(`script ${sql}`, () => analyzer.parse(sql), sql)
    const { parts, variables } = takeApart(sql)
    const declared = Object.fromEntries(Object.entries(variables).map(([name, type]) => [name, typeOf(type)]))
    const all = { ...parameters, ...declared, row_count: typeOf('INT64') }
    const named = tables.filter(({ name }) => sql.includes(name))
    for (const part of parts) {
      await unlessSeen(JSON.stringify([part.sql, all, named]), () => analyzer.analyze(part.sql, named, all), part.sql)
    }
  }
  return { judged: seen.size, wrong }
}

/** A judge that finds nothing must be able to. */
async function tryTheJudge(analyzer: Analyzer): Promise<void> {
  const tables = [{ name: 'p.d.t', columns: { cost: 'NUMERIC' } }]
  await analyzer.analyze('INSERT INTO `p.d.t` (cost) SELECT NUMERIC "1"', tables, {})
  await rejects(analyzer.analyze('INSERT INTO `p.d.t` (cost) SELECT "1"', tables, {}), /cannot be inserted/)
  await rejects(analyzer.analyze('SELECT price FROM `p.d.t`', tables, {}), /Unrecognized name/)
  await rejects(analyzer.parse('IF TRUE THEN SELECT 1; END'), /Syntax error/)
}

const analyzer = await startAnalyzer(install())
try {
  await tryTheJudge(analyzer)
  const sent = [...(await collect({})), ...(await collect({ staging: 'insert-all' }))]
  const { judged, wrong } = await judge(analyzer, sent)
  console.log(`${sent.length} texts sent, ${judged} different scripts, statements and conditions judged, ${wrong.length} wrong`)
  ok(judged > 100, 'most of it was judged')
  deepEqual(wrong, [])
} finally {
  analyzer.close()
}
