import { ApiError } from './errors.ts'

/** The parts of a multipart body, one after the other; each must be read before the next is asked for. */
export class Multipart {
  readonly #chunks: AsyncIterator<Buffer>
  readonly #delimiter: Buffer
  #rest: Buffer = Buffer.from('\r\n')
  #ended = false

  constructor(body: AsyncIterable<Buffer>, contentType: string) {
    const [, quoted, plain] = /^multipart\/related\s*;.*?boundary=(?:"([^"]+)"|([^;\s]+))/i.exec(contentType) ?? []
    const boundary = quoted ?? plain
    if (boundary === undefined) throw new ApiError('badRequest', `Invalid multipart request with Content-Type ${contentType}`)
    this.#delimiter = Buffer.from(`\r\n--${boundary}`)
    this.#chunks = body[Symbol.asyncIterator]()
  }

  /** Goes past what is before the first part. */
  async start(): Promise<void> {
    for await (const _ of this.content());
  }

  /** Goes past the headers of the next part; throws if there is none. */
  async next(): Promise<void> {
    if (await this.#isEnd()) throw malformed()
    await this.#through(Buffer.from('\r\n\r\n'))
  }

  /** Reads to the end of the body; throws if there is another part. */
  async finish(): Promise<void> {
    if (!(await this.#isEnd())) throw new ApiError('badRequest', 'Multipart body with more than two parts.')
    do this.#rest = Buffer.alloc(0)
    while (await this.#more())
  }

  /** The bytes up to the next boundary. */
  async *content(): AsyncGenerator<Buffer> {
    const held = this.#delimiter.length - 1
    for (;;) {
      const at = this.#rest.indexOf(this.#delimiter)
      if (at >= 0) {
        if (at > 0) yield this.#rest.subarray(0, at)
        this.#rest = this.#rest.subarray(at + this.#delimiter.length)
        return
      }
      if (this.#rest.length > held) {
        yield this.#rest.subarray(0, this.#rest.length - held)
        this.#rest = this.#rest.subarray(this.#rest.length - held)
      }
      if (!(await this.#more())) throw malformed()
    }
  }

  /** A boundary was just read: two dashes after it end the body. */
  async #isEnd(): Promise<boolean> {
    while (this.#rest.length < 2 && (await this.#more()));
    return this.#rest.toString('latin1', 0, 2) === '--'
  }

  async #through(mark: Buffer): Promise<void> {
    for (;;) {
      const at = this.#rest.indexOf(mark)
      if (at >= 0) {
        this.#rest = this.#rest.subarray(at + mark.length)
        return
      }
      if (this.#rest.length > 65_536 || !(await this.#more())) throw malformed()
    }
  }

  async #more(): Promise<boolean> {
    if (this.#ended) return false
    const { value, done } = await this.#chunks.next()
    if (done === true) {
      this.#ended = true
      return false
    }
    this.#rest = this.#rest.length === 0 ? value : Buffer.concat([this.#rest, value])
    return true
  }
}

function malformed(): ApiError {
  return new ApiError('badRequest', 'Malformed multipart body.')
}
