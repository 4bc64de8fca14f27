import { createSign, randomUUID } from 'node:crypto'
import * as oauth4webapi from 'oauth4webapi'
import { ConfigError } from '../errors.ts'
import { accountOf, addressOf, isLoopback, type OAuth, type ServiceAccount, settingOf } from './oauth.ts'
import { NotSent, post, type Wire } from './wire.ts'

/** What a token server gave. Durations in seconds; null for what it did not say. */
export interface TokenSet {
  readonly accessToken: string
  readonly refreshToken: string | null
  readonly expiresIn: number | null
  readonly refreshExpiresIn: number | null
}

/** How a request for tokens ends, as the metrics count it. */
export const TOKEN_OUTCOMES = [
  'granted',
  'refused',
  'client-refused',
  'failed',
  'lost',
] as const satisfies readonly TokenAnswer['outcome'][]

/**
 * What became of a request for tokens. `refused`: this grant is over. `client-refused`: the application itself is not let in. `failed`: the
 * server did nothing, and may do it later. `lost`: nobody knows whether it did. `problem` is a sentence without secrets.
 */
export type TokenAnswer =
  | { readonly outcome: 'granted'; readonly tokens: TokenSet }
  | { readonly outcome: 'client-refused' | 'lost'; readonly problem: string }
  | { readonly outcome: 'refused'; readonly problem: string; readonly skewMs: number }
  | { readonly outcome: 'failed'; readonly problem: string; readonly waitMs: number }

/** How a request of the library goes out: the server, the application, its proof, and the wire. */
export interface Parties {
  readonly server: oauth4webapi.AuthorizationServer
  readonly client: oauth4webapi.Client
  readonly proof: oauth4webapi.ClientAuth
  readonly options: oauth4webapi.TokenEndpointRequestOptions
}

/** Errors by which a token server says that a grant is over; the last is GitHub's name for it. */
const OVER: ReadonlySet<string> = new Set(['invalid_grant', 'interaction_required', 'consent_required', 'bad_refresh_token'])

/** Errors by which it says that it may work later. */
const LATER: ReadonlySet<string> = new Set(['temporarily_unavailable', 'server_error', 'slow_down'])

/** Seconds that an assertion is valid, and how far into the past it begins, for servers whose clock is behind. */
const ASSERTION = { seconds: 300, back: 30 }

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'

/** Who talks to whom about a grant. Throws `CONFIG_INVALID` when a setting is missing. */
export function partiesOf(auth: OAuth, grant: string, wire: Wire): Parties {
  const account = accountOf(grant)
  const url = addressOf(auth, auth.tokenUrl, account)
  const device =
    auth.flow === 'refresh token' && auth.deviceUrl !== undefined ? addressOf(auth, auth.deviceUrl, account) : undefined
  return {
    server: {
      issuer: url.origin,
      token_endpoint: url.href,
      ...(device === undefined ? {} : { device_authorization_endpoint: device.href }),
    },
    client: { client_id: auth.flow === 'service account' ? 'unused' : settingOf(auth, 'clientId', auth.clientId) },
    proof: proofOf(auth),
    options: {
      [oauth4webapi.customFetch]: (address, { body, headers }) => post(address, body.toString(), headers, wire),
      [oauth4webapi.allowInsecureRequests]: isLoopback(url),
      additionalParameters: { ...auth.parameters },
    },
  }
}

function proofOf(auth: OAuth): oauth4webapi.ClientAuth {
  // What an assertion proves needs no other proof.
  if (auth.flow === 'service account') return () => undefined
  if (auth.clientSecret === undefined) return oauth4webapi.None()
  const secret = settingOf(auth, 'clientSecret', auth.clientSecret)
  return auth.clientAuthentication === 'post' ? oauth4webapi.ClientSecretPost(secret) : basic(secret)
}

/**
 * Id and secret in the header, encoded as RFC 6749, section 2.3.1, demands, but nothing that need not be: the library would write `-` as `%2D`, and
 * a server that does not decode would see another secret.
 */
function basic(secret: string): oauth4webapi.ClientAuth {
  return (_server, { client_id: id }, _body, headers) => {
    const pair = [id, secret].map(text => encodeURIComponent(text).replaceAll('%20', '+')).join(':')
    headers.set('authorization', `Basic ${Buffer.from(pair).toString('base64')}`)
  }
}

