import { createHash } from 'node:crypto'
import { splitWindow, type Window } from '../chunk.ts'

/** One of several parts of a backfill, each for a process of its own: together they are all of it, and no chunk is in two. */
export interface Shard {
  /** From 0. */
  readonly index: number
  readonly count: number
}

/** What a shard reads. */
export interface Part {
  readonly window: Window
  readonly clients: readonly string[]
}

/** Reads `3/20`; undefined when it is not a shard. */
export function parseShard(text: string): Shard | undefined {
  const [, index, count] = /^(\d{1,6})\/(\d{1,6})$/.exec(text) ?? []
  const shard = { index: Number(index), count: Number(count) }
  return shard.index < shard.count ? shard : undefined
}

/** `3/20`. */
export function shardText({ index, count }: Shard): string {
  return `${index}/${count}`
}

/**
 * The part of a backfill that a shard reads; undefined when nothing falls to it. Clients are dealt out by a hash of their name, so that all that is asked
 * of one account is asked by one process. A single client is dealt out by its days: chunks that follow each other, none of them cut.
 */
export function partOf(shard: Shard, { window, clients }: Part, chunkDays: number): Part | undefined {
  const { index, count } = shard
  if (clients.length > 1) {
    const mine = clients.filter(client => hashOf(client) % count === index)
    return mine.length === 0 ? undefined : { window, clients: mine }
  }
  const chunks = splitWindow(window, chunkDays)
  const mine = chunks.slice(Math.floor((index * chunks.length) / count), Math.floor(((index + 1) * chunks.length) / count))
  const [first, last] = [mine.at(0), mine.at(-1)]
  return first === undefined || last === undefined ? undefined : { window: { from: first.from, to: last.to }, clients }
}

/** The same on every host and in every version: another one would deal out a backfill anew that is half done. */
function hashOf(client: string): number {
  return createHash('sha256').update(client).digest().readUInt32BE()
}
