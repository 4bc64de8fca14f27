/** Tokens as the ledger keeps them: it sees when they end, never what they are. Instants in epoch milliseconds. */
export interface SealedTokens {
  /** The tokens, encrypted by whoever stores them. */
  readonly sealed: string
  /** When they were asked for. */
  readonly obtainedAt: number
  /** When the access token ends; null when nobody said. */
  readonly expiresAt: number | null
  /** When the access token is renewed, ahead of its end; null for never. */
  readonly renewAt: number | null
  /** When the refresh token ends; null when nobody said. */
  readonly refreshExpiresAt: number | null
}

/** What one account has granted to headrace. Instants in epoch milliseconds. */
export interface Grant {
  /** `provider/account`. */
  readonly name: string
  /** Grows whenever other tokens are stored, and is never used twice. */
  readonly generation: number
  /** Null when tokens were never stored. */
  readonly tokens: SealedTokens | null
  /** A renewal was begun then, and whether the server answered is not known; null when nothing is open. */
  readonly intentAt: number | null
  /** Whether a process that may be alive has claimed its renewal. */
  readonly renewing: boolean
  /** No renewal before this instant; 0 when there is no such instant. */
  readonly notBefore: number
  /** Why the provider refuses it for good; null while it does not. */
  readonly refusal: string | null
}

/**
 * What became of a try to be the one who renews: the claim; or somebody stored other tokens since (`moved`); or somebody else is at it
 * (`taken`). `interruptedAt` is the instant of a renewal whose end nobody knows.
 */
export type GrantClaim =
  | { readonly outcome: 'claimed'; readonly claimId: string; readonly interruptedAt: number | null }
  | { readonly outcome: 'moved' | 'taken' }

/** The grants, shared by all processes: one of them renews at a time, and nothing that was obtained is overwritten by something older. */
export interface GrantLedger {
  /** All grants, by name. */
  grants(): Promise<Grant[]>
  grant(name: string): Promise<Grant | undefined>
  /**
   * Claims the renewal of a grant that is still at `generation` (0: it may not be there yet), for `leaseMs` milliseconds, and records the
   * intent to ask for tokens, in one transaction.
   */
  claimGrant(name: string, generation: number, leaseMs: number): Promise<GrantClaim>
  /**
   * Stores what replaces the tokens of `generation`, durably, and ends claim, intent and refusal. False, and nothing is stored, when the
   * grant has moved on. A claim that ran out is no obstacle: the newest tokens are the only ones that work.
   */
  renewGrant(name: string, generation: number, tokens: SealedTokens): Promise<boolean>
  /** Ends a claim without new tokens. `intentAt` stays open when it is not known whether the server answered. */
  releaseGrant(
    name: string,
    claimId: string,
    left: { readonly intentAt: number | null; readonly notBefore: number },
  ): Promise<void>
  /** Marks the tokens of `generation` as refused for good, and ends the claim. False when the grant has moved on. */
  refuseGrant(name: string, generation: number, refusal: string): Promise<boolean>
  /** Stores tokens that somebody consented to, whatever was there. */
  putGrant(name: string, tokens: SealedTokens): Promise<void>
  /** Puts the same tokens, encrypted anew, in the place of what they were; nothing else changes. False when others are stored by now. */
  rekeyGrant(name: string, sealed: string, anew: string): Promise<boolean>
  /** Removes a grant; false when there is none. */
  forgetGrant(name: string): Promise<boolean>
}
