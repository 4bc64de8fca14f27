import { randomUUID } from 'node:crypto'
import { asHeadraceError, DataError } from '../errors.ts'
import type { Table } from '../table.ts'
import { GroupRefused, type Member, type Publication, type Warehouse, type WarehouseCall } from '../warehouse/warehouse.ts'

/** How large a group may become, and who is told about it. */
export interface CommitOptions {
  readonly groupChunks: number
  readonly groupRows: number
  readonly call: WarehouseCall
  /** Waited for before a group is put together, while others may be about to join it; nothing when nobody is. */
  readonly gather: () => Promise<void> | undefined
  /** Called for each member right before its group is committed; when it throws, that member stays out. */
  readonly onCommitting: (member: Member) => Promise<void>
  /** Called after each transaction with its size, seconds and end. */
  readonly onCommitted: (members: number, seconds: number, outcome: 'published' | 'refused' | 'failed') => void
}

/** What became of one member, and with whom it was published. */
export interface Committed extends Publication {
  readonly groupId: string
}

interface Waiting {
  readonly member: Member
  readonly resolve: (committed: Committed) => void
  readonly reject: (error: unknown) => void
}

interface Queue {
  readonly table: Table
  readonly totals: readonly string[]
  waiting: Waiting[]
  /** Halves of groups that were refused as a whole; they go before those that wait, and with nobody else. */
  readonly halves: (readonly Waiting[])[]
  /** Members of a group at most: what the warehouse was last seen to take. */
  most: number
  /** Groups of that size that were published since. */
  full: number
  busy: boolean
}

/** After so many full groups the next may be larger, by a quarter. */
const GROWS_AFTER = 4

/**
 * Publishes staged chunks in groups: one transaction per table at a time, and whatever has been staged while it ran goes into the next.
 * So a slow warehouse gets large groups and a fast one small ones. A member that cannot be published never keeps
 * the others back: those at fault go, and a group that is refused without a name is tried by halves. One that is too much for the
 * warehouse also makes the next ones smaller.
 */
export class Committer {
  readonly #warehouse: Warehouse
  readonly #options: CommitOptions
  readonly #queues = new Map<string, Queue>()

  constructor(warehouse: Warehouse, options: CommitOptions) {
    this.#warehouse = warehouse
    this.#options = options
  }

  /** Resolves when the member is published (or found unchanged); rejects when it cannot be. */
  publish(table: Table, totals: readonly string[], member: Member): Promise<Committed> {
    const queue = this.#queues.get(table.name) ?? this.#open(table, totals)
    this.#queues.set(table.name, queue)
    return new Promise((resolve, reject) => {
      queue.waiting.push({ member, resolve, reject })
      if (!queue.busy) void this.#drain(queue)
    })
  }

  #open(table: Table, totals: readonly string[]): Queue {
    return { table, totals, waiting: [], halves: [], most: this.#options.groupChunks, full: 0, busy: false }
  }

  async #drain(queue: Queue): Promise<void> {
    queue.busy = true
    try {
      while (queue.halves.length + queue.waiting.length > 0) {
        const company = queue.halves.length === 0 ? this.#options.gather() : undefined
        if (company !== undefined) await company
        const group = await this.#announced(queue.halves.shift() ?? this.#take(queue))
        if (group.length > 0) await this.#commit(queue, group)
      }
    } finally {
      queue.busy = false
    }
  }

  #take(queue: Queue): Waiting[] {
    const group: Waiting[] = []
    let rows = 0
    for (const next of queue.waiting) {
      rows += next.member.days.reduce((sum, day) => sum + day.rows, 0)
      if (group.length > 0 && (group.length >= queue.most || rows > this.#options.groupRows)) break
      group.push(next)
    }
    queue.waiting = queue.waiting.slice(group.length)
    return group
  }

  async #announced(group: readonly Waiting[]): Promise<Waiting[]> {
    const announced: Waiting[] = []
    for (const waiting of group) {
      try {
        await this.#options.onCommitting(waiting.member)
        announced.push(waiting)
      } catch (error) {
        waiting.reject(error)
      }
    }
    return announced
  }

  async #commit(queue: Queue, group: readonly Waiting[]): Promise<void> {
    const started = performance.now()
    const done = (outcome: 'published' | 'refused' | 'failed'): void =>
      this.#options.onCommitted(group.length, (performance.now() - started) / 1_000, outcome)
    try {
      const members = group.map(({ member }) => member)
      const publications = await this.#warehouse.commit(queue.table, queue.totals, members, this.#options.call)
      const groupId = randomUUID()
      const byId = new Map(publications.map(publication => [publication.attemptId, publication]))
      done('published')
      this.#grow(queue, group.length)
      for (const { member, resolve, reject } of group) {
        const publication = byId.get(member.attemptId)
        if (publication === undefined) reject(new Error(`the warehouse forgot attempt ${member.attemptId}`))
        else resolve({ ...publication, groupId })
      }
    } catch (error) {
      if (error instanceof GroupRefused && group.some(({ member }) => error.refused.has(member.attemptId))) {
        done('refused')
        queue.waiting = [...group.filter(({ member }) => !error.refused.has(member.attemptId)), ...queue.waiting]
        for (const { member, reject } of group)
          if (error.refused.has(member.attemptId)) reject(error.refused.get(member.attemptId))
      } else if (error instanceof DataError && group.length > 1) {
        done('refused')
        const half = Math.ceil(group.length / 2)
        if (error.code === 'WAREHOUSE_CEILING') {
          queue.most = half
          queue.full = 0
        }
        queue.halves.unshift(group.slice(0, half), group.slice(half))
      } else {
        done('failed')
        for (const { reject } of group) reject(asHeadraceError(error))
      }
    }
  }

  /** A group that was published shows what the warehouse takes; more is tried now and then. */
  #grow(queue: Queue, size: number): void {
    if (size < queue.most) return
    queue.full = size > queue.most ? 0 : queue.full + 1
    queue.most = size
    if (queue.full < GROWS_AFTER) return
    queue.full = 0
    queue.most = Math.min(this.#options.groupChunks, Math.ceil(size * 1.25))
  }
}
