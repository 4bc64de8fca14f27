import type { DaySummary } from '../attempt/summary.ts'
import type { Chunk, Day, Window } from '../chunk.ts'
import { sameDecimal } from '../decimal.ts'
import type { HeadraceError, WarningName } from '../errors.ts'
import type { WarehouseFile } from '../ledger/homes.ts'
import type { DatasetName } from '../lineage/dataset.ts'
import type { AnyRow, EncodeRow } from '../row.ts'
import type { Table } from '../table.ts'

/** Where the rows and rejects of one attempt wait, invisible to readers. */
export interface Staging {
  /** Adds the encoded rows of one partition. Resolves when the warehouse can take more. */
  write(bytes: Uint8Array, rows: number, day: Day): Promise<void>
  /** Adds rejects. */
  reject(rejects: readonly StagedReject[]): Promise<void>
  /** Everything is written. Throws `STAGED_UNREADABLE` when the warehouse says now that it does not take the rows. */
  seal(): Promise<Sealed>
  /**
   * After a `STAGED_UNREADABLE` of `seal` or of the commit: finds the rows that the warehouse does not take, and takes them out of what is staged.
   * They are to be rejected, and everything is to be sealed again. Returns none, and changes nothing, when no single rows are at fault.
   * Throws `STAGED_UNREADABLE` when there are too many of them.
   */
  sift(call: WarehouseCall): Promise<RefusedRow[]>
  /** Gives the space back. Safe to call twice, and after a commit. */
  discard(): Promise<void>
}

/** What is staged in full. */
export interface Sealed {
  /** Bytes of the rows. */
  readonly bytes: number
  /** How the warehouse finds it again, in whichever process publishes it; text that only the warehouse understands. */
  readonly receipt: string
}

/** A row that was staged and that the warehouse does not take. */
export interface RefusedRow {
  /** As its line gives it back; whole numbers and decimals may be text. */
  readonly row: AnyRow
  /** The line as it was staged, with its end. */
  readonly line: Uint8Array
  /** The column that is at fault, where the warehouse names it. */
  readonly column: string | null
  /** One clause that continues "column cost ...", with the words of the warehouse. */
  readonly reason: string
}

/** A reject as it is staged. */
export interface StagedReject {
  /** The day the reject is kept under; always inside the window of its chunk. */
  readonly day: Day
  readonly column: string | null
  readonly rule: string
  readonly value: string | null
  readonly reason: string
  /** The record as JSON text. */
  readonly record: string
}

/** A staged chunk that asks to be published. */
export interface Member {
  readonly chunk: Chunk
  readonly attemptId: string
  /** What its staging gave when it was sealed, in this process or another. */
  readonly receipt: string
  /** Grows with every attempt of any chunk; the warehouse refuses to overwrite a newer generation. */
  readonly generation: number
  /**
   * `publish` replaces the rows and rejects of the chunk. `confirm` does so only if the table does not already hold the expected
   * rows. `rejects` replaces the rejects alone, marked as held.
   */
  readonly intent: 'publish' | 'confirm' | 'rejects'
  /** What the table must hold for each day of the window. */
  readonly days: readonly DaySummary[]
  /** Days published before whose content is different now: the warehouse counts what changed. */
  readonly restated: readonly Day[]
  /** Whether the warehouse must check that the key is unique, because the stream could not. */
  readonly checkKey: boolean
}

/** What the table holds of one client and day. */
export interface DayCount {
  readonly client: string
  readonly day: Day
  readonly rows: number
  /** Exact sums of the control totals, as decimal text. */
  readonly totals: Readonly<Record<string, string>>
}

/** How many rows of a restated day are new, and how many are gone; a changed row is one of each. */
export interface DayChange {
  readonly day: Day
  readonly added: number
  readonly removed: number
}

/** What a warehouse charged for one member: its own jobs, and its share of what the group cost together. */
export interface Cost {
  readonly jobs: number
  readonly bytesBilled: number
  readonly slotMs: number
}

/** What a commit did for one member. */
export interface Publication {
  readonly attemptId: string
  readonly outcome: 'published' | 'unchanged' | 'rejects'
  readonly deleted: number
  readonly inserted: number
  /** What the table holds after the commit, for days that have rows. */
  readonly present: readonly DayCount[]
  readonly changes: readonly DayChange[]
  /** Absent where nothing is charged. */
  readonly cost?: Cost
}

/** The commit was rolled back because of some of its members; the others may be committed without them. */
export class GroupRefused extends Error {
  override readonly name = 'GroupRefused'
  /** Why, by attempt id. */
  readonly refused: ReadonlyMap<string, HeadraceError>

  constructor(refused: ReadonlyMap<string, HeadraceError>) {
    super(`${refused.size} members refused`)
    this.refused = refused
  }
}

