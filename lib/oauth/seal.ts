import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { ConfigError } from '../errors.ts'

/** Where the keys come from; the one name for it. */
export const GRANT_KEY = 'HEADRACE_GRANT_KEY'

/** Bytes of the nonce and of the tag of AES-GCM. */
const NONCE = 12
const TAG = 16

/**
 * Encrypts what is stored of a grant, with AES-256-GCM. The name of the grant is authenticated with it, so that the tokens of one account
 * cannot be put into the row of another.
 */
export class Seal {
  readonly #keys: ReadonlyMap<string, Buffer>
  readonly #newest: readonly [id: string, key: Buffer]

  /** Takes the text of the environment variable: keys of 32 bytes in base64, the newest first, separated by commas. */
  constructor(text: string | undefined) {
    const keys = (text ?? '').split(/[\s,]+/).filter(part => part !== '')
    const problem = problemOf(keys)
    const [first] = keys.map(keyOf)
    if (problem !== undefined || first === undefined) {
      throw new ConfigError('GRANT_KEY_INVALID', {
        message: `the environment variable ${GRANT_KEY} ${problem}`,
        hint:
          'It encrypts the tokens in the ledger: 32 random bytes in base64, as `openssl rand -base64 32` makes them. ' +
          'Nothing was sent or written.',
      })
    }
    this.#newest = first
    this.#keys = new Map(keys.map(keyOf))
  }

  /** Whether a sealed text was made with the newest key, an older one, or one that is not here. */
  keyOf(sealed: string): 'newest' | 'older' | 'unknown' {
    const [, id = ''] = sealed.split('.')
    if (id === this.#newest[0]) return 'newest'
    return this.#keys.has(id) ? 'older' : 'unknown'
  }

  /** Encrypts the text for the grant of this name, with the newest key. */
  seal(name: string, text: string): string {
    const [id, key] = this.#newest
    const nonce = randomBytes(NONCE)
    const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(name))
    const parts = [nonce, cipher.update(text, 'utf8'), cipher.final()]
    return `v1.${id}.${Buffer.concat([...parts, cipher.getAuthTag()]).toString('base64')}`
  }

  /** What was sealed for the grant of this name; `GRANT_UNREADABLE` for anything else. */
  open(name: string, sealed: string): string {
    const [version, id = '', body = ''] = sealed.split('.')
    const key = this.#keys.get(id)
    if (version !== 'v1' || key === undefined) {
      throw unreadable(
        name,
        `was encrypted with key ${id.slice(0, 20)}, which is not in ${GRANT_KEY} (${[...this.#keys.keys()]})`,
      )
    }
    const bytes = Buffer.from(body, 'base64')
    try {
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE), { authTagLength: TAG })
      decipher.setAAD(Buffer.from(name)).setAuthTag(bytes.subarray(-TAG))
      return Buffer.concat([decipher.update(bytes.subarray(NONCE, -TAG)), decipher.final()]).toString('utf8')
    } catch {
      throw unreadable(name, 'was not encrypted for it: the row was changed, or belongs to another grant')
    }
  }
}

function problemOf(keys: readonly string[]): string | undefined {
  if (keys.length === 0) return 'is not set'
  const wrong = keys.findIndex(key => Buffer.from(key, 'base64').length !== 32 || !/^[A-Za-z0-9+/_-]{43}=?$/.test(key))
  if (wrong >= 0) return `is not 32 bytes in base64${keys.length > 1 ? ` (key ${wrong + 1} of ${keys.length})` : ''}`
  return new Set(keys.map(key => keyOf(key)[0])).size === keys.length ? undefined : 'names the same key twice'
}

/** A key and what names it: the beginning of its hash, which tells nothing about it. */
function keyOf(text: string): [id: string, key: Buffer] {
  const key = Buffer.from(text, 'base64')
  return [createHash('sha256').update('headrace grant key').update(key).digest('hex').slice(0, 8), key]
}

function unreadable(name: string, why: string): ConfigError {
  return new ConfigError('GRANT_UNREADABLE', {
    message: `grant ${name}: what the ledger holds ${why}`,
    hint: `Nothing was sent. Add the key it was encrypted with to ${GRANT_KEY}, after the newest; or consent again.`,
  })
}
