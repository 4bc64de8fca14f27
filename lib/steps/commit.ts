import { randomUUID } from 'node:crypto'
import { asHeadraceError, DataError } from '../errors.ts'
import type { Table } from '../table.ts'
import type { SpanIds } from '../trace.ts'
import { GroupRefused, type Member, type Publication, type Warehouse, type WarehouseCall } from '../warehouse/warehouse.ts'

/** How the processes that publish into one table take turns. `R` is what is written down of a publication. */
export interface Turns<R> {
  /** Does the work while no other process publishes into the table. */
  take(table: string, work: () => Promise<void>): Promise<void>
  /** Of attempts that waited for their turn: what others have published of them meanwhile. */
  published(attemptIds: readonly string[]): Promise<ReadonlyMap<string, R>>
  /** What others have staged for a pipeline and have not published. */
  staged(pipeline: string): Promise<readonly Candidate[]>
}

/** How large a group may become, who is told about it, and how processes take turns. */
export interface CommitOptions<R> {
  readonly groupChunks: number
  readonly groupRows: number
  readonly call: WarehouseCall
  /** Waited for before a group is put together, while others may be about to join it; nothing when nobody is. */
  readonly gather: () => Promise<void> | undefined
  readonly turns: Turns<R>
  /** Called right before a group is committed; when it throws, it is called for each member by itself, and those for which it throws stay out. */
  readonly onCommitting: (members: readonly Member[]) => Promise<void>
  /** Runs the transaction of a group; whoever traces comes in between. */
  readonly transaction: <T>(group: Group, commit: () => Promise<T>) => Promise<T>
  /** Called after each transaction. */
  readonly onCommitted: (transaction: Transaction) => void
}

/** What became of a transaction. */
export interface Transaction {
  readonly pipeline: string
  readonly members: number
  readonly seconds: number
  /** `refused` is tried again without those at fault, or in halves; `failed` is over. */
  readonly outcome: 'published' | 'refused' | 'failed'
}

/** Chunks that are published together. */
export interface Group {
  readonly id: string
  readonly table: string
  /** The spans of their attempts, where those are traced. */
  readonly traces: readonly (SpanIds | undefined)[]
}

/** What became of one member, and with whom it was published. */
export interface Committed extends Publication {
  readonly groupId: string
}

/** A member that asks to be published, and what follows. Both ends are waited for within the turn, so that nobody takes it for one that still waits. */
export interface Candidate {
  readonly member: Member
  /** The span of its attempt, where that is traced. */
  readonly trace: SpanIds | undefined
  /** It is published, or found unchanged. */
  committed(committed: Committed): Promise<void>
  /** It cannot be. */
  refused(error: unknown): Promise<void>
}

/** What a chunk of this process does once its member has come to an end. */
export interface Ending<T> extends Pick<Candidate, 'trace'> {
  /** Writes down that it is published. */
  record(committed: Committed): Promise<T>
  /** Keeps others from publishing what was refused here. */
  withdraw(): Promise<void>
}

/** Which pipeline a member is of, and where it goes. */
export interface Target {
  readonly name: string
  readonly table: Table
  readonly totals: readonly string[]
}

interface Waiting<R> extends Candidate {
  /** Somebody else has published it. */
  readonly elsewhere?: (result: R) => void
}

interface Queue<R> {
  readonly target: Target
  waiting: Waiting<R>[]
  /** Halves of groups that were refused as a whole; they go before those that wait, and with nobody else. */
  readonly halves: (readonly Waiting<R>[])[]
  /** Members of a group at most: what the warehouse was last seen to take. */
  most: number
  /** Groups of that size that were published since. */
  full: number
  /** Until everything that waits is published. */
  busy: Promise<void> | undefined
}

/** After so many full groups the next may be larger, by a quarter. */
const GROWS_AFTER = 4

/**
 * Publishes staged chunks in groups: one transaction per table at a time, and whatever has been staged while it ran goes into the next, whichever
 * process has staged it. So a slow warehouse gets large groups and a fast one small ones. A member that cannot be published never keeps
 * the others back: those at fault go, and a group that is refused without a name is tried by halves. One that is too much for the
 * warehouse also makes the next ones smaller.
 */
export class Committer<R> {
  readonly #warehouse: Warehouse
  readonly #options: CommitOptions<R>
  readonly #queues = new Map<string, Queue<R>>()

  constructor(warehouse: Warehouse, options: CommitOptions<R>) {
    this.#warehouse = warehouse
    this.#options = options
  }

  /** Resolves when the member is published and that is written down, here or by another process; rejects when it cannot be. */
  publish<T>(target: Target, member: Member, { trace, record, withdraw }: Ending<T>): Promise<T | R> {
    return new Promise((resolve, reject) => {
      const queue = this.#queue(target)
      queue.waiting.push({
        member,
        trace,
        committed: committed => record(committed).then(resolve, reject),
        refused: error => withdraw().then(() => reject(error), reject),
        elsewhere: resolve,
      })
      void this.#drained(queue)
    })
  }

  /** Publishes what others have staged and left. */
  collect(target: Target): Promise<void> {
    return this.#drained(this.#queue(target))
  }

  #queue(target: Target): Queue<R> {
    const known = this.#queues.get(target.name)
    if (known !== undefined) return known
    const queue = { target, waiting: [], halves: [], most: this.#options.groupChunks, full: 0, busy: undefined }
    this.#queues.set(target.name, queue)
    return queue
  }

