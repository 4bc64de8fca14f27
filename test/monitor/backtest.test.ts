import t from 'tap'
import { backtest, byKind, isSmall } from '../../bench/backtest/backtest.ts'

/**
 * A small version of `npm run backtest`: real flights of the airports with an S, two faults of each kind by seed. What it demands holds for any seed that was tried;
 * `docs/monitoring.md` has the whole.
 */
const result = await backtest(3, 16, 'S')

t.test('faults that concern as many rows as are worth telling of are found, all but few', async t => {
  const large = result.judged.filter(one => !isSmall(one))
  const missed = large.filter(({ by }) => by.size === 0)
  t.comment(
    `${large.length} faults, ${missed.length} missed: ${JSON.stringify(missed.map(({ fault, rows }) => ({ ...fault, rows })))}`,
  )
  t.ok(large.length >= 6, 'enough to say something')
  t.ok(missed.length <= large.length / 5)
})

t.test('a day that is not published is always found, whatever its size', async t => {
  const missing = byKind(result).get('missing') ?? []
  t.equal(missing.length, 2)
  t.ok(missing.every(({ by }) => by.has('completeness') || by.has('freshness')))
})

t.test('faults are told of by the monitor that is there for them', async t => {
  const telling = { zero: 'empty', repeat: 'repeated', nulls: 'nulls', drop: 'volume' } as const
  for (const [kind, some] of byKind(result)) {
    for (const { by, rows } of some) {
      if (by.size > 0 && kind in telling)
        t.ok(by.has(telling[kind as keyof typeof telling]), `${kind} of ${rows} rows: ${[...by].join(', ')}`)
    }
  }
})

t.test('half a year of healthy days gives hardly a false alarm', async t => {
  t.comment(result.alarms.map(({ what }) => what).join('\n'))
  t.ok(result.alarms.length <= 6)
})
