import { randomUUID } from 'node:crypto'
import { asHeadraceError, DataError } from '../errors.ts'
import type { Table } from '../table.ts'
import { GroupRefused, type Member, type Publication, type Warehouse, type WarehouseCall } from '../warehouse/warehouse.ts'

/** How large a group may become, and who is told about it. */
export interface CommitOptions {
  readonly groupChunks: number
  readonly groupRows: number
  readonly call: WarehouseCall
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
  /** Its group failed because of what it staged: it is tried alone. */
  readonly alone: boolean
}

interface Queue {
  readonly table: Table
  readonly totals: readonly string[]
  waiting: Waiting[]
  busy: boolean
}

/**
 * Publishes staged chunks in groups: one transaction per table at a time, and whatever has been staged while it ran goes into the next.
 * So a slow warehouse gets large groups and a fast one small ones, without a timer. A member that cannot be published never keeps
 * the others back.
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
    const queue = this.#queues.get(table.name) ?? { table, totals, waiting: [], busy: false }
    this.#queues.set(table.name, queue)
    return new Promise((resolve, reject) => {
      queue.waiting.push({ member, resolve, reject, alone: false })
      if (!queue.busy) void this.#drain(queue)
    })
  }

  async #drain(queue: Queue): Promise<void> {
    queue.busy = true
    try {
      while (queue.waiting.length > 0) {
        const group = await this.#announced(this.#take(queue))
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
      const full = group.length >= this.#options.groupChunks || rows > this.#options.groupRows
      if (group.length > 0 && (full || next.alone || group[0]?.alone)) break
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
        queue.waiting = [...group.map(waiting => ({ ...waiting, alone: true })), ...queue.waiting]
      } else {
        done('failed')
        for (const { reject } of group) reject(asHeadraceError(error))
      }
    }
  }
}
