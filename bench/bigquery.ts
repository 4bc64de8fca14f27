import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/**
 * What grows with what on BigQuery, against the local server of the tests, in a process of its own: transactions and time of many clients, with the
 * five seconds that the service takes for a job; and the memory of the backfill, which is another process again.
 */

const JOB_MS = 5_000

const path = (file: string): string => fileURLToPath(new URL(file, import.meta.url))

interface Server {
  readonly url: string
  readonly project: string
  readonly location: string
}

interface Took {
  readonly chunks: number
  readonly rows: number
  readonly seconds: number
  readonly peakMB: number
}

/** Starts a server whose jobs take so long. */
async function start(jobMs: number): Promise<{ readonly server: Server; readonly process: ChildProcess }> {
  const options = { latency: { QUERY: jobMs, LOAD: jobMs } }
  const child = spawn(process.execPath, [path('../test/servers/bigquery/serve.ts'), JSON.stringify(options)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const [line] = await once(createInterface({ input: child.stdout }), 'line')
  return { server: JSON.parse(String(line)), process: child }
}

/** How many jobs a server was given, by the second word of their ids: load, commit, read. */
async function jobsOf({ url, project }: Server): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>()
  let token: string | undefined
  do {
    const query = new URLSearchParams({ maxResults: '1000', ...(token === undefined ? {} : { pageToken: token }) })
    const answer = await fetch(`${url}/bigquery/v2/projects/${project}/jobs?${query}`)
    const page: { jobs?: { jobReference: { jobId: string } }[]; nextPageToken?: string } = JSON.parse(await answer.text())
    for (const { jobReference } of page.jobs ?? []) {
      const kind = jobReference.jobId.split('-')[1] ?? ''
      counts.set(kind, (counts.get(kind) ?? 0) + 1)
    }
    token = page.nextPageToken
  } while (token !== undefined)
  return counts
}

/** One backfill on a server of its own. */
async function measure(
  jobMs: number,
  work: Readonly<Record<string, unknown>>,
): Promise<Took & { jobs: number; transactions: number }> {
  const { server, process: child } = await start(jobMs)
  try {
    const script = [path('bigquery-run.ts'), JSON.stringify({ server, ...work })]
    const { stdout } = await promisify(execFile)(process.execPath, script)
    const jobs = await jobsOf(server)
    const took: Took = JSON.parse(stdout)
    return { ...took, jobs: jobs.values().reduce((sum, n) => sum + n, 0), transactions: jobs.get('commit') ?? 0 }
  } finally {
    child.stdin?.end()
  }
}

const GROUPS = { days: 3, rowsPerDay: 10, settings: { concurrency: 64 } }
const FEW = 20
const MANY = 200

console.log(`Node ${process.version}; every job takes ${JOB_MS / 1_000} s; 3 days of each client are one chunk`)
const groups = await measure(JOB_MS, { ...GROUPS, clients: MANY })
const single = await measure(JOB_MS, { ...GROUPS, clients: FEW, settings: { ...GROUPS.settings, groupChunks: 1 } })
const grown = (number: number): number => Math.round((number * MANY) / FEW)
console.table({
  'in groups': {
    clients: groups.chunks,
    jobs: groups.jobs,
    transactions: groups.transactions,
    seconds: Math.round(groups.seconds),
  },
  'one transaction per client': {
    clients: single.chunks,
    jobs: single.jobs,
    transactions: single.transactions,
    seconds: Math.round(single.seconds),
  },
  [`the same, times ${MANY / FEW}, not run`]: {
    clients: MANY,
    jobs: grown(single.jobs),
    transactions: grown(single.transactions),
    seconds: grown(single.seconds),
  },
})

console.log('Peak resident memory of the backfill process, default settings, jobs at once')
const sizes: Took[] = []
// Of equal chunks, and of as many at once: four is the fewest that the default settings keep busy.
for (const clients of [4, 24, 120]) sizes.push(await measure(0, { clients, days: 1, rowsPerDay: 25_000, settings: {} }))
console.table(
  sizes.map(({ rows, seconds, peakMB }) => ({
    rows,
    seconds: Math.round(seconds),
    'peak MB': Math.round(peakMB),
    'of the smallest': (peakMB / Math.min(...sizes.map(size => size.peakMB))).toFixed(2),
  })),
)
