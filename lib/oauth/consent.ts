import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import * as oauth4webapi from 'oauth4webapi'
import { ConfigError, HeadraceError, TransientError } from '../errors.ts'
import { accountOf, addressOf, type OAuthAddress, type RefreshToken } from './oauth.ts'
import { answerTo, partiesOf, type TokenAnswer, type TokenSet } from './request.ts'
import type { Wire } from './wire.ts'

/** What a consent needs of its surroundings. */
export interface ConsentHost extends Wire {
  /** Shows a person where to go, and what to enter there if there is something. */
  show(address: string, code: string | undefined): void
  /** Ends the wait. */
  readonly signal: AbortSignal
}

/** How long somebody may take in the browser. */
const PATIENCE_MS = 600_000

/** How long a device waits between two questions, unless told otherwise (RFC 8628, section 3.5). */
const INTERVAL_S = 5

/**
 * Has somebody consent, and returns the tokens that come of it: by device where the provider has an address for that, otherwise in a browser of
 * this machine. Throws `CONSENT_FAILED`, `OAUTH_CLIENT_REFUSED` or `TOKEN_UNAVAILABLE`.
 */
export async function consent(auth: RefreshToken, grant: string, host: ConsentHost): Promise<TokenSet> {
  const answer = await (auth.deviceUrl !== undefined
    ? byDevice(auth, grant, host)
    : byBrowser(auth, grant, auth.authorizeUrl, host))
  if (answer.outcome === 'granted') {
    if (answer.tokens.refreshToken !== null) return answer.tokens
    throw failed(
      grant,
      'the provider gave an access token, but no refresh token',
      'Ask for it in `scope` (offline_access) or `authorizeParameters` (access_type=offline), as the provider demands.',
    )
  }
  throw failed(grant, `the token server gave no tokens: ${answer.problem}`)
}

async function byDevice(auth: RefreshToken, grant: string, host: ConsentHost): Promise<TokenAnswer> {
  const parties = partiesOf(auth, grant, host)
  const { server, client, proof, options } = parties
  const scope: Record<string, string> = auth.scope === undefined ? {} : { scope: auth.scope }
  const device = await begin(grant, async () =>
    oauth4webapi.processDeviceAuthorizationResponse(
      server,
      client,
      await oauth4webapi.deviceAuthorizationRequest(server, client, proof, scope, options),
    ),
  )
  host.show(device.verification_uri_complete ?? device.verification_uri, device.user_code)
  const end = host.now() + device.expires_in * 1_000
  for (let interval = device.interval ?? INTERVAL_S; host.now() < end; ) {
    await host.sleep(interval * 1_000, host.signal)
    const answer = await answerTo(parties, () =>
      oauth4webapi.deviceCodeGrantRequest(server, client, proof, device.device_code, options),
    )
    if (answer.outcome === 'granted') return answer
    if (answer.outcome === 'failed' && answer.problem.includes('slow_down')) interval += INTERVAL_S
    // A lost answer is no end either: the device code is still good.
    const waiting = answer.outcome === 'failed' || answer.outcome === 'lost' || answer.problem.includes('authorization_pending')
    if (!waiting) return answer
  }
  throw failed(grant, `nobody consented within ${Math.round(device.expires_in / 60)} minutes`)
}

async function byBrowser(
  auth: RefreshToken,
  grant: string,
  authorizeUrl: OAuthAddress | undefined,
  host: ConsentHost,
): Promise<TokenAnswer> {
  if (authorizeUrl === undefined) {
    throw failed(
      grant,
      'the configuration names neither deviceUrl nor authorizeUrl of the provider',
      'Add one of them, or bring a refresh token with `headrace grants import`.',
    )
  }
  const parties = partiesOf(auth, grant, host)
  const { server, client, proof, options } = parties
  const verifier = oauth4webapi.generateRandomCodeVerifier()
  const state = oauth4webapi.generateRandomState()
  const listener = await listen(grant, auth.redirectUrl, state)
  try {
    const address = addressOf(auth, authorizeUrl, accountOf(grant))
    const parameters = {
      ...auth.authorizeParameters,
      response_type: 'code',
      client_id: client.client_id,
      redirect_uri: listener.redirectUrl,
      ...(auth.scope === undefined ? {} : { scope: auth.scope }),
      state,
      code_challenge: await oauth4webapi.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    }
    for (const [name, value] of Object.entries(parameters)) address.searchParams.set(name, value)
    host.show(address.href, undefined)
    const came = await withinPatience(listener.answer, grant, host)
    // Whose answer it is follows from the state; the name of the issuer is not known here.
    came.delete('iss')
    const validated = await begin(grant, async () => oauth4webapi.validateAuthResponse(server, client, came, state))
    return await answerTo(parties, () =>
      oauth4webapi.authorizationCodeGrantRequest(server, client, proof, validated, listener.redirectUrl, verifier, options),
    )
  } finally {
    listener.close()
  }
}

/** Waits on this machine for the browser to come back. Whoever comes without the right state is sent away, and the wait goes on. */
async function listen(
  grant: string,
  declared: string | undefined,
  state: string,
): Promise<{ readonly redirectUrl: string; readonly answer: Promise<URLSearchParams>; close(): void }> {
  const redirect = new URL(declared ?? 'http://127.0.0.1/callback')
  const { promise: answer, resolve } = Promise.withResolvers<URLSearchParams>()
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', redirect)
    const ours = pathname === redirect.pathname && searchParams.get('state') === state
    response.writeHead(ours ? 200 : 404, { 'content-type': 'text/plain', connection: 'close' })
    response.end(ours ? 'Back to headrace; this window can be closed.\n' : 'Nothing here.\n')
    if (ours) resolve(searchParams)
  })
  server.listen(Number(redirect.port), redirect.hostname.replace(/[[\]]/g, ''))
  try {
    await once(server, 'listening')
  } catch (error) {
    throw failed(grant, `${redirect.host} cannot be listened at: ${error instanceof Error ? error.message : error}`)
  }
  if (declared === undefined) redirect.port = String((server.address() as AddressInfo).port)
  return { redirectUrl: redirect.href, answer, close: () => server.close() }
}

async function withinPatience<T>(work: Promise<T>, grant: string, { sleep, signal }: ConsentHost): Promise<T> {
  const came = new AbortController()
  const waiting = AbortSignal.any([signal, came.signal])
  const late = sleep(PATIENCE_MS, waiting).then(() => {
    throw failed(grant, `nobody consented within ${PATIENCE_MS / 60_000} minutes`)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    came.abort()
    late.catch(() => undefined)
  }
}

/** A step before there are tokens: what goes wrong ends the consent. */
async function begin<T>(grant: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step()
  } catch (error) {
    if (error instanceof HeadraceError) throw error
    if (error instanceof oauth4webapi.ResponseBodyError)
      throw failed(grant, `the provider answered ${error.cause.status}: ${error.error}`)
    if (error instanceof oauth4webapi.AuthorizationResponseError) throw failed(grant, `the provider says ${error.error}`)
    throw new TransientError('TOKEN_UNAVAILABLE', {
      message: `grant ${grant}: the consent cannot be begun: ${error instanceof Error ? error.message : error}`,
      hint: 'Nothing was stored. Run again when the provider can be reached.',
    })
  }
}

function failed(grant: string, problem: string, hint = 'Nothing was stored. Run the command again.'): ConfigError {
  return new ConfigError('CONSENT_FAILED', { message: `grant ${grant}: ${problem}`, hint })
}
