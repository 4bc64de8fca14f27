import t, { type Test } from 'tap'
import type { GrantClaim, SealedTokens } from '../../lib/ledger/grants.ts'
import { child, fresh, LEASE } from './kit.ts'

const NAME = 'books/acme'

function tokens(sealed: string): SealedTokens {
  return { sealed, obtainedAt: 1, expiresAt: 2, renewAt: null, refreshExpiresAt: 4 }
}

function claimed(t: Test, claim: GrantClaim): Extract<GrantClaim, { readonly outcome: 'claimed' }> {
  if (claim.outcome === 'claimed') return claim
  t.bailout(`not claimed, but ${claim.outcome}`)
  throw new Error(claim.outcome)
}

t.test('a grant is kept as it was stored', async t => {
  const { ledger, clock } = fresh(t)
  t.equal(await ledger.grant(NAME), undefined)
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
  t.strictSame(await ledger.grant(NAME), stored)
  t.strictSame(
    (await ledger.grants()).map(({ name }) => name),
    [NAME, 'books/globex'],
  )
  t.equal(await ledger.forgetGrant(NAME), true)
  t.equal(await ledger.forgetGrant(NAME), false)
})

t.test('one process renews at a time, and its intent is written down with the claim', async t => {
  const { ledger, path, clock } = fresh(t)
  const other = fresh(t, { path, owner: 'elsewhere 1 1', clock }).ledger
  await ledger.putGrant(NAME, tokens('a'))
  const { generation = 0 } = (await ledger.grant(NAME)) ?? {}
  const claim = claimed(t, await ledger.claimGrant(NAME, generation, LEASE))
  t.equal(claim.interruptedAt, null)
  t.match(await other.grant(NAME), { intentAt: clock.now, renewing: true })
  t.same(await other.claimGrant(NAME, generation, LEASE), { outcome: 'taken' })
  t.equal(await ledger.renewGrant(NAME, generation, tokens('b')), true)
  t.same(await other.claimGrant(NAME, generation, LEASE), { outcome: 'moved' })
  t.match(await other.grant(NAME), { tokens: { sealed: 'b' }, intentAt: null, renewing: false })
})

t.test('a claim that runs out is taken over, and says when the renewal before it began', async t => {
  const { ledger, path, clock } = fresh(t)
  const other = fresh(t, { path, owner: 'elsewhere 1 1', clock }).ledger
  const first = clock.now
  const late = claimed(t, await ledger.claimGrant(NAME, 0, LEASE))
  clock.now += LEASE
  const claim = claimed(t, await other.claimGrant(NAME, 0, LEASE))
  t.equal(claim.interruptedAt, first)
  await ledger.releaseGrant(NAME, late.claimId, { intentAt: null, notBefore: 9 })
  t.match(await other.grant(NAME), { intentAt: clock.now, renewing: true, notBefore: 0 }, 'whoever is late releases nothing')
  t.equal(await ledger.renewGrant(NAME, 0, tokens('late')), true, 'but what it obtained is the newest, and stored')
  t.equal(await other.renewGrant(NAME, 0, tokens('later')), false)
  t.match(await other.grant(NAME), { tokens: { sealed: 'late' } })
})

t.test('the claim of a process that is dead need not run out', async t => {
  const { ledger, path, clock } = fresh(t)
  await ledger.putGrant(NAME, tokens('a'))
  const { generation = 0 } = (await ledger.grant(NAME)) ?? {}
  const { process, lines, ended } = child(t, 'claim-grant', path, NAME, String(generation))
  t.equal((await lines.next()).value, 'claimed')
  clock.now = Date.now()
  t.same(await ledger.claimGrant(NAME, generation, LEASE), { outcome: 'taken' })
  process.kill('SIGKILL')
  await ended
  t.match(await ledger.claimGrant(NAME, generation, LEASE), { outcome: 'claimed', interruptedAt: Number })
})

t.test('a refusal stays until other tokens are stored, and meets only those it was for', async t => {
  const { ledger } = fresh(t)
  await ledger.putGrant(NAME, tokens('a'))
  const { generation = 0 } = (await ledger.grant(NAME)) ?? {}
  t.equal(await ledger.refuseGrant(NAME, generation - 1, 'no'), false)
  t.equal(await ledger.refuseGrant(NAME, generation, 'no'), true)
  t.match(await ledger.grant(NAME), { refusal: 'no', renewing: false })
  await ledger.putGrant(NAME, tokens('b'))
  t.match(await ledger.grant(NAME), { refusal: null })
})

t.test('a release says whether the answer is still open, and when to ask again', async t => {
  const { ledger } = fresh(t)
  const { claimId } = claimed(t, await ledger.claimGrant(NAME, 0, LEASE))
  await ledger.releaseGrant(NAME, claimId, { intentAt: 5, notBefore: 7 })
  t.match(await ledger.grant(NAME), { tokens: null, intentAt: 5, notBefore: 7, renewing: false })
  t.match(await ledger.claimGrant(NAME, 0, LEASE), { outcome: 'claimed', interruptedAt: 5 })
})

t.test('a generation never comes twice, not even after the grant was forgotten', async t => {
  const { ledger, clock } = fresh(t)
  const seen = new Set<number>()
  for (let turn = 0; turn < 3; turn++) {
    await ledger.putGrant(NAME, tokens('a'))
    await ledger.putGrant(NAME, tokens('b'))
    const { generation = 0 } = (await ledger.grant(NAME)) ?? {}
    t.notOk(seen.has(generation))
    seen.add(generation)
    await ledger.forgetGrant(NAME)
    clock.now += 10
  }
})
