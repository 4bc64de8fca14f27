import { randomUUID } from 'node:crypto'
import type { Grant, GrantLedger, SealedTokens } from '../grants.ts'
import { mayBeAlive } from '../owner.ts'
import type { LedgerContext, Queries, SqlRow } from './database.ts'

/** What ends every claim. */
const UNCLAIMED = { claim_id: null, lease_owner: null, lease_until: 0 }

function instant(value: unknown): number | null {
  return value === null ? null : Number(value)
}

/** A server may count in parts of a second. */
function whole(instant: number | null): number | null {
  return instant === null ? null : Math.floor(instant)
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
export function grants({ db, owner }: LedgerContext): GrantLedger {
  const read = (from: Queries, name: string): Promise<SqlRow | undefined> =>
    from.get('SELECT * FROM access_grant WHERE name = ?', name)

  /** A row whose tokens are these, with nothing open. */
  function fresh(now: number, generation: number, { sealed, obtainedAt, expiresAt, renewAt, refreshExpiresAt }: SealedTokens) {
    return {
      // Never smaller than the clock: one that is forgotten and comes again must not look like the one that was forgotten.
      generation: Math.max(now, generation + 1),
      sealed,
      obtained_at: whole(obtainedAt),
      expires_at: whole(expiresAt),
      renew_at: whole(renewAt),
      refresh_expires_at: whole(refreshExpiresAt),
      ...UNCLAIMED,
      intent_at: null,
      not_before: 0,
      refusal: null,
    }
  }

  return {
    async grants() {
      const rows = await db.all('SELECT * FROM access_grant ORDER BY name')
      const now = await db.now()
      return rows.map(row => grantOf(row, now))
    },

    async grant(name) {
      const row = await read(db, name)
      return row === undefined ? undefined : grantOf(row, await db.now())
    },

    async claimGrant(name, generation, leaseMs) {
      return db.write(async tx => {
        const row = await read(tx, name)
        if (Number(row?.generation ?? 0) !== generation) return { outcome: 'moved' }
        if (row === undefined) await tx.insert('access_grant', [{ name, generation }])
        else if (isClaimed(row, tx.now)) return { outcome: 'taken' }
        const claimId = randomUUID()
        await tx.update(
          'access_grant',
          { claim_id: claimId, lease_owner: owner, lease_until: tx.now + leaseMs, intent_at: tx.now },
          { name },
        )
        return { outcome: 'claimed', claimId, interruptedAt: instant(row?.intent_at ?? null) }
      })
    },

    async renewGrant(name, generation, tokens) {
      const renewed = await db.write(tx => tx.update('access_grant', fresh(tx.now, generation, tokens), { name, generation }))
      return renewed === 1
    },

    async releaseGrant(name, claimId, { intentAt, notBefore }) {
      const left = { ...UNCLAIMED, intent_at: intentAt, not_before: notBefore }
      await db.write(tx => tx.update('access_grant', left, { name, claim_id: claimId }))
    },

    async refuseGrant(name, generation, refusal) {
      const refused = await db.write(tx => tx.update('access_grant', { ...UNCLAIMED, refusal }, { name, generation }))
      return refused === 1
    },

    async putGrant(name, tokens) {
      await db.write(async tx => {
        const before = Number((await read(tx, name))?.generation ?? 0)
        await tx.insert('access_grant', [{ name, ...fresh(tx.now, before, tokens) }], ['name'])
      })
    },

    async rekeyGrant(name, sealed, anew) {
      return (await db.write(tx => tx.update('access_grant', { sealed: anew }, { name, sealed }))) === 1
    },

    async forgetGrant(name) {
      return (await db.write(tx => tx.run('DELETE FROM access_grant WHERE name = ?', name))) === 1
    },
  }
}
