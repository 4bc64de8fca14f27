import t from 'tap'
import { LEDGER_CASES } from '../../lib/testing/ledger.ts'
import { host } from './kit.ts'

for (const { title, run } of LEDGER_CASES) {
  t.test(title, async t => {
    await run(now => host(t, now))
    t.pass()
  })
}
