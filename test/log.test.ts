import t from 'tap'
import { asHeadraceError, DataError, TransientError, withoutCredentials } from '../lib/errors.ts'
import { createLog, type LogLevel, serializeError } from '../lib/log.ts'
import { VERSION } from '../lib/version.ts'

/** Lines a log of this level writes. */
function lines(level: LogLevel): { readonly log: ReturnType<typeof createLog>; readonly written: Record<string, unknown>[] } {
  const written: Record<string, unknown>[] = []
  return { log: createLog(level, { write: line => void written.push(JSON.parse(line)) }), written }
}

t.test('a line of the log is one JSON object with time, level, version, process, event and message', async t => {
  const { log, written } = lines('info')
  log.info({ event: 'run.started', run: 'r1' }, 'backfill started')
  t.match(written, [
    {
      time: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
      level: 'info',
      headrace: VERSION,
      pid: process.pid,
      event: 'run.started',
      run: 'r1',
      message: 'backfill started',
    },
  ])
})

t.test('a level leaves out what is below it', async t => {
  for (const [level, expected] of [
    ['silent', []],
    ['error', ['error']],
    ['warn', ['error', 'warn']],
    ['info', ['error', 'warn', 'info']],
    ['debug', ['error', 'warn', 'info', 'debug']],
  ] as const) {
    const { log, written } = lines(level)
    log.error('x')
    log.warn('x')
    log.info('x')
    log.debug('x')
    t.same(
      written.map(line => line.level),
      expected,
      level,
    )
  }
})

t.test('of an error only what is known to be harmless is written', async t => {
  const { log, written } = lines('error')
  const cause = Object.assign(new Error('connect ECONNREFUSED'), {
    request: { headers: { authorization: 'Bearer planted' } },
    config: { params: { key: 'planted' } },
  })
  const error = Object.assign(new TransientError('API_UNREACHABLE', { message: 'no answer', hint: 'Run again.', cause }), {
    response: { body: 'planted' },
  })
  log.error({ err: error }, 'failed')
  t.match(written, [
    {
      err: {
        name: 'TransientError',
        code: 'API_UNREACHABLE',
        hint: 'Run again.',
        message: 'no answer',
        stack: /^TransientError: no answer\n/,
        cause: { name: 'Error', message: 'connect ECONNREFUSED' },
      },
    },
  ])
  t.notMatch(JSON.stringify(written), 'planted')
})

t.test('addresses in messages, stacks and causes lose what stands behind their path', async t => {
  const error = new DataError('PAGE_MALFORMED', {
    message: 'GET https://api.example/v1/ads?key=planted#planted failed',
    cause: new Error('redirected to http://user.example/login?token=planted, gave up'),
  })
  const text = JSON.stringify(serializeError(error))
  t.match(text, 'GET https://api.example/v1/ads?… failed')
  t.match(text, 'redirected to http://user.example/login?…')
  t.notMatch(text, 'planted')
  t.same(serializeError('https://api.example/?key=planted'), { message: 'https://api.example/?…' })
  t.equal(withoutCredentials('see https://api.example/docs, or ask'), 'see https://api.example/docs, or ask')
})

t.test('what was thrown is cut to a length that a log can hold', async t => {
  const serialized = serializeError(new Error('x'.repeat(100_000))) as { message: string; stack: string }
  t.equal(serialized.message.length, 500)
  t.equal(serialized.stack.length, 4_000)
  t.same(serializeError(undefined), { message: 'undefined' })
  t.match(serializeError(asHeadraceError('a text')), { code: 'INTERNAL', message: 'a text', cause: { message: 'a text' } })
})