/** Asks once for tokens. There is no second try here: what a lost answer means is for others to decide. */
export async function requestTokens(auth: OAuth, grant: string, refreshToken: string | null, wire: Wire): Promise<TokenAnswer> {
  const parties = partiesOf(auth, grant, wire)
  const { server, client, proof, options } = parties
  switch (auth.flow) {
    // Without the scope: it is that of the consent.
    case 'refresh token':
      return answerTo(parties, () => oauth4webapi.refreshTokenGrantRequest(server, client, proof, refreshToken ?? '', options))
    case 'client credentials':
      return answerTo(parties, () =>
        oauth4webapi.clientCredentialsGrantRequest(server, client, proof, parametersOf(auth), options),
      )
    case 'service account': {
      const ask = (now: number): Promise<TokenAnswer> =>
        answerTo(parties, () => {
          const parameters = { ...parametersOf(auth), assertion: assertionOf(auth, grant, now) }
          return oauth4webapi.genericTokenEndpointRequest(server, client, proof, JWT_BEARER, parameters, options)
        })
      const answer = await ask(wire.now())
      // An assertion is dated; a server whose clock differs gets one that is dated by its clock.
      return answer.outcome === 'refused' && Math.abs(answer.skewMs) > 1_000 * ASSERTION.back
        ? ask(wire.now() + answer.skewMs)
        : answer
    }
  }
}

/** Sends a request and says what its answer means. */
export async function answerTo({ server, client }: Parties, send: () => Promise<Response>): Promise<TokenAnswer> {
  try {
    const response = await send()
    const tokens = await oauth4webapi.processGenericTokenEndpointResponse(server, client, response)
    return {
      outcome: 'granted',
      tokens: {
        accessToken: tokens.access_token,
        refreshToken: tokens.refresh_token ?? null,
        expiresIn: tokens.expires_in ?? null,
        refreshExpiresIn: secondsOf(tokens.refresh_token_expires_in ?? tokens.x_refresh_token_expires_in),
      },
    }
  } catch (error) {
    if (error instanceof NotSent) return { outcome: 'failed', problem: error.message, waitMs: 0 }
    if (error instanceof oauth4webapi.ResponseBodyError) return refusal(error)
    if (error instanceof ConfigError || !(error instanceof Error)) throw error
    return { outcome: 'lost', problem: error.message }
  }
}

function refusal({ error, error_description: description, cause }: oauth4webapi.ResponseBodyError): TokenAnswer {
  const status = Number(cause.status)
  const problem = `it answered ${status}: ${error}${description === undefined ? '' : ` (${description})`}`
  if (OVER.has(error)) return { outcome: 'refused', problem, skewMs: Number(cause.skew_ms ?? 0) }
  if (LATER.has(error) || [408, 425, 429, 503].includes(status)) {
    return { outcome: 'failed', problem, waitMs: Number(cause.wait_ms ?? 0) }
  }
  // A gateway that gave up does not know what the server behind it did.
  return { outcome: status >= 500 ? 'lost' : 'client-refused', problem }
}

function parametersOf({ parameters, scope }: OAuth): Record<string, string> {
  return { ...parameters, ...(scope === undefined ? {} : { scope }) }
}

/** A duration that is one: some servers write 0 where there is no end. */
function secondsOf(value: unknown): number | null {
  return typeof value === 'number' && value > 0 ? value : null
}

interface ServiceAccountKey {
  readonly client_email: string
  readonly private_key: string
  readonly private_key_id?: string
}

/** The assertion of RFC 7523: a JWT signed with RS256. */
function assertionOf(auth: ServiceAccount, grant: string, now: number): string {
  const account = accountOf(grant)
  const { client_email, private_key, private_key_id } = keyOf(auth)
  const iat = Math.floor(now / 1_000) - ASSERTION.back
  const claims = {
    iss: client_email,
    sub: auth.subject?.(account) ?? client_email,
    aud: addressOf(auth, auth.tokenUrl, account).href,
    scope: auth.scope,
    iat,
    exp: iat + ASSERTION.back + ASSERTION.seconds,
    jti: randomUUID(),
  }
  const parts = [{ alg: 'RS256', typ: 'JWT', kid: private_key_id }, claims]
  const signed = parts.map(part => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  try {
    return `${signed}.${createSign('RSA-SHA256').update(signed).sign(private_key, 'base64url')}`
  } catch {
    throw unusable(auth, 'private_key is not an RSA key in PEM')
  }
}

function keyOf(auth: ServiceAccount): ServiceAccountKey {
  let key: Partial<ServiceAccountKey> | null
  try {
    key = JSON.parse(settingOf(auth, 'key', auth.key))
  } catch (error) {
    if (error instanceof ConfigError) throw error
    throw unusable(auth, 'it is not JSON')
  }
  const { client_email, private_key, private_key_id } = key ?? {}
  if (typeof client_email !== 'string' || typeof private_key !== 'string') {
    throw unusable(auth, 'it has no client_email or no private_key')
  }
  return { client_email, private_key, ...(private_key_id === undefined ? {} : { private_key_id }) }
}

function unusable({ provider }: ServiceAccount, why: string): ConfigError {
  return new ConfigError('CONFIG_INVALID', {
    message: `OAuth provider ${provider}: the key of the service account cannot be used: ${why}`,
    hint: 'Take the JSON file as the provider hands it out. Nothing was sent.',
  })
}
