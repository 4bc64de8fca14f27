import t from 'tap'
import { WAREHOUSE_CASES } from '../../lib/testing/warehouse.ts'
import { openDuckDB } from './hosts.ts'

for (const { title, run } of WAREHOUSE_CASES) {
  t.test(`DuckDB: ${title}`, () => run(openDuckDB))
}
