import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import Provider from 'oidc-provider'

/** The refresh tokens of this server still work for so many seconds after they were used; 0 is strict: a second use ends the whole grant. */
const GRACE = Number(process.argv[2] ?? 0)

const CLIENT = 'headrace'
const SCOPE = 'openid offline_access'

type Payload = Record<string, unknown>
const store = new Map<string, Payload>()

/** Everything in memory. A used token counts as used only after the grace. */
class Adapter {
  readonly #model: string

  constructor(model: string) {
    this.#model = model
  }

  async upsert(id: string, payload: Payload): Promise<void> {
    store.set(`${this.#model} ${id}`, payload)
  }

  async find(id: string): Promise<Payload | undefined> {
    const payload = store.get(`${this.#model} ${id}`)
    if (payload === undefined) return undefined
    const { consumed, ...rest } = payload
    return typeof consumed === 'number' && consumed + GRACE <= Date.now() / 1_000 ? payload : rest
  }

  async #by(field: string, value: string): Promise<Payload | undefined> {
    return [...store].find(([key, payload]) => key.startsWith(`${this.#model} `) && payload[field] === value)?.[1]
  }

  findByUid(uid: string): Promise<Payload | undefined> {
    return this.#by('uid', uid)
  }

  findByUserCode(userCode: string): Promise<Payload | undefined> {
    return this.#by('userCode', userCode)
  }

  async consume(id: string): Promise<void> {
    const payload = store.get(`${this.#model} ${id}`)
    if (payload !== undefined) payload.consumed = Date.now() / 1_000
  }

  async destroy(id: string): Promise<void> {
    store.delete(`${this.#model} ${id}`)
  }

  async revokeByGrantId(grantId: string): Promise<void> {
    for (const [key, payload] of store) if (payload.grantId === grantId) store.delete(key)
  }
}

const server = createServer().listen(0, '127.0.0.1')
await once(server, 'listening')
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

const provider = new Provider(url, {
  adapter: Adapter,
  clients: [
    {
      client_id: CLIENT,
      client_secret: 'planted-client-secret',
      grant_types: ['authorization_code', 'refresh_token', 'client_credentials', 'urn:ietf:params:oauth:grant-type:device_code'],
      application_type: 'native',
      redirect_uris: ['http://127.0.0.1/callback'],
      token_endpoint_auth_method: 'client_secret_basic',
    },
  ],
  cookies: { keys: ['tests'] },
  features: { deviceFlow: { enabled: true }, clientCredentials: { enabled: true }, devInteractions: { enabled: true } },
  findAccount: (_ctx: unknown, id: string) => ({ accountId: id, claims: async () => ({ sub: id }) }),
  rotateRefreshToken: true,
  ttl: { AccessToken: 3600, ClientCredentials: 3600, RefreshToken: 86_400, Grant: 86_400, Session: 600, Interaction: 600 },
  pkce: { required: () => true },
})

const counts = { granted: 0, refused: 0, revoked: 0 }
provider.on('grant.success', () => counts.granted++)
provider.on('grant.error', () => counts.refused++)
provider.on('grant.revoked', () => counts.revoked++)

/** A refresh token that some account has consented to, without a browser. */
async function issue(): Promise<string> {
  const grant = new provider.Grant({ accountId: 'acme', clientId: CLIENT })
  grant.addOIDCScope(SCOPE)
  const grantId = await grant.save()
  const client = await provider.Client.find(CLIENT)
  return new provider.RefreshToken({
    accountId: 'acme',
    client,
    grantId,
    gty: 'authorization_code',
    scope: SCOPE,
    authTime: Math.floor(Date.now() / 1_000),
  }).save()
}

/** What the tests ask it for, beside what every token server has. */
const CONTROLS: Readonly<Record<string, (query: URLSearchParams) => Promise<unknown>>> = {
  '/control/issue': issue,
  '/control/counts': async () => counts,
  '/control/valid': async query => (await provider.AccessToken.find(query.get('token') ?? '')) !== undefined,
  '/control/expire': async query => store.delete(`AccessToken ${query.get('token')}`),
}

const answer = provider.callback()
server.on('request', async (request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? '/', url)
  const control = CONTROLS[pathname]
  if (control === undefined) answer(request, response)
  else response.end(JSON.stringify(await control(searchParams)))
})
console.log(url)
