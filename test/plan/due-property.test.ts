import fc from 'fast-check'
import t from 'tap'
import { addDays, type Day, daysOf } from '../../lib/chunk.ts'
import { compilePipeline } from '../../lib/compile.ts'
import type { Client } from '../../lib/config.ts'
import { defineConnector } from '../../lib/connector.ts'
import { duckdb } from '../../lib/index.ts'
import type { Ledger } from '../../lib/ledger/ledger.ts'
import { client, day } from '../../lib/mapping.ts'
import { definePipeline } from '../../lib/pipeline.ts'
import { type DueRun, planDue } from '../../lib/plan/plan.ts'
import { dayAt, lastOccasion, type Schedule } from '../../lib/plan/schedule.ts'
import { date, defineTable, string } from '../../lib/table.ts'
import { fresh, PROBLEM, publish, stage, summaryOf } from '../ledger/kit.ts'

const HOUR = 3_600_000
const LEASE = HOUR
const SERVED = { pipelines: [{ name: 'visits', atOnce: 1_000, after: [] }], perAccount: 1_000 }

const cron = fc.constantFrom('0 6 * * *', '30 2 * * *', '0 3 * * SUN', '0 2 1 * *', '0 */8 * * *')
const schedules = fc
  .array(fc.record({ cron, lookbackDays: fc.constantFrom(1, 3, 7, 8, 30, 60) }), { minLength: 1, maxLength: 3 })
  .map(list => list.map((one, index): Schedule => ({ ...one, name: `s${index}` })))
const zone = fc.constantFrom('UTC', 'Europe/Berlin', 'America/St_Johns', 'Pacific/Kiritimati', 'Australia/Lord_Howe')

/** What happens next: time passes, a daemon looks what is due, chunks end in one way or another. */
const event = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('pass' as const), hours: fc.constantFrom(1, 9, 24, 24 * 8, 24 * 40) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('plan' as const) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('work' as const),
      endings: fc.array(fc.constantFrom('published', 'published', 'published', 'failed', 'held', 'parked', 'left'), {
        maxLength: 8,
      }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('rest' as const) }) },
)

/** Claims the next chunk there is and brings it to an end; says whether there was one. */
async function end(ledger: Ledger, ending: string): Promise<boolean> {
  const claim = await ledger.claim(SERVED, LEASE)
  if (claim === undefined || 'waitMs' in claim) return false
  if (ending === 'published') await publish(ledger, claim)
  else {
    await stage(ledger, claim)
    await ledger.committing([claim.attemptId])
    const problem = { problem: PROBLEM, certain: false }
    if (ending === 'failed' || ending === 'held' || ending === 'parked') {
      await ledger.settle(claim.attemptId, { state: ending, ...problem }, summaryOf(claim))
    }
  }
  return true
}

/** Every day of a plan, with the client; a day that is planned twice stands in it twice. */
function plannedDays(runs: readonly DueRun[], client: string): Day[] {
  return runs.flatMap(({ chunks }) => chunks.flatMap(({ chunk }) => (chunk.client === client ? daysOf(chunk.window) : [])))
}

