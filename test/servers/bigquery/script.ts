import { type Bytes, bytesOf, mustAfford } from './billing.ts'
import type { Context } from './context.ts'
import { createTable, isDdl } from './ddl.ts'
import { runDml } from './dml-run.ts'
import type { Session } from './duck.ts'
import { type ApiError, invalidQuery } from './errors.ts'
import type { Job } from './jobs.ts'
import { compact, type Json } from './json.ts'
import type { Parameter } from './parameters.ts'
import { fetchResult, type ResultSet } from './results.ts'
import type { Action, Expr, Query, Statement } from './sql/ast.ts'
import { isDml, renderDml } from './sql/dml.ts'
import { renderExpr, renderQuery } from './sql/render.ts'
import { type Environment, Scope } from './sql/scope.ts'
import { position } from './sql/tokens.ts'
import { hasSubquery } from './sql/walk.ts'
import { failureOf, Transaction } from './transaction.ts'
import { duckType, type Type } from './types.ts'

/** What a script may cost, and which of its results is its own. */
export interface ScriptOptions {
  readonly statement: number | undefined
  readonly job: number | undefined
  readonly firstSelect: boolean
}

/** What became of one statement. */
interface Outcome {
  readonly type: string
  readonly bytes: Bytes
  readonly details?: Json
  readonly result?: ResultSet
}

const FREE: Bytes = { processed: 0, billed: 0 }

/** Runs the statements of one query job, on a connection of its own. */
export class Script {
  readonly #context: Context
  readonly #job: Job
  readonly #session: Session
  readonly #sql: string
  readonly #parameters: ReadonlyMap<string, Type>
  readonly #variables = new Map<string, Type>()
  readonly #options: ScriptOptions
  #transaction: Transaction | undefined
  #rowCount: number | undefined
  #isScript = false
  #billed = 0
  #processed = 0

  constructor(
    context: Context,
    job: Job,
    session: Session,
    sql: string,
    parameters: readonly Parameter[],
    options: ScriptOptions,
  ) {
    this.#context = context
    this.#job = job
    this.#session = session
    this.#sql = sql
    this.#parameters = new Map(parameters.map(({ name, type }) => [name.toLowerCase(), type]))
    this.#options = options
  }

  async run(statements: readonly Statement[]): Promise<void> {
    const [first] = statements
    this.#isScript = statements.length > 1 || (first !== undefined && !isPlain(first.action))
    try {
      await this.#all(statements)
    } finally {
      // Without COMMIT there was nothing.
      await this.#transaction?.end(false)
      const { details } = this.#job
      this.#job.details = {
        ...(this.#isScript ? { statementType: 'SCRIPT' } : details),
        totalBytesProcessed: String(this.#processed),
        totalBytesBilled: String(this.#billed),
        cacheHit: false,
      }
      this.#job.more = { ...this.#job.more, totalBytesProcessed: String(this.#processed) }
    }
  }

  async #all(statements: readonly Statement[]): Promise<void> {
    for (const statement of statements) await this.#one(statement)
  }

  async #one(statement: Statement): Promise<void> {
    const { action, at } = statement
    if (action.kind === 'IF') return await this.#if(action, at)
    if (action.kind === 'DECLARE') {
      for (const name of action.names) await this.#declare(name, action)
      return
    }
    await this.#context.onStatement?.({ jobId: this.#job.id, type: action.kind, sql: statement.text })
    this.#job.stop.signal.throwIfAborted()
    await this.#recorded(statement.text, at, action.kind === 'SET' ? 'EXPRESSION' : 'STATEMENT', () => this.#execute(action))
  }

