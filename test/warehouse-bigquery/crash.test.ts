import t from 'tap'
import type { RequestInfo, RequestKind } from '../servers/bigquery/faults.ts'
import { type Blow, crash } from './crash.ts'

/**
 * Real processes, really killed (SIGKILL), around the requests that a commit is made of; then the same command again. All the other requests have
 * their turn in `test/prove/crash-matrix.ts`.
 */

// Each has two processes, one after the other.
t.setTimeout(120_000)

const about = (kind: RequestKind, job: string) => (info: RequestInfo) =>
  info.kind === kind && info.jobId?.startsWith(job) === true

const MOMENTS: readonly (readonly [string, (info: RequestInfo) => boolean])[] = [
  ['the rows are uploaded', ({ kind }) => kind === 'upload.put'],
  ['the commit is submitted', about('jobs.insert', 'headrace-commit')],
  ['the result is read', about('jobs.getQueryResults', 'headrace-commit')],
]

const BLOWS: readonly Blow[] = ['killed before', 'killed after']

for (const [what, strikes] of MOMENTS) {
  for (const blow of BLOWS) {
    t.test(`${blow} ${what}, the table is exact in the end, and nothing happened twice`, async t => {
      t.ok((await crash({ blow, strikes })).struck, 'the moment came')
    })
  }
}
