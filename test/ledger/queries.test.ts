import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { LEDGER_CASES } from '../../lib/testing/ledger.ts'
import { host } from './kit.ts'

/**
 * A ledger keeps years. What is asked of it all day long, by a daemon that does nothing else meanwhile, must not take longer with every day that it
 * has kept: no statement reads a table that grows from one end to the other.
 */

/** Tables with a row for every run, chunk, attempt, occasion or day. */
const GROWING = ['run', 'chunk', 'attempt', 'occasion', 'day', 'restatement', 'operator_action']

/** What the ledger prepares, and how SQLite goes about it. */
const plans = new Map<string, readonly string[]>()
/** Indexes of a part of a table, which hold what is not over. */
let partial: ReadonlySet<string> = new Set()

/** Notes every statement that is prepared, as long as the case itself asks nothing. */
function watch(): { pause<T>(ask: () => T): T } {
  let paused = false
  const prepare = DatabaseSync.prototype.prepare
  t.teardown(() => {
    DatabaseSync.prototype.prepare = prepare
  })
  DatabaseSync.prototype.prepare = function (sql) {
    const statement = prepare.call(this, sql)
    if (!paused && !plans.has(sql) && /^(SELECT|UPDATE|DELETE|INSERT|WITH)/.test(sql)) {
      const steps = prepare.call(this, `EXPLAIN QUERY PLAN ${sql}`).all()
      plans.set(
        sql,
        steps.map(({ detail }) => String(detail)),
      )
      const indexes = prepare.call(this, "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql LIKE '% WHERE %'").all()
      partial = new Set(indexes.map(({ name }) => String(name)))
    }
    return statement
  }
  return {
    pause: ask => {
      paused = true
      try {
        return ask()
      } finally {
        paused = false
      }
    },
  }
}

/** The steps of a plan that read a growing table whole. */
function wholeReads(sql: string, steps: readonly string[]): string[] {
  const sorts = steps.some(step => step.includes('TEMP B-TREE FOR ORDER BY'))
  return steps.filter(step => {
    const [, alias, index] = /^SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?/.exec(step) ?? []
    if (alias === undefined) return false
    const table = GROWING.find(name => name === alias || new RegExp(`\\b${name}(?: AS)? ${alias}\\b`).test(sql))
    // In the order of an index, a limit ends it early; later, where what a person asks for is rare.
    const ends = index !== undefined && (partial.has(index) || (!sorts && / LIMIT \?$/.test(sql)))
    return table !== undefined && !ends
  })
}

t.test('no statement reads a table whole that grows for years', async t => {
  const { pause } = watch()
  for (const { run } of LEDGER_CASES) {
    await run(async now => {
      const { sql, ...rest } = await host(t, now)
      return { ...rest, sql: (text, ...values) => pause(() => sql(text, ...values)) }
    })
  }
  t.ok(plans.size > 100, 'the cases ask for everything')
  for (const [sql, steps] of plans) t.strictSame(wholeReads(sql, steps), [], sql)
})