  #drained(queue: Queue<R>): Promise<void> {
    queue.busy ??= this.#drain(queue).finally(() => {
      queue.busy = undefined
    })
    return queue.busy
  }

  async #drain(queue: Queue<R>): Promise<void> {
    do {
      const company = queue.halves.length === 0 ? this.#options.gather() : undefined
      if (company !== undefined) await company
      try {
        await this.#options.turns.take(queue.target.table.name, () => this.#publishGroup(queue))
      } catch (error) {
        for (const { refused } of [...queue.halves.splice(0).flat(), ...queue.waiting.splice(0)]) await refused(error)
      }
    } while (queue.halves.length + queue.waiting.length > 0)
  }

  async #publishGroup(queue: Queue<R>): Promise<void> {
    if (queue.halves.length === 0) await this.#meet(queue)
    const group = await this.#announced(queue.halves.shift() ?? this.#take(queue))
    if (group.length > 0) await this.#commit(queue, group)
  }

  /** What others have published of ours waits no more, and what they have staged joins it. */
  async #meet(queue: Queue<R>): Promise<void> {
    const ours = queue.waiting.filter(({ elsewhere }) => elsewhere !== undefined)
    const published = await this.#options.turns.published(ours.map(({ member }) => member.attemptId))
    const theirs = await this.#options.turns.staged(queue.target.name)
    for (const { member, elsewhere } of ours) {
      const result = published.get(member.attemptId)
      if (result !== undefined) elsewhere?.(result)
    }
    // Some of ours may have come meanwhile; theirs are looked for each time.
    const left = queue.waiting.filter(({ member, elsewhere }) => elsewhere !== undefined && !published.has(member.attemptId))
    queue.waiting = [...left, ...theirs]
  }

  #take(queue: Queue<R>): Waiting<R>[] {
    const group: Waiting<R>[] = []
    let rows = 0
    for (const next of queue.waiting) {
      rows += next.member.days.reduce((sum, day) => sum + day.rows, 0)
      if (group.length > 0 && (group.length >= queue.most || rows > this.#options.groupRows)) break
      group.push(next)
    }
    queue.waiting = queue.waiting.slice(group.length)
    return group
  }

  async #announced(group: readonly Waiting<R>[]): Promise<readonly Waiting<R>[]> {
    try {
      await this.#options.onCommitting(group.map(({ member }) => member))
      return group
    } catch (error) {
      if (group.length > 1) {
        const apart: Waiting<R>[] = []
        for (const waiting of group) apart.push(...(await this.#announced([waiting])))
        return apart
      }
      for (const { refused } of group) await refused(error)
      return []
    }
  }

  async #commit(queue: Queue<R>, group: readonly Waiting<R>[]): Promise<void> {
    const started = performance.now()
    const { name: pipeline, table, totals } = queue.target
    const done = (outcome: Transaction['outcome']): void => {
      const seconds = (performance.now() - started) / 1_000
      this.#options.onCommitted({ pipeline, members: group.length, seconds, outcome })
    }
    const groupId = randomUUID()
    let publications: readonly Publication[]
    try {
      const members = group.map(({ member }) => member)
      publications = await this.#options.transaction(
        { id: groupId, table: table.name, traces: group.map(({ trace }) => trace) },
        () => this.#warehouse.commit(table, totals, members, this.#options.call),
      )
    } catch (error) {
      done(error instanceof GroupRefused || (error instanceof DataError && group.length > 1) ? 'refused' : 'failed')
      await this.#refused(queue, group, error)
      return
    }
    done('published')
    this.#grow(queue, group.length)
    const byId = new Map(publications.map(publication => [publication.attemptId, publication]))
    for (const { member, committed, refused } of group) {
      const publication = byId.get(member.attemptId)
      if (publication === undefined) await refused(new Error(`the warehouse forgot attempt ${member.attemptId}`))
      else await committed({ ...publication, groupId })
    }
  }

  /** Nothing of the group was published: who goes, and who is tried again. */
  async #refused(queue: Queue<R>, group: readonly Waiting<R>[], error: unknown): Promise<void> {
    if (error instanceof GroupRefused && group.some(({ member }) => error.refused.has(member.attemptId))) {
      queue.waiting = [...group.filter(({ member }) => !error.refused.has(member.attemptId)), ...queue.waiting]
      for (const { member, refused } of group) {
        const reason = error.refused.get(member.attemptId)
        if (reason !== undefined) await refused(reason)
      }
    } else if (error instanceof DataError && group.length > 1) {
      const half = Math.ceil(group.length / 2)
      if (error.code === 'WAREHOUSE_CEILING') {
        queue.most = half
        queue.full = 0
      }
      queue.halves.unshift(group.slice(0, half), group.slice(half))
    } else {
      for (const { refused } of group) await refused(asHeadraceError(error))
    }
  }

  /** A group that was published shows what the warehouse takes; more is tried now and then. */
  #grow(queue: Queue<R>, size: number): void {
    if (size < queue.most) return
    queue.full = size > queue.most ? 0 : queue.full + 1
    queue.most = size
    if (queue.full < GROWS_AFTER) return
    queue.full = 0
    queue.most = Math.min(this.#options.groupChunks, Math.ceil(size * 1.25))
  }
}
