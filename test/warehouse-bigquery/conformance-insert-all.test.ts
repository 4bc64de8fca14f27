import t from 'tap'
import { WAREHOUSE_CASES } from '../../lib/testing/warehouse.ts'
import { openBigQuery } from './hosts.ts'

// Many commits, each a script of some twenty statements.
t.setTimeout(120_000)

for (const { title, run } of WAREHOUSE_CASES) {
  t.test(`BigQuery, staged by insertAll: ${title}`, () => run(() => openBigQuery({ staging: 'insert-all' })))
}