/** What is kept of a reject. */
export interface StoredReject extends StagedReject {
  readonly client: string
  readonly attemptId: string
  /** Whether the chunk it came from is held, so that its rows are not in the table. */
  readonly held: boolean
  /** ISO 8601, UTC. */
  readonly rejectedAt: string
}

/** Which rejects to read. */
export interface RejectQuery {
  readonly clients?: readonly string[] | undefined
  readonly window?: Window | undefined
  readonly limit: number
}

/** Chunks that are to be published in one transaction. */
export interface Publishing {
  readonly chunks: readonly Chunk[]
  /** Whether some of their days were published before, so that rows are deleted. */
  readonly replacing: boolean
}

/** What a warehouse is expected to charge. */
export type Charge =
  /** It never charges anything. */
  | { readonly kind: 'none' }
  | { readonly kind: 'bytes'; readonly bytes: number }
  | { readonly kind: 'unknown'; readonly why: string }

/** What every call may use of its surroundings. */
export interface WarehouseCall {
  /** Ends a wait for the warehouse; what has begun is finished. */
  readonly signal: AbortSignal
  /** Says something a person should know although the work goes on. */
  warn(name: WarningName, message: string): void
}

/** Where rows are published. One object per process and warehouse. */
export interface Warehouse {
  readonly name: string
  /** How OpenLineage names a table of it. */
  datasetName(table: Table): Promise<DatasetName>
  /** How rows of a table are written as the text this warehouse loads. */
  encoder(table: Table): EncodeRow
  /**
   * Compares the table with its declaration; with `create`, creates what is not there. Returns whether it existed.
   * Throws `TABLE_MISMATCH` with every difference by name.
   */
  prepare(table: Table, options: { readonly create: boolean }, call: WarehouseCall): Promise<boolean>
  /**
   * Adds the nullable columns that are declared and not there, and lets columns be null that are declared so; of the table and what is kept
   * beside it, where they are there. Never anything else: nothing that is there is lost or changes its type. Safe to repeat, and for two
   * processes at once. Returns what was done, one clause each.
   */
  widen(table: Table, call: WarehouseCall): Promise<string[]>
  /**
   * The file that holds everything, where there is one; with `create`, it is made when it is not there. Absent where any host reaches the same
   * warehouse.
   */
  file?(options: { readonly create: boolean }, call: WarehouseCall): Promise<WarehouseFile>
  /** Opens the staging area of one attempt. */
  stage(table: Table, attemptId: string): Promise<Staging>
  /**
   * Publishes staged chunks of one table in one transaction: for each, DELETE its client and window, INSERT what is staged, compare
   * the counts and totals. Throws `GroupRefused` when members are at fault; then nothing of the group was published.
   */
  commit(table: Table, totals: readonly string[], members: readonly Member[], call: WarehouseCall): Promise<Publication[]>
  /** What publishing would be charged at most, as far as that can be told before. Changes nothing, and costs nothing. */
  charge(table: Table, totals: readonly string[], publishing: Publishing, call: WarehouseCall): Promise<Charge>
  /** What the table holds of some clients, per day, ordered by client and day. */
  recount(table: Table, totals: readonly string[], clients: readonly string[], call: WarehouseCall): Promise<DayCount[]>
  /** Every client the table holds rows of. */
  clients(table: Table, call: WarehouseCall): Promise<string[]>
  /** Kept rejects, newest day first. */
  rejects(table: Table, query: RejectQuery, call: WarehouseCall): Promise<StoredReject[]>
  /** Gives back the space of what was staged, by whichever process; safe to repeat. */
  discard(member: Pick<Member, 'attemptId' | 'receipt'>): Promise<void>
  /**
   * Removes staging areas of attempts that are not alive: what a killed process left behind. `alive` is asked once it is known what is there, so
   * that an attempt that has begun meanwhile is not taken for dead. Returns how many.
   */
  sweep(alive: () => Promise<ReadonlySet<string>>): Promise<number>
}

/** How what the table holds differs from what a member expects, one clause per day and number; empty when it does not. */
export function divergence({ chunk, days }: Pick<Member, 'chunk' | 'days'>, found: readonly DayCount[]): string[] {
  const held = new Map(found.filter(({ client }) => client === chunk.client).map(count => [count.day, count]))
  return days.flatMap(({ day, rows, totals }) => {
    const count = held.get(day)
    if ((count?.rows ?? 0) !== rows) return [`${day}: ${rows} rows expected, ${count?.rows ?? 0} found`]
    if (count === undefined) return []
    return Object.entries(totals).flatMap(([column, total]) => {
      const sum = count.totals[column]
      return sum !== undefined && sameDecimal(sum, total) ? [] : [`${day}: sum of ${column} ${total} expected, ${sum} found`]
    })
  })
}
