import type { HomeLedger } from '../homes.ts'
import { hostOf } from '../owner.ts'
import type { LedgerContext } from './database.ts'

/** Where pipelines are published whose warehouse is a file. */
export function homes({ db, owner }: LedgerContext): HomeLedger {
  const host = hostOf(owner)
  return {
    async keepHome(pipeline, { path, id }) {
      return db.write(async tx => {
        const row = await tx.get('SELECT * FROM home WHERE pipeline = ?', pipeline)
        if (row !== undefined && row.host !== host && row.file_id !== id) {
          return { path: String(row.path), id: String(row.file_id), host: String(row.host) }
        }
        if (id !== null) await tx.insert('home', [{ pipeline, file_id: id, path, host, at: tx.now }], ['pipeline'])
        return undefined
      })
    },
  }
}
