import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { type Config, resolveClients } from '../../lib/config.ts'
import { ConfigError } from '../../lib/errors.ts'
import { Access } from '../../lib/oauth/access.ts'
import { consent } from '../../lib/oauth/consent.ts'
import { grantName, type OAuth, type RefreshToken } from '../../lib/oauth/oauth.ts'
import { GRANT_KEY, Seal } from '../../lib/oauth/seal.ts'
import { imported, sealed } from '../../lib/oauth/tokens.ts'
import { createTokenDispatcher, type Wire } from '../../lib/oauth/wire.ts'
import { daysLeft, type GrantStatus, grantStatuses, needsSomebody, rekey } from '../../lib/standing/grants.ts'
import { columns, minute, output, plural } from '../output.ts'
import { patientCall, withConfig } from './context.ts'
import type { CommonOptions } from './options.ts'

/** `headrace grants list`: how every grant stands, and when it ends. Ends with 42 when one of them needs somebody. */
export async function listGrants({ config: file, json }: CommonOptions): Promise<void> {
  await withConfig(file, async config => {
    const clients = (await resolveClients(config, undefined, patientCall.signal)).map(({ id }) => id)
    const key = process.env[GRANT_KEY]
    const seal = key === undefined ? undefined : new Seal(key)
    const grants = await grantStatuses(providersOf(config), clients, config.ledger, seal)
    if (grants.some(({ configured, state }) => configured && needsSomebody(state))) process.exitCode = 42
    if (json) {
      output.json({ command: 'grants list', grants })
      return
    }
    output.line(plural(grants.length, 'grant'))
    if (grants.length === 0) return
    output.line()
    for (const line of columns([HEADING, ...grants.map(row)])) output.line(line)
    for (const { grant, refusal } of grants) if (refusal !== null) output.line(`\n${grant}: ${refusal}`)
  })
}

const HEADING = ['grant', 'state', 'renewed', 'access until', 'days left', 'remarks']

function row({ grant, state, obtainedAt, accessExpiresAt, refreshExpiresAt, configured, olderKey }: GrantStatus): string[] {
  const instant = (ms: number | null): string => (ms === null ? '' : minute(ms))
  const remarks = [...(configured ? [] : ['no pipeline uses it']), ...(olderKey ? ['older key'] : [])]
  const left = refreshExpiresAt === null ? '' : String(daysLeft(refreshExpiresAt, Date.now()))
  return [grant, state, instant(obtainedAt), instant(accessExpiresAt), left, remarks.join(', ')]
}

/** `headrace grants import`: brings a refresh token in, from standard input or a file, and renews it once, so that a wrong one is told now. */
export async function importGrant(
  grant: string,
  { config: file, json, file: from }: CommonOptions & { readonly file?: string },
): Promise<void> {
  await withConfig(file, async config => {
    const auth = await providerOf(config, grant)
    const seal = new Seal(process.env[GRANT_KEY])
    const token = refreshTokenIn(await source(from), from ?? 'standard input')
    await config.ledger.putGrant(grant, imported(seal, auth, grant, token, Date.now()))
    await withWire(async wire => {
      const access = new Access({
        ...wire,
        ledger: config.ledger,
        grantKey: process.env[GRANT_KEY],
        onTokenRequest: () => undefined,
        onRenewal: () => undefined,
      })
      try {
        await access.renew(auth, grant)
      } finally {
        await access.close()
      }
    })
    await say(config, grant, 'import', json)
  })
}

/** `headrace grants consent`: has somebody consent, by device or in a browser. */
export async function consentGrant(grant: string, { config: file, json }: CommonOptions): Promise<void> {
  await withConfig(file, async config => {
    const auth = await providerOf(config, grant)
    const seal = new Seal(process.env[GRANT_KEY])
    await withWire(async wire => {
      const asked = wire.now()
      const tokens = await consent(auth, grant, {
        ...wire,
        signal: patientCall.signal,
        show: (address, code) => {
          output.note(`Open ${address}${code === undefined ? '' : `\nand enter ${code}, unless it is there already`}`)
          output.note('headrace waits until that is done.')
        },
      })
      await config.ledger.putGrant(grant, sealed(seal, auth, grant, tokens, asked, { held: undefined, grant: undefined }))
    })
    await say(config, grant, 'consent', json)
  })
}

