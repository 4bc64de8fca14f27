import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { project } from './project.ts'

const MAY = ['--from', '2025-05-01', '--to', '2025-05-03']

t.test('report is text, JSON or a page, and ends with 0 whatever it says', async t => {
  const one = await project(t)
  await one.backfill('--clients', 'acme')
  const html = join(one.folder, 'week.html')
  const text = await one.headrace('report', ...MAY, '--html', html)
  t.equal(text.code, 0, text.stderr)
  t.match(
    text.stdout,
    /^2025-05-01\.\.2025-05-03 is whole: all 3 days are there\.\n2025-05-01 to 2025-05-03, 2 clients, 1 pipeline/,
  )
  const page = await readFile(html, 'utf8')
  t.match(page, /^<!doctype html>.*<h1 class="good">2025-05-01\.\.2025-05-03 is whole/s)
  t.same(
    (await readdir(one.folder)).filter(name => name.includes('.part')),
    [],
  )
  const json = await one.headrace('report', ...MAY, '--json')
  t.match(json.json(), { command: 'report', verdict: { whole: true }, pipelines: [{ pipeline: 'ads', days: { there: 3 } }] })

  await one.configure({ pipeline: "schedule: [{ name: 'daily', cron: '0 6 * * *', lookbackDays: 3 }]," })
  const late = await one.headrace('report')
  t.equal(late.code, 0, late.stderr)
  t.match(late.stdout, /^Week \d{4}-W\d\d is not whole: 7 of 7 days are not there, of 1 client: 7 missing\.\n/)
})

t.test('a report that cannot be made says why, and leaves nothing behind', async t => {
  const one = await project(t)
  const week = await one.headrace('report', '--week', '2026-W54')
  t.equal(week.code, 2)
  t.match(week.stderr, '--week 2026-W54 is not a week')
  const folder = join(one.folder, 'folder')
  await mkdir(folder)
  const file = await one.headrace('report', ...MAY, '--html', folder)
  t.equal(file.code, 2)
  t.match(file.stderr, /USAGE: --html .*folder: .*(EISDIR|directory)/)
  t.equal(file.stdout, '', 'what was asked for was not done')
  t.same(
    (await readdir(one.folder)).filter(name => name.includes('.part')),
    [],
  )
})
