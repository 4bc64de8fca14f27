import { ConfigError } from '../errors.ts'

/** A text, or a function that gives it when it is needed: the place for what comes from the environment. */
export type OAuthSetting = string | (() => string | undefined)

/** An absolute address, or a function that gives that of an account, for providers where every account has its own. */
export type OAuthAddress = string | ((account: string) => string)

/** What every kind of authorization says. */
export interface OAuthOptions {
  /** Lower-case words joined by hyphens. It names the grants in the ledger (`provider/account`), and the provider in metrics. */
  readonly provider: string
  /** Where tokens are asked for; `https`, but for this machine. */
  readonly tokenUrl: OAuthAddress
  /** Whose grant a client is read with. */
  readonly account?: (client: string) => string
  /** What is asked for, separated by spaces. */
  readonly scope?: string
  /** Further parameters of the request for tokens, such as `audience` or `resource`. */
  readonly parameters?: Readonly<Record<string, string>>
  /** The headers that carry an access token. Default `authorization: Bearer …`. */
  readonly headers?: (accessToken: string) => Readonly<Record<string, string>>
}

interface ClientOptions extends OAuthOptions {
  readonly clientId: OAuthSetting
  /** Left out for a public client. */
  readonly clientSecret?: OAuthSetting
  /** Whether id and secret stand in the header (`basic`) or in the body (`post`) of the request. Default `basic`. */
  readonly clientAuthentication?: 'basic' | 'post'
}

/**
 * What becomes of a refresh token when it is used:
 * `none`: it stays, and a lost answer is harmless (Google, HubSpot).
 * `{ graceSeconds }`: another one replaces it, and the old one still works for that long when no answer came (Xero 1,800 s, Shopify until
 * the replacement is used).
 * `strict`: another one replaces it at once, or nobody promises anything else (QuickBooks). When its answer is lost, so is the grant.
 */
export type Rotation = 'none' | 'strict' | { readonly graceSeconds: number }

/** Options of `refreshToken()`. */
export interface RefreshTokenOptions extends ClientOptions {
  readonly rotation: Rotation
  /** Days that a refresh token lives from when it was received, where the provider does not say so itself. Default: not known. */
  readonly refreshTokenDays?: number
  /** Where somebody consents in a browser (authorization code with PKCE). */
  readonly authorizeUrl?: OAuthAddress
  /** Further parameters of that address, such as `access_type=offline`. */
  readonly authorizeParameters?: Readonly<Record<string, string>>
  /** The address that the provider sends the browser back to, on this machine, as registered there. Default a free port of 127.0.0.1. */
  readonly redirectUrl?: string
  /** Where a device asks for consent (RFC 8628). It is preferred to `authorizeUrl`, because it needs no browser on this machine. */
  readonly deviceUrl?: OAuthAddress
}

/** Options of `clientCredentials()`. */
export type ClientCredentialsOptions = ClientOptions

/** Options of `serviceAccount()`. */
export interface ServiceAccountOptions extends OAuthOptions {
  /** The JSON of the key, with `client_email`, `private_key` and `private_key_id`, as Google hands it out. */
  readonly key: OAuthSetting
  /** Who is impersonated. Default nobody. */
  readonly subject?: (account: string) => string
}

type Whole<T extends OAuthOptions> = T & { readonly account: NonNullable<T['account']> }

/** A grant that somebody consented to, kept alive by its refresh token. */
export type RefreshToken = Whole<RefreshTokenOptions> & { readonly flow: 'refresh token' }

/** Tokens for the application itself. */
export type ClientCredentials = Whole<ClientCredentialsOptions> & { readonly flow: 'client credentials' }

/** Tokens for a signed assertion (RFC 7523). */
export type ServiceAccount = Whole<ServiceAccountOptions> & { readonly flow: 'service account' }

/** How an API is told who asks: what `refreshToken()`, `clientCredentials()` and `serviceAccount()` return. */
export type OAuth = RefreshToken | ClientCredentials | ServiceAccount

