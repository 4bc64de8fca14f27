import { MultiBar, type SingleBar } from 'cli-progress'
import { chunkText } from '../lib/chunk.ts'
import type { RunEvent, WarningName } from '../lib/index.ts'
import { SETTLED_STATES } from '../lib/ledger/states.ts'
import { count, duration, minute, output, plural } from './output.ts'

/** Messages of one kind that are printed one by one; the others are only counted. */
const PRINTED = 5

/** Warnings that the closing account tells better. */
const AT_THE_END: ReadonlySet<WarningName> = new Set(['RESTATED', 'CHUNK_EMPTY'])

/** How often a line is printed where there is no terminal to draw on. */
const LINE_EVERY_MS = 10_000

/** Lets a long line wrap although the bar below it must not. */
const wrapped = (text: string): string => `\x1b[?7h${text}\x1b[?7l\n`

/** Follows a run: a bar on a terminal, a line now and then elsewhere. */
export class Progress {
  readonly #started = performance.now()
  readonly #bars: MultiBar | undefined
  #bar: SingleBar | undefined
  #total = 0
  #done = 0
  #rows = 0
  #rejected = 0
  #lastLine = performance.now()
  /** Messages so far, by kind. */
  readonly #said = new Map<string, number>()
  /** Warnings so far, by name. */
  readonly warnings = new Map<WarningName, number>()

  constructor(terminal: boolean) {
    if (!terminal) return
    this.#bars = new MultiBar({
      format: '{bar} {percentage}%  {value}/{total} chunks  {rows} rows  {rate} rows/s  {rejected} rejected{left}',
      barCompleteChar: '█',
      barIncompleteChar: '░',
      barsize: 24,
      stream: process.stderr,
      hideCursor: true,
      stopOnComplete: false,
      gracefulExit: false,
    })
  }

  /** Takes what a run tells. */
  readonly observe = (event: RunEvent): void => {
    switch (event.type) {
      case 'started': {
        const chunks = Object.values(event.progress).reduce((sum, number) => sum + number, 0)
        const left = event.progress.pending + event.progress.running + event.progress.staged
        this.#total = left
        if (event.run.resumed)
          this.say(`taking up the run of ${minute(event.run.startedAt)}: ${count(left)} of ${plural(chunks, 'chunk')} left`)
        else if (this.#bars === undefined) this.say(`${plural(left, 'chunk')} to read`)
        this.#bar = this.#bars?.create(left, 0, this.#figures())
        break
      }
      case 'page':
        this.#rows += event.records
        break
      case 'warning':
        this.warnings.set(event.name, (this.warnings.get(event.name) ?? 0) + 1)
        if (!AT_THE_END.has(event.name)) this.#count(event.name, `${event.name}: ${event.message}`)
        break
      case 'chunk': {
        const { chunk, state, summary, error, parts } = event
        this.#rejected += summary?.rows.rejected ?? 0
        if ((SETTLED_STATES as readonly string[]).includes(state)) this.#done++
        if (parts.length > 0) {
          // The warning has told it.
          this.#total += parts.length - 1
          this.#bar?.setTotal(this.#total)
          break
        }
        // What was given up because somebody said so is in the closing account.
        if (error === null || error.code === 'ABORTED') break
        const name = chunkText(chunk)
        const message = error.message.startsWith(name) ? error.message : `${name}: ${error.message}`
        this.#count(error.code, `${state === 'pending' ? 'to be tried again' : state}: ${error.code}: ${message}`)
        break
      }
    }
    this.#draw()
  }

  /** Takes the bar off the terminal. */
  stop(): void {
    const bar = this.#bar
    this.#bar = undefined
    if (bar === undefined) return
    bar.update(this.#done, { ...this.#figures(), left: '' })
    // Prints what was said since it was last drawn.
    this.#bars?.update()
    this.#bars?.stop()
  }

  #draw(): void {
    if (this.#bar !== undefined) {
      this.#bar.update(this.#done, this.#figures())
      return
    }
    const now = performance.now()
    if (this.#bars !== undefined || now - this.#lastLine < LINE_EVERY_MS) return
    this.#lastLine = now
    const { rows, rate, rejected, left } = this.#figures()
    this.say(`${count(this.#done)} of ${plural(this.#total, 'chunk')}, ${rows} rows, ${rate} rows/s, ${rejected} rejected${left}`)
  }

  #figures(): { rows: string; rate: string; rejected: string; left: string } {
    const seconds = (performance.now() - this.#started) / 1_000
    const known = this.#done > 0 && this.#done < this.#total
    return {
      rows: count(this.#rows),
      rate: count(Math.round(this.#rows / Math.max(seconds, 0.001))),
      rejected: count(this.#rejected),
      left: known ? `, ETA ${duration((seconds / this.#done) * (this.#total - this.#done))}` : '',
    }
  }

  /** Counts a message, and prints the first few of its kind. */
  #count(kind: string, text: string): void {
    const said = (this.#said.get(kind) ?? 0) + 1
    this.#said.set(kind, said)
    if (said <= PRINTED) this.say(text)
    if (said === PRINTED + 1) this.say(`${kind}: further ones are only counted`)
  }

  /** Prints a line, above the bar if there is one. */
  say(text: string): void {
    if (this.#bars === undefined || this.#bar === undefined) output.note(text)
    else this.#bars.log(wrapped(text))
  }
}
