import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import t from 'tap'
import { sqlite } from '../../lib/ledger/sqlite.ts'
import { Seal } from '../../lib/oauth/seal.ts'
import { rekey } from '../../lib/standing/grants.ts'

const [OLD = '', NEW = '', LOST = ''] = [1, 2, 3].map(() => randomBytes(32).toString('base64'))

t.test('all grants are encrypted anew, and what cannot be read stays as it is', async t => {
  const ledger = sqlite({ path: join(t.testdir(), 'ledger.sqlite') })
  t.teardown(() => ledger.close())
  const put = (name: string, key: string, sealedFor = name): Promise<void> =>
    ledger.putGrant(name, {
      sealed: new Seal(key).seal(sealedFor, `token of ${name}`),
      obtainedAt: 1,
      expiresAt: null,
      renewAt: null,
      refreshExpiresAt: null,
    })
  await put('books/acme', OLD)
  await put('books/globex', NEW)
  await put('books/initech', LOST)
  await put('books/stark', OLD, 'books/acme')
  await ledger.claimGrant('books/new', 0, 1_000)
  const both = new Seal(`${NEW},${OLD}`)
  const left = { unreadable: ['books/initech', 'books/stark'] }
  t.strictSame(await rekey(ledger, both), { ...left, rekeyed: ['books/acme'], current: ['books/globex', 'books/new'] })
  t.strictSame(await rekey(ledger, both), { ...left, rekeyed: [], current: ['books/acme', 'books/globex', 'books/new'] })
  for (const name of ['books/acme', 'books/globex']) {
    t.equal(new Seal(NEW).open(name, (await ledger.grant(name))?.tokens?.sealed ?? ''), `token of ${name}`)
  }
  t.equal(
    new Seal(LOST).open('books/initech', (await ledger.grant('books/initech'))?.tokens?.sealed ?? ''),
    'token of books/initech',
  )
})

t.test('tokens that are renewed meanwhile are not overwritten', async t => {
  const ledger = sqlite({ path: join(t.testdir(), 'ledger.sqlite') })
  t.teardown(() => ledger.close())
  const both = new Seal(`${NEW},${OLD}`)
  const tokens = (key: string, text: string) => ({
    sealed: new Seal(key).seal('books/acme', text),
    obtainedAt: 1,
    expiresAt: null,
    renewAt: null,
    refreshExpiresAt: null,
  })
  await ledger.putGrant('books/acme', tokens(OLD, 'first'))
  const { generation = 0 } = (await ledger.grant('books/acme')) ?? {}
  // Somebody with the old configuration renews between the look and the exchange.
  const racing = {
    ...ledger,
    rekeyGrant: async (...args: Parameters<typeof ledger.rekeyGrant>) => {
      await ledger.renewGrant('books/acme', generation, tokens(OLD, 'second'))
      return ledger.rekeyGrant(...args)
    },
  }
  t.match(await rekey(racing, both), { rekeyed: ['books/acme'] })
  t.equal(new Seal(NEW).open('books/acme', (await ledger.grant('books/acme'))?.tokens?.sealed ?? ''), 'second')
})
