import { ConfigError, TransientError } from '../errors.ts'

/** `GRANT_MISSING`: nobody has consented yet. */
export function missing(grant: string): ConfigError {
  return new ConfigError('GRANT_MISSING', {
    message: `grant ${grant}: the ledger holds none`,
    hint: `Nothing was sent. Bring it in with \`headrace grants consent ${grant}\`, or with \`headrace grants import ${grant}\`; then run again.`,
  })
}

/** `GRANT_REFUSED`: it is over, and says why. */
export function grantRefused(grant: string, refusal: string): ConfigError {
  return new ConfigError('GRANT_REFUSED', {
    message: `grant ${grant}: the token server no longer accepts it: ${refusal}`,
    hint:
      'What is published stays published. It is not asked again: have the account consent again with ' +
      `\`headrace grants consent ${grant}\`, then run again.`,
  })
}

/** `OAUTH_CLIENT_REFUSED`: the application is not let in. */
export function clientRefused(grant: string, problem: string): ConfigError {
  return new ConfigError('OAUTH_CLIENT_REFUSED', {
    message: `grant ${grant}: the token server refuses the application: ${problem}`,
    hint: 'The grant itself is untouched. Check id, secret or key, scope and parameters of the provider in the configuration, then run again.',
  })
}

/** `TOKEN_UNAVAILABLE`: not this time. */
export function unavailable(grant: string, problem: string, notBefore: number | undefined): TransientError {
  return new TransientError('TOKEN_UNAVAILABLE', {
    message: `grant ${grant}: no access token from the token server: ${problem}`,
    hint: 'Nothing of this chunk was published, and the grant stays as it is. Run again when the token server can be reached.',
    ...(notBefore === undefined ? {} : { notBefore }),
  })
}

/** `GRANT_NOT_STORED`: what was obtained is not durable. */
export function notStored(grant: string, cause: unknown): TransientError {
  const why = cause instanceof Error ? cause.message : String(cause)
  return new TransientError('GRANT_NOT_STORED', {
    message: `grant ${grant}: the token server gave new tokens, but they could not be stored (${why}), so they are not used`,
    hint:
      'This process keeps them and stores them as soon as the ledger can be written. Mend the ledger before it ends; ' +
      'otherwise the account may have to consent again.',
    cause,
  })
}