/** `headrace grants rekey`: encrypts all tokens with the newest key. Ends with 42 when some cannot be read. */
export async function rekeyGrants({ config: file, json }: CommonOptions): Promise<void> {
  await withConfig(file, async ({ ledger }) => {
    const { rekeyed, current, unreadable } = await rekey(ledger, new Seal(process.env[GRANT_KEY]))
    if (unreadable.length > 0) process.exitCode = 42
    if (json) {
      output.json({ command: 'grants rekey', rekeyed, current, unreadable })
      return
    }
    output.line(`${plural(rekeyed.length, 'grant')} encrypted anew, ${current.length} already with the newest key`)
    for (const grant of unreadable) output.line(`${grant}: its key is not in ${GRANT_KEY}, or its row was changed; left as it is`)
    if (unreadable.length === 0) output.line('The older keys are not needed any more, once no process encrypts with one of them.')
  })
}

/** `headrace grants forget`: removes a grant from the ledger. */
export async function forgetGrant(grant: string, { config: file, json }: CommonOptions): Promise<void> {
  await withConfig(file, async config => {
    if (!(await config.ledger.forgetGrant(grant))) throw unknown(grant, 'the ledger holds none of that name')
    if (json) output.json({ command: 'grants forget', grant })
    else output.line(`${grant}: forgotten here; the provider was not told`)
  })
}

async function say(config: Config, grant: string, command: string, json: boolean | undefined): Promise<void> {
  const [status] = (await grantStatuses([], [], config.ledger, undefined)).filter(status => status.grant === grant)
  if (json) output.json({ command: `grants ${command}`, ...status })
  else {
    const until = status?.accessExpiresAt ?? null
    output.line(`${grant}: usable${until === null ? '' : `, access until ${minute(until)}`}`)
  }
}

/** How the pipelines of a configuration authorize. */
export function providersOf({ pipelines }: Config): OAuth[] {
  return [...new Set(pipelines.flatMap(({ source }) => source.auth ?? []))]
}

/** The declaration behind a grant that somebody consents to. */
async function providerOf(config: Config, grant: string): Promise<RefreshToken> {
  const clients = (await resolveClients(config, undefined, patientCall.signal)).map(({ id }) => id)
  const providers = providersOf(config)
  const auth = providers.find(auth => clients.some(client => grantName(auth, client) === grant))
  if (auth?.flow === 'refresh token') return auth
  if (auth !== undefined) throw unknown(grant, 'nobody has to consent to it: it is obtained when it is needed')
  const names = [...new Set(providers.flatMap(auth => clients.map(client => grantName(auth, client))))]
  throw unknown(
    grant,
    `no client is read with it; there are ${names.slice(0, 5).join(', ') || 'none'}${names.length > 5 ? ', …' : ''}`,
  )
}

function unknown(grant: string, why: string): ConfigError {
  return new ConfigError('USAGE', {
    message: `grant ${grant}: ${why}`,
    hint: 'headrace grants list shows all. Nothing was sent or written.',
  })
}

async function source(file: string | undefined): Promise<string> {
  if (file === undefined) {
    if (!process.stdin.isTTY) return text(process.stdin)
    throw new ConfigError('USAGE', {
      message: 'the refresh token is expected on standard input',
      hint: 'Pipe it in, or name a file with --file; typed here it would stay on the screen. Nothing was sent or written.',
    })
  }
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new ConfigError('USAGE', {
      message: `--file ${file}: ${error instanceof Error ? error.message : error}`,
      hint: 'Nothing was sent or written.',
    })
  }
}

function refreshTokenIn(content: string, where: string): string {
  const token = content.trim()
  // RFC 6749, appendix A.17: visible characters of ASCII.
  if (/^[\x21-\x7e]+$/.test(token)) return token
  throw new ConfigError('USAGE', {
    message: `${where} holds ${token === '' ? 'nothing' : `${token.length} characters that are not one refresh token`}`,
    hint: 'It must be the refresh token and nothing else, on one line. Nothing was sent or written.',
  })
}

async function withWire(work: (wire: Wire) => Promise<void>): Promise<void> {
  const dispatcher = createTokenDispatcher()
  try {
    await work({ dispatcher, now: Date.now, sleep: async (ms, signal) => void (await delay(ms, undefined, { signal })) })
  } finally {
    await dispatcher.close()
  }
}
