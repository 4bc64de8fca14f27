import { randomBytes } from 'node:crypto'
import t from 'tap'
import { Seal } from '../../lib/oauth/seal.ts'

const KEYS = [1, 2].map(() => randomBytes(32).toString('base64'))
const [KEY = '', OTHER = ''] = KEYS

t.test('what is sealed for a grant can be opened for that grant alone', async t => {
  const seal = new Seal(KEY)
  const sealed = seal.seal('books/acme', 'refresh-secret')
  t.notMatch(Buffer.from(sealed, 'base64').toString('latin1') + sealed, 'refresh-secret')
  t.equal(seal.open('books/acme', sealed), 'refresh-secret')
  t.throws(() => seal.open('books/globex', sealed), {
    code: 'GRANT_UNREADABLE',
    message: /books\/globex.*belongs to another grant/,
  })
  t.not(seal.seal('books/acme', 'refresh-secret'), sealed, 'no two are alike')
})

t.test('a changed byte is noticed, wherever it is', async t => {
  const seal = new Seal(KEY)
  const [version, id, body = ''] = seal.seal('books/acme', 'x').split('.')
  const bytes = Buffer.from(body, 'base64')
  for (const index of bytes.keys()) {
    const changed = Buffer.from(bytes)
    changed[index] = (changed[index] ?? 0) ^ 1
    t.throws(() => seal.open('books/acme', [version, id, changed.toString('base64')].join('.')), { code: 'GRANT_UNREADABLE' })
  }
  for (const sealed of ['', 'x', `v1.${id}.`, `v1.${id}.AAAA`, `v2.${id}.${body}`]) {
    t.throws(() => seal.open('books/acme', sealed), { code: 'GRANT_UNREADABLE' }, sealed)
  }
})

t.test('an older key still opens, the newest seals, and a key that is gone is named', async t => {
  const before = new Seal(OTHER).seal('books/acme', 'x')
  const rotated = new Seal(`${KEY},${OTHER}`)
  t.equal(rotated.open('books/acme', before), 'x')
  t.equal(rotated.keyOf(before), 'older')
  const after = rotated.seal('books/acme', 'x')
  t.equal(rotated.keyOf(after), 'newest')
  t.equal(new Seal(KEY).open('books/acme', after), 'x')
  t.equal(new Seal(KEY).keyOf(before), 'unknown')
  t.throws(() => new Seal(KEY).open('books/acme', before), {
    code: 'GRANT_UNREADABLE',
    message: /which is not in HEADRACE_GRANT_KEY/,
  })
})

t.test('a key that is none is refused, and not repeated', async t => {
  const short = randomBytes(16).toString('base64')
  for (const [text, problem] of [
    [undefined, 'is not set'],
    [' ', 'is not set'],
    ['correct horse battery staple', 'is not 32 bytes in base64 (key 1 of 4)'],
    [short, 'is not 32 bytes in base64'],
    [`${KEY},${short}`, 'is not 32 bytes in base64 (key 2 of 2)'],
    [`${KEY},${KEY}`, 'names the same key twice'],
  ] as const) {
    t.throws(
      () => new Seal(text),
      { code: 'GRANT_KEY_INVALID', message: `the environment variable HEADRACE_GRANT_KEY ${problem}` },
      problem,
    )
  }
})
