import t from 'tap'
import { appeared, vanished } from '../../lib/monitor/clients.ts'
import { dayAgo, daysOfClient, readAt, watchedOf } from './kit.ts'

const day = (count?: number) => (client: string) => daysOfClient(client, () => ({ rows: 50 }), count)

t.test('clients that are read as ever are nothing', async t => {
  const watched = watchedOf({ days: ['a', 'b'].flatMap(day()) })
  t.strictSame([...appeared(watched), ...vanished(watched)], [])
})

t.test('a client that is read for the first time is reported', async t => {
  t.match(appeared(watchedOf({ days: [...day()('a'), ...day(3)('b')] })), [
    { level: 'report', what: 'client b read for the first time' },
  ])
})

t.test('a pipeline that is new has no new clients', async t => {
  t.strictSame(appeared(watchedOf({ days: ['a', 'b'].flatMap(day(3)) })), [])
})

t.test('a past that is filled in makes nobody new', async t => {
  const filled = daysOfClient('a', ago => ({ publishedAt: ago > 30 ? readAt(dayAgo(1)) : readAt(dayAgo(ago)) }))
  t.strictSame(appeared(watchedOf({ days: [...filled, ...day()('b')] })), [])
})

t.test('a client that is not read any more is found, for two weeks', async t => {
  const clients = [{ id: 'a', timeZone: 'UTC' }]
  const gone = (last: number) => daysOfClient('b', ago => (ago < last ? undefined : { rows: 50 }))
  t.match(vanished(watchedOf({ days: [...day()('a'), ...gone(1)], clients })), [
    {
      level: 'ticket',
      places: [{ client: 'b', day: dayAgo(1) }],
      what: 'client b not among the clients any more, about 50 rows a day',
    },
  ])
  t.strictSame(vanished(watchedOf({ days: [...day()('a'), ...gone(20)], clients })), [])
})
