import type { Session } from './duck.ts'
import { ApiError } from './errors.ts'
import { readable } from './sql/render.ts'
import type { TableUse } from './sql/scope.ts'
import { type Field, quote } from './types.ts'

const MIB = 1_048_576

/** What a statement reads, in bytes, and what is charged for it. */
export interface Bytes {
  readonly processed: number
  readonly billed: number
}

/** The bytes of the columns of a table, as the service sizes them; NULL takes none. */
function sizeOf(fields: readonly Field[]): string {
  const sizes = fields.map(({ name, type }) => {
    const column = quote(name)
    if (type === 'STRING' || type === 'JSON') return `coalesce(sum(2 + strlen(${column}::VARCHAR)), 0)`
    if (type === 'BYTES') return `coalesce(sum(2 + octet_length(${column})), 0)`
    return `${type === 'NUMERIC' ? 16 : type === 'BOOL' ? 1 : 8} * count(${column})`
  })
  return sizes.length === 0 ? '0' : sizes.join(' + ')
}

/**
 * What a statement costs: per table the columns it names, in the partitions it cannot leave out, and what it changes there; 10 MiB per table
 * at least.
 */
export async function bytesOf(
  session: Session,
  uses: readonly TableUse[],
  changed?: { readonly use: TableUse; readonly bytes: number },
): Promise<Bytes> {
  const perTable = new Map<string, number>()
  for (const use of uses) {
    const { entry, alias, columns, pruning } = use
    const read = entry.fields.filter(({ name }) => [...columns].some(column => column.toLowerCase() === name.toLowerCase()))
    const where = pruning.length === 0 ? '' : ` WHERE ${pruning.join(' AND ')}`
    const [row] = await session.query(`SELECT ${sizeOf(read)} AS bytes FROM ${readable(use)} AS ${quote(alias)}${where}`)
    const key = JSON.stringify(entry.id)
    perTable.set(key, Math.max(perTable.get(key) ?? 0, Number(row?.bytes)))
  }
  if (changed !== undefined) {
    const key = JSON.stringify(changed.use.entry.id)
    perTable.set(key, (perTable.get(key) ?? 0) + changed.bytes)
  }
  const tables = [...perTable.values()]
  return {
    processed: tables.reduce((sum, bytes) => sum + bytes, 0),
    billed: tables.reduce((sum, bytes) => sum + Math.max(10 * MIB, Math.ceil(bytes / MIB) * MIB), 0),
  }
}

/** The size of all partitions that hold a row which is about to change; the whole table, if it has no partitions. */
export async function bytesChanged(session: Session, use: TableUse, condition: string): Promise<number> {
  const { entry, alias } = use
  const partition = entry.partitioning === undefined ? undefined : `${quote(alias)}.${quote(entry.partitioning.field)}`
  const unit = entry.partitioning?.type.toLowerCase()
  const day = `date_trunc('${unit}', ${partition})`
  const table = `${readable(use)} AS ${quote(alias)}`
  const where = partition === undefined ? '' : ` WHERE ${day} IN (SELECT ${day} FROM ${table} WHERE ${condition})`
  const [row] = await session.query(`SELECT ${sizeOf(entry.fields)} AS bytes FROM ${table}${where}`)
  return Number(row?.bytes)
}

/** Throws when a statement would cost more than it may. */
export function mustAfford(billed: number, most: number | undefined): void {
  if (most === undefined || billed <= most) return
  throw new ApiError('bytesBilledLimitExceeded', `Query exceeded limit for bytes billed: ${most}. ${billed} or higher required.`)
}
