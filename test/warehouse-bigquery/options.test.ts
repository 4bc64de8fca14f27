import { isAbsolute } from 'node:path'
import t from 'tap'
import { bigquery, ConfigError } from '../../lib/index.ts'
import { type BigQueryOptions, settingsOf } from '../../lib/warehouse/bigquery/options.ts'

t.test('nothing needs to be said', async t => {
  const settings = settingsOf({}, {})
  t.match(settings, { location: 'US', stagingDataset: 'headrace_staging', staging: 'load', tries: 6 })
  t.ok(isAbsolute(settings.spool))
  t.equal(bigquery().name, 'bigquery')
})

t.test('two projects do not share a spool folder', async t => {
  t.not(settingsOf({ project: 'one' }, {}).spool, settingsOf({ project: 'two' }, {}).spool)
})

const WRONG: readonly (readonly [BigQueryOptions, RegExp])[] = [
  [{ project: 'My Project' }, /project "My Project" is not a project id/],
  [{ stagingDataset: 'a.b' }, /stagingDataset "a.b"/],
  [{ apiEndpoint: 'localhost:9050' }, /apiEndpoint "localhost:9050"/],
  [{ maximumBytesBilled: 1.5 }, /maximumBytesBilled 1.5/],
  [{ requestSeconds: 0 }, /requestSeconds 0/],
  [{ jobSeconds: Number.NaN }, /jobSeconds NaN/],
  [{ tries: 0 }, /tries 0/],
]

t.test('every setting that cannot be is named, all at once', async t => {
  for (const [options, problem] of WRONG) {
    t.throws(() => bigquery(options), { code: 'CONFIG_INVALID', message: problem })
  }
  const all = Object.assign({}, ...WRONG.map(([options]) => options))
  try {
    bigquery(all)
    t.fail('it was taken')
  } catch (error) {
    t.ok(error instanceof ConfigError)
    for (const [, problem] of WRONG) t.match(String(error), problem)
  }
})

t.test('the variable that would redirect half of the requests is refused', async t => {
  t.throws(() => settingsOf({}, { BIGQUERY_EMULATOR_HOST: 'localhost:9050' }), {
    code: 'CONFIG_INVALID',
    message: /BIGQUERY_EMULATOR_HOST/,
  })
})