/** Reads with what an account has consented to. `account` defaults to the client: one grant for each. */
export function refreshToken(options: RefreshTokenOptions): RefreshToken {
  check(
    options,
    [options.tokenUrl, options.authorizeUrl, options.deviceUrl],
    [
      ...rotationProblems(options.rotation),
      ...(options.refreshTokenDays === undefined || options.refreshTokenDays > 0
        ? []
        : [`refreshTokenDays ${options.refreshTokenDays} is not more than 0`]),
      ...(options.redirectUrl === undefined || isLoopback(URL.parse(options.redirectUrl))
        ? []
        : [`redirectUrl ${options.redirectUrl} is not an http address of this machine`]),
    ],
  )
  return { account: client => client, ...options, flow: 'refresh token' }
}

/** Reads as the application itself. `account` defaults to one for all. */
export function clientCredentials(options: ClientCredentialsOptions): ClientCredentials {
  check(options, [options.tokenUrl])
  return { account: () => 'app', ...options, flow: 'client credentials' }
}

/** Reads as a service account. `account` defaults to one for all. */
export function serviceAccount(options: ServiceAccountOptions): ServiceAccount {
  check(options, [options.tokenUrl])
  return { account: () => 'app', ...options, flow: 'service account' }
}

/** The name of the grant that a client is read with. */
export function grantName({ provider, account }: OAuth, client: string): string {
  const name = account(client)
  if (typeof name === 'string' && /^[^\s/]([^\n\r]*\S)?$/.test(name)) return `${provider}/${name}`
  throw invalid(provider, [`the account of client ${client} is ${JSON.stringify(name)}, which names nobody`])
}

/** The account of a grant. */
export function accountOf(grant: string): string {
  return grant.slice(grant.indexOf('/') + 1)
}

/** The value of a setting; `CONFIG_INVALID` when it is empty. */
export function settingOf({ provider }: OAuthOptions, name: string, setting: OAuthSetting): string {
  const value = typeof setting === 'function' ? setting() : setting
  if (typeof value === 'string' && value !== '') return value
  throw invalid(provider, [`${name} is empty: is its environment variable set?`])
}

/** An address for an account; `CONFIG_INVALID` when tokens may not be sent there. */
export function addressOf({ provider }: OAuthOptions, address: OAuthAddress, account: string): URL {
  const text = typeof address === 'function' ? address(account) : address
  const url = URL.parse(text)
  const problem = addressProblem(text, url)
  if (url === null || problem !== undefined) throw invalid(provider, [problem ?? `${text} is not an address`])
  return url
}

/** Whether an address is one of this machine, where `http` is as good as `https`. */
export function isLoopback(url: URL | null): boolean {
  return url?.protocol === 'http:' && ['127.0.0.1', 'localhost', '[::1]'].includes(url.hostname)
}

function addressProblem(text: string, url: URL | null): string | undefined {
  if (url === null) return `${JSON.stringify(text.split('?')[0])} is not an absolute address`
  if (url.protocol === 'https:' || isLoopback(url)) return undefined
  return `${url.origin} is not https: what is sent there could be read on the way`
}

function rotationProblems(rotation: Rotation): string[] {
  if (rotation === 'none' || rotation === 'strict') return []
  if (typeof rotation === 'object' && rotation.graceSeconds > 0) return []
  return [`rotation ${JSON.stringify(rotation)} is neither 'none' nor 'strict' nor { graceSeconds }`]
}

function check({ provider }: OAuthOptions, addresses: readonly (OAuthAddress | undefined)[], more: readonly string[] = []): void {
  const problems = [
    ...(/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(provider) ? [] : ['its name is not lower-case words joined by hyphens']),
    ...addresses.flatMap(address =>
      typeof address === 'string' ? [addressProblem(address, URL.parse(address)) ?? []].flat() : [],
    ),
    ...more,
  ]
  if (problems.length > 0) throw invalid(provider, problems)
}

function invalid(provider: string, problems: readonly string[]): ConfigError {
  return new ConfigError('CONFIG_INVALID', {
    message: `OAuth provider ${provider}: ${problems.join('; ')}`,
    hint: 'Correct the configuration. Nothing was sent.',
  })
}