  async #if({ branches, otherwise }: Extract<Action, { kind: 'IF' }>, at: number): Promise<void> {
    for (const { condition, text, body } of branches) {
      let holds = false
      await this.#recorded(text, at, 'EXPRESSION', async () => {
        const environment = this.#environment()
        // NULL is not true.
        const [row] = await this.#session.query(`SELECT (${renderExpr(condition, new Scope(environment))}) IS TRUE AS holds`)
        holds = row?.holds === true
        return { type: 'SELECT', bytes: await this.#bytes(environment) }
      })
      if (holds) return await this.#all(body)
    }
    await this.#all(otherwise)
  }

  /** Runs one thing as a job of its own, when there are several, and keeps what it cost. */
  async #recorded(
    text: string,
    at: number,
    evaluationKind: 'STATEMENT' | 'EXPRESSION',
    work: () => Promise<Outcome>,
  ): Promise<void> {
    const startedAt = this.#context.clock.now()
    const transactionInfo = this.#transaction === undefined ? undefined : { transactionId: this.#transaction.id }
    const child = (details: Json, bytes: Bytes, error?: ApiError): Job | undefined => {
      if (!this.#isScript) return undefined
      const all = {
        ...details,
        totalBytesProcessed: String(bytes.processed),
        totalBytesBilled: String(bytes.billed),
        cacheHit: false,
      }
      const more = compact({
        totalBytesProcessed: String(bytes.processed),
        scriptStatistics: { evaluationKind, stackFrames: [{ startLine: this.#line(at), text }] },
        transactionInfo,
      })
      return this.#context.jobs.child(this.#job, startedAt, all, more, text, error)
    }
    try {
      const { type, bytes, details = {}, result } = await work()
      this.#billed += bytes.billed
      this.#processed += bytes.processed
      if (!this.#isScript) this.#job.details = { statementType: type, ...details }
      const job = child({ statementType: type, ...details }, bytes)
      if (job !== undefined) job.result = result
      if (result !== undefined && !(this.#options.firstSelect && this.#job.result !== undefined)) this.#job.result = result
    } catch (thrown) {
      const error = this.#placed(failureOf(thrown), at)
      child({}, FREE, error)
      throw error
    }
  }

  async #execute(action: Action): Promise<Outcome> {
    if (isDml(action)) return await this.#dml(action)
    if (isDdl(action)) {
      if (this.#transaction !== undefined) throw invalidQuery(`DDL statements are not supported in a transaction: ${action.kind}`)
      await createTable(this.#context, action)
      return { type: action.kind, bytes: FREE }
    }
    switch (action.kind) {
      case 'SELECT': {
        const environment = this.#environment()
        const sql = renderQuery(action.query, undefined, environment)
        const bytes = await this.#bytes(environment)
        return { type: 'SELECT', bytes, result: await fetchResult(this.#session, sql) }
      }
      case 'SET':
        return await this.#set(action.names, action.value)
      case 'RAISE': {
        const [row] = await this.#session.query(`SELECT ${renderExpr(action.message, new Scope(this.#environment()))} AS message`)
        throw invalidQuery(String(row?.message ?? 'NULL'))
      }
      case 'ASSERT': {
        const environment = this.#environment()
        const [row] = await this.#session.query(
          `SELECT (${renderExpr(action.condition, new Scope(environment))}) IS TRUE AS holds`,
        )
        if (row?.holds !== true) throw invalidQuery(action.message ?? 'Assertion failed')
        return { type: 'ASSERT', bytes: await this.#bytes(environment) }
      }
      case 'BEGIN_TRANSACTION':
        if (this.#transaction !== undefined) throw invalidQuery('Nested transactions are not supported')
        this.#transaction = await Transaction.begin(this.#session, this.#context.claims)
        return { type: action.kind, bytes: FREE }
      case 'COMMIT_TRANSACTION':
      case 'ROLLBACK_TRANSACTION': {
        const transaction = this.#transaction
        if (transaction === undefined) throw invalidQuery('There is no active transaction')
        await transaction.end(action.kind === 'COMMIT_TRANSACTION')
        this.#transaction = undefined
        return { type: action.kind, bytes: FREE }
      }
      default:
        throw new Error(`${action.kind} has a place of its own`)
    }
  }

  async #dml(action: Parameters<typeof renderDml>[0]): Promise<Outcome> {
    const environment = this.#environment()
    const dml = renderDml(action, environment)
    const { bytes, details, rows } = await runDml(this.#context, this.#session, dml, environment.uses, {
      transaction: this.#transaction,
      signal: this.#job.stop.signal,
      afford: cost => this.#mustAfford(cost),
    })
    this.#rowCount = rows
    return { type: dml.kind, bytes, details }
  }

  async #declare(name: string, { type, value }: Extract<Action, { kind: 'DECLARE' }>): Promise<void> {
    if (type === undefined) throw new Error('a variable without a type')
    if (this.#variables.has(name.toLowerCase())) throw invalidQuery(`Variable '${name}' redeclaration is not allowed`)
    const sql = value === undefined ? 'NULL' : renderExpr(value, new Scope(this.#environment()))
    this.#variables.set(name.toLowerCase(), type)
    await this.#assign(name, sql)
  }

  async #set(names: readonly string[], value: Expr): Promise<Outcome> {
    for (const name of names) if (!this.#variables.has(name.toLowerCase())) throw invalidQuery(`Undeclared variable: ${name}`)
    const environment = this.#environment()
    const [only] = names
    if (names.length === 1 && only !== undefined) {
      await this.#assign(only, renderExpr(value, new Scope(environment)))
    } else {
      if (value.kind !== 'subquery' || value.how !== 'scalar')
        throw invalidQuery('SET of several variables from this is not known to this local server')
      await this.#session.run(`SET VARIABLE _tuple = ${tuple(value.query, names.length, environment)}`)
      for (const [index, name] of names.entries()) await this.#assign(name, `getvariable('_tuple').c${index}`)
    }
    return { type: 'SELECT', bytes: hasSubquery(value) ? await this.#bytes(environment) : FREE }
  }

  async #assign(name: string, sql: string): Promise<void> {
    const type = duckType(this.#variables.get(name.toLowerCase()) ?? 'STRING')
    await this.#session.run(`SET VARIABLE "v_${name.toLowerCase()}" = CAST(${sql} AS ${type})`)
  }

  #environment(): Environment {
    const { project, catalogue } = this.#context
    return {
      sql: this.#sql,
      project,
      catalogue,
      variables: this.#variables,
      parameters: this.#parameters,
      rowCount: this.#rowCount,
      uses: [],
    }
  }

  async #bytes({ uses }: Environment): Promise<Bytes> {
    const bytes = await bytesOf(this.#session, uses)
    this.#mustAfford(bytes)
    return bytes
  }

  #mustAfford(bytes: Bytes): void {
    mustAfford(bytes.billed, this.#options.statement)
    mustAfford(bytes.billed + this.#billed, this.#options.job)
  }

  #line(at: number): number {
    return this.#sql.slice(0, at).split('\n').length
  }

  /** An error of a script says which of its statements it is of. */
  #placed(error: ApiError, at: number): ApiError {
    if (!this.#isScript || error.reason !== 'invalidQuery') return error
    const place = / at \[\d+:\d+\]$/.test(error.message) ? '' : ` at ${position(this.#sql, at)}`
    return invalidQuery(`Query error: ${error.message}${place}`)
  }
}

/** The columns of the one row of a query as a struct, by their place. */
function tuple(query: Query, count: number, environment: Environment): string {
  const names = Array.from({ length: count }, (_, index) => `c${index}`)
  const struct = names.map(name => `${name}: ${name}`).join(', ')
  return `(SELECT {${struct}} FROM (${renderQuery(query, undefined, environment)}) AS _t(${names.join(', ')}))`
}

function isPlain(action: Action): boolean {
  return action.kind === 'SELECT' || isDml(action) || isDdl(action)
}
