import { randomUUID } from 'node:crypto'
import type { Grant, GrantLedger, SealedTokens } from './grants.ts'
import { mayBeAlive } from './owner.ts'
import type { SqliteContext } from './sqlite.ts'
import type { SqlRow } from './sqlite-database.ts'

/** What ends every claim. */
const UNCLAIMED = { claim_id: null, lease_owner: null, lease_until: 0 }

function instant(value: unknown): number | null {
  return value === null ? null : Number(value)
}

function grantOf(row: SqlRow, now: number): Grant {
  return {
    name: String(row.name),
    generation: Number(row.generation),
    tokens:
      row.sealed === null
        ? null
        : {
            sealed: String(row.sealed),
            obtainedAt: Number(row.obtained_at),
            expiresAt: instant(row.expires_at),
            renewAt: instant(row.renew_at),
            refreshExpiresAt: instant(row.refresh_expires_at),
          },
    intentAt: instant(row.intent_at),
    renewing: isClaimed(row, now),
    notBefore: Number(row.not_before),
    refusal: row.refusal === null ? null : String(row.refusal),
  }
}

/** Whether somebody is at it: a claim of a process that is known to be dead need not run out. */
function isClaimed(row: SqlRow, now: number): boolean {
  return Number(row.lease_until) > now && mayBeAlive(String(row.lease_owner))
}

/** The grants. */
export function grants({ db, now, owner }: SqliteContext): GrantLedger {
  const read = (name: string): SqlRow | undefined => db().get('SELECT * FROM access_grant WHERE name = ?', name)

  /** A row whose tokens are these, with nothing open. */
  function fresh(generation: number, { sealed, obtainedAt, expiresAt, renewAt, refreshExpiresAt }: SealedTokens) {
    return {
      // Never smaller than the clock: one that is forgotten and comes again must not look like the one that was forgotten.
      generation: Math.max(now(), generation + 1),
      sealed,
      obtained_at: obtainedAt,
      expires_at: expiresAt,
      renew_at: renewAt,
      refresh_expires_at: refreshExpiresAt,
      ...UNCLAIMED,
      intent_at: null,
      not_before: 0,
      refusal: null,
    }
  }

  return {
    async grants() {
      return db()
        .all('SELECT * FROM access_grant ORDER BY name')
        .map(row => grantOf(row, now()))
    },

    async grant(name) {
      const row = read(name)
      return row === undefined ? undefined : grantOf(row, now())
    },

    async claimGrant(name, generation, leaseMs) {
      return db().write(() => {
        const row = read(name)
        if (Number(row?.generation ?? 0) !== generation) return { outcome: 'moved' }
        if (row === undefined) db().insert('access_grant', { name, generation })
        else if (isClaimed(row, now())) return { outcome: 'taken' }
        const claimId = randomUUID()
        db().update(
          'access_grant',
          { claim_id: claimId, lease_owner: owner, lease_until: now() + leaseMs, intent_at: now() },
          { name },
        )
        return { outcome: 'claimed', claimId, interruptedAt: instant(row?.intent_at ?? null) }
      })
    },

    async renewGrant(name, generation, tokens) {
      return db().write(() => db().update('access_grant', fresh(generation, tokens), { name, generation }) === 1)
    },

    async releaseGrant(name, claimId, { intentAt, notBefore }) {
      const left = { ...UNCLAIMED, intent_at: intentAt, not_before: notBefore }
      db().write(() => db().update('access_grant', left, { name, claim_id: claimId }))
    },

    async refuseGrant(name, generation, refusal) {
      return db().write(() => db().update('access_grant', { ...UNCLAIMED, refusal }, { name, generation }) === 1)
    },

    async putGrant(name, tokens) {
      db().write(() => db().insert('access_grant', { name, ...fresh(Number(read(name)?.generation ?? 0), tokens) }, ['name']))
    },

    async forgetGrant(name) {
      return db().write(() => db().run('DELETE FROM access_grant WHERE name = ?', name) === 1)
    },
  }
}
