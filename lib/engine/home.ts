import { ConfigError } from '../errors.ts'
import type { Ledger } from '../ledger/ledger.ts'
import type { Warehouse, WarehouseCall } from '../warehouse/warehouse.ts'

/**
 * Sees to it that all hosts of a ledger publish a pipeline into the same file, where the warehouse is one: what one host has published would otherwise be
 * missing in the file of another, and the ledger would say it is there. Throws `WAREHOUSE_ELSEWHERE` before anything is written.
 */
export async function settleHome(pipeline: string, warehouse: Warehouse, ledger: Ledger, call: WarehouseCall): Promise<void> {
  if (warehouse.file === undefined || ledger.keepHome === undefined) return
  for (const create of [false, true]) {
    const file = await warehouse.file({ create }, call)
    const home = await ledger.keepHome(pipeline, file)
    if (home !== undefined) {
      throw new ConfigError('WAREHOUSE_ELSEWHERE', {
        message: `the pipeline ${pipeline} is published into ${home.path} on ${home.host}; ${file.path} on this host is another file`,
        hint:
          `Run headrace on ${home.host}, or bring that file here, or use a warehouse that every host reaches. If it is lost, begin with a new ledger. ` +
          'Nothing was read or written.',
      })
    }
    if (file.id !== null) return
  }
}
