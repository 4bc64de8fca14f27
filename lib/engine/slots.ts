/** A fixed number of slots for work that should not all happen at once. */
export class Slots {
  readonly #size: number
  #free: number
  readonly #waiting: (() => void)[] = []
  #idle: PromiseWithResolvers<void> | undefined

  constructor(size: number) {
    this.#size = size
    this.#free = size
  }

  /** Whether work is going on. */
  get busy(): boolean {
    return this.#free < this.#size
  }

  /** Resolves as soon as no work is going on. */
  async idle(): Promise<void> {
    if (!this.busy) return
    this.#idle ??= Promise.withResolvers()
    await this.#idle.promise
  }

  /** Resolves when a slot is free, without taking it. */
  async available(): Promise<void> {
    while (this.#free === 0) await new Promise<void>(resolve => this.#waiting.push(resolve))
  }

  /** Does the work in a slot: at once when one is free. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free === 0) await this.available()
    this.#free--
    try {
      return await work()
    } finally {
      this.#free++
      for (const resolve of this.#waiting.splice(0)) resolve()
      if (!this.busy) {
        this.#idle?.resolve()
        this.#idle = undefined
      }
    }
  }
}
