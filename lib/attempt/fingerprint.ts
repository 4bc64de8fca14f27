/**
 * Two 32-bit lanes of a hash over bytes, left in `a` and `b`. Not cryptographic: it tells rows apart, it does not resist someone
 * who makes rows collide. One object is used again and again, because a result object per row would cost more than the hash.
 */
class RowHash {
  a = 0
  b = 0

  over(bytes: DataView, start: number, end: number): void {
    let a = 0x243f6a88
    let b = 0x13198a2e
    let at = start
    for (; at + 4 <= end; at += 4) {
      const word = bytes.getInt32(at, true)
      a = Math.imul(a ^ word, 0x9e3779b1)
      a ^= a >>> 15
      b = Math.imul((b + word) | 0, 0x5f356495)
      b ^= b >>> 13
    }
    for (; at < end; at++) {
      const byte = bytes.getUint8(at)
      a = Math.imul(a ^ byte, 0x9e3779b1)
      b = Math.imul((b + byte) | 0, 0x5f356495)
    }
    a ^= end - start
    a = Math.imul(a ^ (a >>> 16), 0x85ebca6b)
    b = Math.imul(b ^ (b >>> 16), 0xc2b2ae35)
    a = Math.imul((a ^ (a >>> 13)) + b, 0xc2b2ae35)
    b = Math.imul((b ^ (b >>> 13)) + a, 0x85ebca6b)
    this.a = (a ^ (a >>> 16)) | 0
    this.b = (b ^ (b >>> 15)) | 0
  }
}

/**
 * What a set of rows contains, in 64 bits, whatever order they came in: the sum of the hashes of the rows. Two reads of a day with the
 * same fingerprint and row count are the same rows, but for a chance of about one in 2^64.
 */
export class Fingerprint {
  #a = 0
  #b = 0

  add(a: number, b: number): void {
    this.#a = (this.#a + a) | 0
    this.#b = (this.#b + b) | 0
  }

  /** 16 hexadecimal digits. */
  toString(): string {
    return [this.#a, this.#b].map(lane => (lane >>> 0).toString(16).padStart(8, '0')).join('')
  }
}

/** What a key table says of a row: its key is new, the same row was there, or another row with that key. */
export type Seen = 'new' | 'same' | 'other'

/**
 * The keys of one chunk, as hashes, to find rows that the API sent twice: 16 bytes a slot and nothing else, however long keys are.
 * It stops taking keys at `limit`; from there on the warehouse has to check the key.
 */
export class KeyTable {
  readonly #limit: number
  #slots: Int32Array
  #size = 0

  constructor(limit: number) {
    this.#limit = limit
    this.#slots = new Int32Array(4 * 4_096)
  }

  /** Whether keys went by unchecked. */
  overflowed = false

  add(keyA: number, keyB: number, rowA: number, rowB: number): Seen {
    // A slot of two zeros is an empty one; the one key in 2^64 that hashes to it is taken for its neighbour.
    const first = keyA === 0 && keyB === 0 ? 1 : keyA
    let at = this.#find(first, keyB)
    if (this.#slots[at] !== 0 || this.#slots[at + 1] !== 0) {
      return this.#slots[at + 2] === rowA && this.#slots[at + 3] === rowB ? 'same' : 'other'
    }
    if (this.#size >= this.#limit) {
      this.overflowed = true
      return 'new'
    }
    if (this.#size * 6 >= this.#slots.length) {
      this.#grow()
      at = this.#find(first, keyB)
    }
    this.#slots[at] = first
    this.#slots[at + 1] = keyB
    this.#slots[at + 2] = rowA
    this.#slots[at + 3] = rowB
    this.#size++
    return 'new'
  }

  #find(keyA: number, keyB: number): number {
    const mask = this.#slots.length / 4 - 1
    for (let slot = keyA & mask; ; slot = (slot + 1) & mask) {
      const at = slot * 4
      const a = this.#slots[at]
      const b = this.#slots[at + 1]
      if ((a === keyA && b === keyB) || (a === 0 && b === 0)) return at
    }
  }

  #grow(): void {
    const old = this.#slots
    this.#slots = new Int32Array(old.length * 4)
    for (let from = 0; from < old.length; from += 4) {
      const a = old[from] as number
      const b = old[from + 1] as number
      if (a === 0 && b === 0) continue
      const at = this.#find(a, b)
      this.#slots[at] = a
      this.#slots[at + 1] = b
      this.#slots[at + 2] = old[from + 2] as number
      this.#slots[at + 3] = old[from + 3] as number
    }
  }
}

/** The shared hasher: read `a` and `b` right after `over`. */
export const rowHash: RowHash = new RowHash()
