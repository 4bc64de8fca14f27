import t from 'tap'
import { addDays } from '../../lib/chunk.ts'
import { dayAt } from '../../lib/plan/schedule.ts'
import { project } from './project.ts'

t.test('findings says what is wrong, in words and as JSON, and ends with 1; with nothing wrong it ends with 0', async t => {
  const one = await project(t)
  const quiet = await one.headrace('findings')
  t.equal(quiet.code, 0, quiet.stderr)
  t.equal(quiet.stdout, '0 findings in 1 pipeline of 2 clients\n')

  await one.configure({ pipeline: 'freshness: { hours: 36 },' })
  const late = await one.headrace('findings')
  t.equal(late.code, 1)
  t.match(late.stdout, /\npage: \S+, freshness: \d{4}-\d\d-\d\d missing for 2 clients \(acme, globex\) of 2, promised 36 h/)
  t.match(late.stdout, '\n  What is published stays as it was; other chunks go on.\n')
  const { findings } = (await one.headrace('findings', '--json')).json() as {
    findings: { id: string; places: { day: string }[] }[]
  }
  t.match(findings, [{ id: 'freshness ads-api', monitor: 'freshness', level: 'page', action: /daemon/ }])
  t.ok((findings[0]?.places[0]?.day ?? '') >= addDays(dayAt(Date.now(), 'UTC'), -3))
})
