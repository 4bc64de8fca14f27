import t from 'tap'
import { postgres } from '../../lib/ledger/postgres.ts'

const SECRET = 'pa55word'

t.test('an address that is none of PostgreSQL is refused before anything is done, and not repeated', async t => {
  for (const url of [
    '',
    'ledger.sqlite',
    `mysql://user:${SECRET}@host/db`,
    `postgres://user:${SECRET}/x@host/db`,
    `postgres://user:55/${SECRET}@host/db`,
    `https://user:${SECRET}@host/db`,
  ]) {
    t.throws(
      () => postgres({ url }),
      { code: 'CONFIG_INVALID', message: /not one of PostgreSQL/, hint: /percent-encoded/ },
      url.slice(0, 5),
    )
    try {
      postgres({ url })
    } catch (error) {
      t.notMatch(String(error), SECRET)
    }
  }
})

t.test('a schema is a plain name', async t => {
  for (const schema of ['', 'Upper', 'a b', 'a"; DROP', '1a', 'x'.repeat(64)]) {
    t.throws(() => postgres({ url: 'postgres://host/db', schema }), { code: 'CONFIG_INVALID' }, schema)
  }
})
