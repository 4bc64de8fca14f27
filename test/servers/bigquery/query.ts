import { bytesOf } from './billing.ts'
import { flushBuffers } from './buffers.ts'
import type { Context } from './context.ts'
import { bytesOfDml } from './dml-run.ts'
import { asApiError, invalidQuery } from './errors.ts'
import type { Job } from './jobs.ts'
import { integer, type Json, object, text } from './json.ts'
import { parametersOf } from './parameters.ts'
import { Script } from './script.ts'
import { isDml, renderDml } from './sql/dml.ts'
import { renderQuery } from './sql/render.ts'
import type { Environment } from './sql/scope.ts'
import { parseScript } from './sql/statements.ts'

/** The longest text of a query. */
const LONGEST = 1_024_000

/** Runs a query job: one statement, or a script of many. */
export async function runQuery(context: Context, job: Job): Promise<void> {
  const query = object(job.configuration.query)
  const sql = textOf(query)
  const parameters = parametersOf(query)
  const statements = parseScript(sql)
  await flushBuffers(context)
  const session = await context.duck.session()
  const interrupt = (): void => session.connection.interrupt()
  job.stop.signal.addEventListener('abort', interrupt)
  try {
    for (const { name, sql: value } of parameters) {
      await session.run(`SET VARIABLE ${variable('p', name)} = ${value}`)
    }
    const script = new Script(context, job, session, sql, parameters, {
      statement: integer(object(query.scriptOptions).statementByteBudget),
      job: integer(query.maximumBytesBilled),
      firstSelect: object(query.scriptOptions).keyResultStatement === 'FIRST_SELECT',
    })
    await script.run(statements)
  } catch (thrown) {
    throw job.stop.signal.aborted ? asApiError(job.stop.signal.reason) : thrown
  } finally {
    job.stop.signal.removeEventListener('abort', interrupt)
    session.close()
  }
}

/** What a query would read. It is parsed and translated, and not run. */
export async function dryRun(context: Context, body: Json): Promise<Json> {
  const configuration = object(body.configuration)
  const query = object(configuration.query)
  const sql = textOf(query)
  const parameters = parametersOf(query)
  const statements = parseScript(sql)
  const [first] = statements
  const single = statements.length === 1 ? first : undefined
  const { processed, type } = await context.duck.use(async session => {
    for (const { name, sql: value } of parameters) await session.run(`SET VARIABLE ${variable('p', name)} = ${value}`)
    const environment: Environment = {
      sql,
      project: context.project,
      catalogue: context.catalogue,
      variables: new Map(),
      parameters: new Map(parameters.map(({ name, type }) => [name.toLowerCase(), type])),
      rowCount: undefined,
      uses: [],
    }
    // Of a script nothing is known before its first condition is.
    if (single === undefined || (single.action.kind !== 'SELECT' && !isDml(single.action)))
      return { processed: 0, type: 'SCRIPT' }
    const { action } = single
    const dml = action.kind === 'SELECT' ? undefined : renderDml(action, environment)
    const translated = action.kind === 'SELECT' ? renderQuery(action.query, undefined, environment) : dml?.sql
    await session.query(`EXPLAIN ${translated}`)
    const bytes = dml === undefined ? await bytesOf(session, environment.uses) : await bytesOfDml(session, dml, environment.uses)
    return { processed: bytes.processed, type: action.kind }
  })
  const totalBytesProcessed = String(processed)
  return {
    kind: 'bigquery#job',
    configuration: { ...configuration, jobType: 'QUERY' },
    jobReference: { projectId: context.project, location: context.location },
    statistics: {
      creationTime: String(context.clock.now()),
      totalBytesProcessed,
      query: { totalBytesProcessed, totalBytesBilled: '0', cacheHit: false, statementType: type },
    },
    status: { state: 'DONE' },
  }
}

/** The name DuckDB keeps a script variable or a parameter under. */
export function variable(kind: 'p' | 'v', name: string): string {
  return `"${kind}_${name.toLowerCase()}"`
}

function textOf(query: Json): string {
  const sql = text(query.query)
  if (sql === undefined || sql.trim() === '') throw invalidQuery('Required parameter is missing: query')
  if (sql.length > LONGEST)
    throw invalidQuery(`The query is too large. The maximum standard SQL query length is ${LONGEST} characters`)
  return sql
}
