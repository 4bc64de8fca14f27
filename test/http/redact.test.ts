import fc from 'fast-check'
import t from 'tap'
import { HeadraceError, withoutCredentials } from '../../lib/errors.ts'
import type { JsonRequest } from '../../lib/http/client.ts'
import { excerpt } from '../../lib/http/redact.ts'
import { serializeError } from '../../lib/log.ts'
import { type Scripted, serve } from '../servers/http.ts'
import { openClient } from './setup.ts'

const PASSWORD = 'pässw0rd'
const SECRETS = {
  query: 'S3CRET/token+with=signs',
  short: 'K9x4',
  header: 'K3Y-of/this+client=',
  lower: 'onlyletters',
  body: 'B0DY&"secret"<',
  user: 'us3r:name',
  password: PASSWORD,
  basic: Buffer.from(`us3r-name:${PASSWORD}`).toString('base64'),
}

/** Everything a person or a machine gets to see of an error. */
function rendered(error: HeadraceError): string {
  return [error.message, error.hint, JSON.stringify(serializeError(error)), String(error.cause ?? '')].join('\n')
}

const html = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')

t.test('no credential that was sent appears in an error, however the API repeats it', async t => {
  const query = `?access_token=${encodeURIComponent(SECRETS.query)}&k=${SECRETS.short}&from=2026-01-01`
  const requests: Record<string, JsonRequest> = {
    bearer: { headers: { authorization: `Bearer ${SECRETS.header}`, 'x-key': SECRETS.lower } },
    basic: { headers: { authorization: `Basic ${SECRETS.basic}` } },
    authorize: { authorize: async () => ({ Authorization: `Bearer ${SECRETS.header}` }) },
    body: { method: 'POST', body: { client: { secret: SECRETS.body, list: [SECRETS.short] } } },
  }
  const all = Object.values(SECRETS).filter(secret => secret !== SECRETS.user)
  const echoes: Record<string, (url: string) => string> = {
    'the whole address': url => `bad request: ${url}`,
    'the path and query': url => `GET ${new URL(url).pathname + new URL(url).search} is wrong`,
    'an address in escaped JSON': url => JSON.stringify({ next: url }).replaceAll('/', '\\/'),
    'another address': () => `see https://u:${PASSWORD}@other.example/y?access_token=${SECRETS.query}`,
    'all that was sent': () => all.join(' and '),
    'in JSON, escaped': () => JSON.stringify(all).replaceAll('/', '\\/'),
    encoded: () => all.map(encodeURIComponent).join(' '),
    'in HTML': () => `<p>${all.map(html).join(' ')}</p>`,
    'under names of its own': () => JSON.stringify({ refresh_token: 'n3w-one', Set_Cookie: 'n3w-one', clientSecret: 'n3w-"one' }),
  }
  for (const [kind, request] of Object.entries(requests)) {
    // Only what this request carries can be known to be secret.
    const sent =
      {
        bearer: [SECRETS.header, SECRETS.lower],
        basic: [SECRETS.basic, PASSWORD],
        authorize: [SECRETS.header],
        body: [SECRETS.body],
      }[kind] ?? []
    const secrets = [...sent, SECRETS.query, SECRETS.short, 'n3w-one']
    for (const [name, echo] of Object.entries(echoes)) {
      for (const status of [200, 302, 400, 401, 410, 429, 500]) {
        const script: Scripted = ({ path, headers }) => ({
          status,
          headers: { location: `https://u:${PASSWORD}@login.example/login${query}#${SECRETS.query}`, 'retry-after': '3600' },
          body: `error: ${echo(`http://${headers.host}${path}`)}`,
        })
        const server = await serve(script)
        const client = openClient({ attempts: 1 })
        const classify: JsonRequest['classify'] = answer => (answer.status === 410 ? 'page-token-expired' : undefined)
        const error = await client.failure(`${server.url}/v1/x${query}`, { ...request, classify })
        await client.destroy()
        await server.close()
        if (!(error instanceof HeadraceError)) throw error
        const text = rendered(error)
        for (const secret of secrets.flatMap(one => [one, encodeURIComponent(one), html(one), JSON.stringify(one).slice(1, -1)]))
          t.notOk(text.includes(secret), `${kind}, ${status}, ${name}: ${secret} in ${text}`)
      }
    }
  }
})

t.test('what cannot be a credential may be repeated, so that an error says what is wrong', async t => {
  const url = new URL('https://api.example/v1?from=2026-01-01&limit=1000&fields=campaign.id,metrics.clicks')
  const sent = { url, headers: { accept: 'application/json', authorization: 'Bearer abc12345' }, body: '', authorization: {} }
  const text = 'from 2026-01-01 is too early, limit 1000 too many, campaign.id,metrics.clicks unknown, application/json wrong'
  t.equal(excerpt(text, {}, sent), text)
})

t.test('whatever text is sent as a credential, an answer that repeats it does not bring it into an error', async () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', minLength: 4 }), fc.string(), (secret, around) => {
      const sent = { url: new URL('https://api.example/'), headers: { 'x-api-key': secret }, body: '', authorization: {} }
      const told = excerpt(`${around} ${secret} ${around}`.replace(/\s+/g, ' '), {}, sent)
      const plain = secret.replaceAll('\\/', '/').replace(/\s+/g, ' ').trim()
      return plain.length < 4 || around.includes(plain) || !told.includes(plain) || /^…*$/.test(plain)
    }),
    { numRuns: 300, examples: [[' 𐀀 !', '']] },
  )
})

t.test('text of other code loses what may be a credential, and nothing else', async t => {
  const cases: [string, string][] = [
    ['GET https://u:p@api.example/v1?key=s#f failed', 'GET https://…@api.example/v1?… failed'],
    ['connect to postgres://u:p%40@db.example:5432/x?password=s', 'connect to postgres://…@db.example:5432/x?…'],
    ['401 for Authorization: Bearer eyJhbGci.x-y_z/+=, Basic dTpw', '401 for Authorization: Bearer …, Basic …'],
    ['see https://api.example/docs, or ask ops@example.com', 'see https://api.example/docs, or ask ops@example.com'],
  ]
  for (const [text, told] of cases) t.equal(withoutCredentials(text), told)
})
