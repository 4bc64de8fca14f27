import { deepEqual, equal, ok, partialDeepStrictEqual } from 'node:assert/strict'
import type { GrantClaim, SealedTokens } from '../ledger/grants.ts'
import { GONE, LEASE, type LedgerCase, ledgerCase } from './ledger-case.ts'

const NAME = 'books/acme'

function tokens(sealed: string): SealedTokens {
  return { sealed, obtainedAt: 1, expiresAt: 2, renewAt: null, refreshExpiresAt: 4 }
}

function claimed(claim: GrantClaim): Extract<GrantClaim, { readonly outcome: 'claimed' }> {
  if (claim.outcome === 'claimed') return claim
  throw new Error(`not claimed, but ${claim.outcome}`)
}

/** Grants, and who renews them. */
export const GRANT_CASES: readonly LedgerCase[] = [
  ledgerCase('a grant is kept as it was stored', async ({ ledger, clock }) => {
    equal(await ledger.grant(NAME), undefined)
    await ledger.putGrant(NAME, tokens('a'))
    await ledger.putGrant('books/globex', tokens('b'))
    const stored = {
      name: NAME,
      generation: clock.now,
      tokens: tokens('a'),
      intentAt: null,
      renewing: false,
      notBefore: 0,
      refusal: null,
    }
    deepEqual(await ledger.grant(NAME), stored)
    deepEqual(
      (await ledger.grants()).map(({ name }) => name),
      [NAME, 'books/globex'],
    )
    equal(await ledger.forgetGrant(NAME), true)
    equal(await ledger.forgetGrant(NAME), false)
  }),
  ledgerCase(
    'one process renews at a time, and its intent is written down with the claim',
    async ({ ledger, another, clock }) => {
      const other = another('elsewhere 1 1')
      await ledger.putGrant(NAME, tokens('a'))
      const { generation = 0 } = (await ledger.grant(NAME)) ?? {}
      const claim = claimed(await ledger.claimGrant(NAME, generation, LEASE))
      equal(claim.interruptedAt, null)
      partialDeepStrictEqual(await other.grant(NAME), { intentAt: clock.now, renewing: true })
      deepEqual(await other.claimGrant(NAME, generation, LEASE), { outcome: 'taken' })
      equal(await ledger.renewGrant(NAME, generation, tokens('b')), true)
      deepEqual(await other.claimGrant(NAME, generation, LEASE), { outcome: 'moved' })
      partialDeepStrictEqual(await other.grant(NAME), { tokens: { sealed: 'b' }, intentAt: null, renewing: false })
    },
  ),
  ledgerCase(
    'a claim that runs out is taken over, and says when the renewal before it began',
    async ({ ledger, another, clock }) => {
      const other = another('elsewhere 1 1')
      const first = clock.now
      const late = claimed(await ledger.claimGrant(NAME, 0, LEASE))
      clock.now += LEASE
      const claim = claimed(await other.claimGrant(NAME, 0, LEASE))
      equal(claim.interruptedAt, first)
      await ledger.releaseGrant(NAME, late.claimId, { intentAt: null, notBefore: 9 })
      partialDeepStrictEqual(
        await other.grant(NAME),
        { intentAt: clock.now, renewing: true, notBefore: 0 },
        'whoever is late releases nothing',
      )
      equal(await ledger.renewGrant(NAME, 0, tokens('late')), true, 'but what it obtained is the newest, and stored')
      equal(await other.renewGrant(NAME, 0, tokens('later')), false)
      partialDeepStrictEqual(await other.grant(NAME), { tokens: { sealed: 'late' } })
    },
  ),
  ledgerCase('the claim of a process that is dead need not run out', async ({ ledger, another, clock }) => {
    await another(GONE).claimGrant(NAME, 0, LEASE)
    partialDeepStrictEqual(await ledger.claimGrant(NAME, 0, LEASE), { outcome: 'claimed', interruptedAt: clock.now })
  }),
  ledgerCase('a refusal stays until other tokens are stored, and meets only those it was for', async ({ ledger }) => {
    await ledger.putGrant(NAME, tokens('a'))
    const { generation = 0 } = (await ledger.grant(NAME)) ?? {}
    equal(await ledger.refuseGrant(NAME, generation - 1, 'no'), false)
    equal(await ledger.refuseGrant(NAME, generation, 'no'), true)
    partialDeepStrictEqual(await ledger.grant(NAME), { refusal: 'no', renewing: false })
    await ledger.putGrant(NAME, tokens('b'))
    partialDeepStrictEqual(await ledger.grant(NAME), { refusal: null })
  }),
  ledgerCase(
    'tokens that are encrypted anew take the place of the same tokens, and nothing that is under way is disturbed',
    async ({ ledger }) => {
      await ledger.putGrant(NAME, tokens('a'))
      const before = await ledger.grant(NAME)
      const generation = before?.generation ?? 0
      claimed(await ledger.claimGrant(NAME, generation, LEASE))
      equal(await ledger.rekeyGrant(NAME, 'a', 'anew'), true)
      partialDeepStrictEqual(await ledger.grant(NAME), { generation, tokens: tokens('anew'), renewing: true })
      equal(await ledger.renewGrant(NAME, generation, tokens('b')), true, 'whoever was renewing stores what it obtained')
      equal(await ledger.rekeyGrant(NAME, 'anew', 'late'), false)
      partialDeepStrictEqual(await ledger.grant(NAME), { tokens: { sealed: 'b' } })
      equal(await ledger.rekeyGrant('books/nobody', 'a', 'anew'), false)
    },
  ),
  ledgerCase('a release says whether the answer is still open, and when to ask again', async ({ ledger }) => {
    const { claimId } = claimed(await ledger.claimGrant(NAME, 0, LEASE))
    await ledger.releaseGrant(NAME, claimId, { intentAt: 5, notBefore: 7 })
    partialDeepStrictEqual(await ledger.grant(NAME), { tokens: null, intentAt: 5, notBefore: 7, renewing: false })
    partialDeepStrictEqual(await ledger.claimGrant(NAME, 0, LEASE), { outcome: 'claimed', interruptedAt: 5 })
  }),
  ledgerCase('a generation never comes twice, not even after the grant was forgotten', async ({ ledger, clock }) => {
    const seen = new Set<number>()
    for (let turn = 0; turn < 3; turn++) {
      await ledger.putGrant(NAME, tokens('a'))
      await ledger.putGrant(NAME, tokens('b'))
      const { generation = 0 } = (await ledger.grant(NAME)) ?? {}
      ok(!seen.has(generation))
      seen.add(generation)
      await ledger.forgetGrant(NAME)
      clock.now += 10
    }
  }),
]