/** What is wrong with a plan. */
async function* wrong(
  runs: readonly DueRun[],
  clients: readonly Client[],
  schedule: readonly Schedule[],
  ledger: Ledger,
  now: number,
): AsyncGenerator<string> {
  const answered = await ledger.occasions('visits')
  const waiting = await ledger.waiting('visits')
  for (const { id, timeZone } of clients) {
    const planned = plannedDays(runs, id)
    if (new Set(planned).size !== planned.length) yield `${id}: a day is planned twice`
    const due = schedule.filter(one => {
      const known = answered.find(({ schedule, client }) => schedule === one.name && client === id)?.at ?? 0
      return lastOccasion(one, timeZone, now) > known
    })
    const told = runs.flatMap(({ occasions }) => occasions.filter(({ client }) => client === id).map(({ schedule }) => schedule))
    if (told.join() !== due.map(({ name }) => name).join())
      yield `${id}: due are ${due.map(({ name }) => name)}, answered ${told}`
    if (due.length === 0) continue
    const days = await ledger.allDays('visits', id)
    const accounted = new Set([
      ...planned,
      ...waiting.filter(({ client }) => client === id).flatMap(({ window }) => daysOf(window)),
    ])
    const throughs = due.map(one => ({ one, through: addDays(dayAt(lastOccasion(one, timeZone, now), timeZone), -1) }))
    for (const { one, through } of throughs) {
      for (const day of daysOf({ from: addDays(through, 1 - one.lookbackDays), to: through })) {
        if (!accounted.has(day)) yield `${id}: ${one.name} looks back to ${day}, which nobody reads`
      }
    }
    const certain = new Set(days.filter(({ doubtful }) => !doubtful).map(({ day }) => day))
    const last = throughs.map(({ through }) => through).reduce((a, b) => (a > b ? a : b))
    for (const day of days[0] === undefined ? [] : daysOf({ from: days[0].day, to: last })) {
      if (!certain.has(day) && !accounted.has(day)) yield `${id}: ${day} is not published, and nobody reads it`
    }
    const wanted = new Set(
      throughs.flatMap(({ one, through }) => daysOf({ from: addDays(through, 1 - one.lookbackDays), to: through })),
    )
    for (const day of planned) if (!wanted.has(day) && certain.has(day)) yield `${id}: ${day} is read again for nothing`
  }
}

t.test('whatever happened, a plan has every day that is wanted or missing, once, and answered it is empty', async t => {
  const counts = { plans: 0, chunks: 0, events: 0 }
  await fc.assert(
    fc.asyncProperty(
      schedules,
      fc.array(zone, { minLength: 1, maxLength: 2 }),
      fc.constantFrom(1, 3, 31),
      fc.array(event, { minLength: 4, maxLength: 12 }),
      async (schedule, zones, days, events) => {
        const clock = { now: Date.parse('2026-03-20T00:30:00Z') }
        const { ledger } = fresh(t, { clock })
        const clients = zones.map((timeZone, index): Client => ({ id: `c${index}`, timeZone }))
        const pipeline = definePipeline({
          name: 'visits',
          source: defineConnector<{ readonly date: string }>({ name: 'web', async *pages() {} }),
          table: defineTable('web.visits', { client_id: string(), date: date() }, { partitionBy: 'date' }),
          map: { client_id: client(), date: day('date') },
          chunk: { days },
          schedule,
        })
        const compiled = [compilePipeline(pipeline, duckdb({ path: '/nowhere/warehouse.duckdb' }))]
        for (const happened of events) {
          counts.events++
          if (happened.kind === 'pass') clock.now += happened.hours * HOUR
          else if (happened.kind === 'work') for (const ending of happened.endings) await end(ledger, ending)
          else if (happened.kind === 'rest') while (await end(ledger, 'published'));
          else {
            const runs = await planDue(compiled, clients, ledger, clock.now)
            counts.plans++
            counts.chunks += runs.reduce((sum, { chunks }) => sum + chunks.length, 0)
            const problems = await Array.fromAsync(wrong(runs, clients, schedule, ledger, clock.now))
            if (problems.length > 0) throw new Error(problems.slice(0, 5).join('\n'))
            const other = await planDue(compiled, clients, ledger, clock.now)
            if (JSON.stringify(other) !== JSON.stringify(runs))
              throw new Error('two daemons plan differently at the same instant')
            for (const { request, chunks, occasions } of runs) {
              const planned = chunks.map(({ chunk, priority }) => ({ ...chunk, priority }))
              if ((await ledger.beginRun(request, planned, { served: true, occasions })) === undefined)
                throw new Error('not begun')
              if ((await ledger.beginRun(request, planned, { served: true, occasions })) !== undefined)
                throw new Error('begun twice')
            }
            if ((await planDue(compiled, clients, ledger, clock.now)).length > 0) throw new Error('due again at the same instant')
          }
        }
        await ledger.close()
      },
    ),
    { numRuns: 30 },
  )
  t.comment(JSON.stringify(counts))
  t.ok(counts.plans > 30 && counts.chunks > 200, 'enough was planned for this to mean anything')
})
