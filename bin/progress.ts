import { MultiBar, type SingleBar } from 'cli-progress'
import type { RunEvent, WarningName } from '../lib/index.ts'
import { SETTLED_STATES } from '../lib/ledger/states.ts'
import { count, duration, output } from './output.ts'

/** Warnings of one name that are printed one by one; the others are only counted. */
const PRINTED = 5

/** Warnings that the closing account tells better. */
const AT_THE_END: ReadonlySet<WarningName> = new Set(['RESTATED', 'CHUNK_EMPTY'])

/** How often a line is printed where there is no terminal to draw on. */
const LINE_EVERY_MS = 10_000

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
  /** Warnings so far, by name. */
  readonly warnings = new Map<WarningName, number>()

  constructor(terminal: boolean) {
    if (!terminal) return
    this.#bars = new MultiBar({
      format: '{bar} {percentage}%  {value}/{total} chunks  {rows} rows  {rate} rows/s  {rejected} rejected  ETA {eta_formatted}',
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
          this.#print(`taking up the run of ${when(event.run.startedAt)}: ${count(left)} of ${count(chunks)} chunks left`)
        this.#bar = this.#bars?.create(left, 0, this.#figures())
        if (this.#bars === undefined) this.#print(`${count(left)} chunks`)
        break
      }
      case 'page':
        this.#rows += event.records
        break
      case 'warning': {
        const seen = (this.warnings.get(event.name) ?? 0) + 1
        this.warnings.set(event.name, seen)
        if (AT_THE_END.has(event.name)) break
        if (seen <= PRINTED) this.#print(`${event.name}: ${event.message}`)
        if (seen === PRINTED) this.#print(`${event.name}: further ones are only counted`)
        break
      }
      case 'chunk':
        this.#rejected += event.summary?.rows.rejected ?? 0
        if ((SETTLED_STATES as readonly string[]).includes(event.state)) this.#done++
        if (event.error !== null)
          this.#print(
            `${event.state === 'pending' ? 'to be tried again' : event.state}: ${event.error.code}: ${event.error.message}`,
          )
        break
      case 'draining':
        this.#print(`stopping: ${event.underWay} chunks under way are finished first; once more to give them up`)
        break
    }
    this.#draw()
  }

  /** Takes the bar off the terminal. */
  stop(): void {
    if (this.#bar !== undefined) this.#bar.update(this.#done, this.#figures())
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
    const { rows, rate, rejected } = this.#figures()
    const left = this.#done === 0 ? '' : `, about ${duration((this.#seconds() / this.#done) * (this.#total - this.#done))} left`
    this.#print(`${count(this.#done)} of ${count(this.#total)} chunks, ${rows} rows, ${rate} rows/s, ${rejected} rejected${left}`)
  }

  #figures(): { rows: string; rate: string; rejected: string } {
    return {
      rows: count(this.#rows),
      rate: count(Math.round(this.#rows / Math.max(this.#seconds(), 0.001))),
      rejected: count(this.#rejected),
    }
  }

  #seconds(): number {
    return (performance.now() - this.#started) / 1_000
  }

  #print(text: string): void {
    if (this.#bars === undefined) output.note(text)
    else this.#bars.log(`${text}\n`)
  }
}

function when(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`
}
