import { setImmediate } from 'node:timers/promises'
import { fromEpochDay } from '../chunk.ts'
import type { Client, Config } from '../config.ts'
import { asHeadraceError } from '../errors.ts'
import type { BytesBilled } from '../ledger/reader.ts'
import { Seal } from '../oauth/seal.ts'
import type { Pipeline } from '../pipeline.ts'
import { type GrantStatus, grantStatuses } from '../standing/grants.ts'
import { byCause } from './causes.ts'
import { type Finding, LEVELS, type MonitorName } from './finding.ts'
import { PIPELINE_MONITORS } from './monitors.ts'
import { measuredLookback } from './restatement.ts'
import { credentials } from './standing.ts'
import { type Punctuality, punctuality } from './timeliness.ts'
import { volumeRatio } from './volume.ts'
import { daysByClient, firstWatched, isJudged, type Watched } from './watched.ts'

/** What is watched, and when. */
export interface WatchOptions {
  readonly config: Pick<Config, 'pipelines' | 'ledger'>
  readonly clients: readonly Client[]
  /** What encrypts the grants in the ledger, where there is a key. */
  readonly grantKey: string | undefined
  /** Epoch milliseconds. */
  readonly now: number
}

/** How a pipeline stands, for whoever shows it. */
export interface Standing {
  readonly pipeline: Pipeline
  readonly clients: readonly Punctuality[]
  /** Rows of the newest whole day against what was expected of them; undefined while history is short. */
  readonly volumeRatio: number | undefined
  readonly bytesBilled: BytesBilled
  /** The age in days at which nearly all changes of published days had happened; undefined while too few changed. */
  readonly measuredLookback: number | undefined
  /** Of quotas of its API that have a name, the least share that was left within the last hour. */
  readonly quotas: ReadonlyMap<string, number>
}

/** What all monitors say at one instant. */
export interface Watch {
  /** The most urgent first. */
  readonly findings: readonly Finding[]
  /** Monitors that looked at everything. A monitor that is missing failed for some pipeline, and `findings` says why. */
  readonly ran: readonly MonitorName[]
  readonly standings: readonly Standing[]
}

/** Problems and drifts that are looked at, at most. */
const MOST = 10_000

/**
 * Runs every monitor over every pipeline. It reads the ledger and nothing else, and lets others work in between. A monitor that fails is a finding, and keeps none of the
 * others from running.
 */
export async function watch({ config, clients, grantKey, now }: WatchOptions): Promise<Watch> {
  const findings: Finding[] = []
  const failed = new Set<MonitorName>()
  const standings: Standing[] = []
  const attempt = async (
    monitor: MonitorName,
    pipelines: readonly Pipeline[],
    work: () => Promise<Finding[]> | Finding[],
  ): Promise<void> => {
    // Other work goes on between two monitors: some take a while where there are many clients.
    await setImmediate()
    try {
      findings.push(...(await work()))
    } catch (error) {
      failed.add(monitor)
      findings.push(failure(monitor, pipelines, error, now))
    }
  }
  const names = Object.entries(PIPELINE_MONITORS)
  for (const pipeline of config.pipelines) {
    let watched: Watched
    try {
      watched = await watchedOf(pipeline, { config, clients, now })
    } catch (error) {
      for (const [monitor] of names) failed.add(monitor as MonitorName)
      findings.push(failure(undefined, [pipeline], error, now))
      continue
    }
    for (const [monitor, run] of names) await attempt(monitor as MonitorName, [pipeline], () => run(watched))
    standings.push({
      pipeline,
      clients: punctuality(watched),
      volumeRatio: volumeRatio(watched),
      bytesBilled: watched.bytesBilled,
      measuredLookback: measuredLookback(watched),
      quotas: watched.quotas,
    })
  }
  await attempt('credentials', [], async () => credentials(await grantsOf(config, clients, grantKey), now))
  const urgency = ({ level }: Finding): number => LEVELS.indexOf(level)
  const all = [...names.map(([name]) => name as MonitorName), 'credentials' as const]
  return {
    findings: byCause(findings, config.pipelines).sort((a, b) => urgency(a) - urgency(b) || a.since - b.since),
    ran: all.filter(name => !failed.has(name)),
    standings,
  }
}

async function watchedOf(
  pipeline: Pipeline,
  { config: { ledger }, clients, now }: Omit<WatchOptions, 'grantKey'>,
): Promise<Watched> {
  const recent = await ledger.recent(pipeline.name, fromEpochDay(firstWatched(now)), now)
  const drifts = await ledger.drifts(pipeline.name, MOST)
  return {
    ...recent,
    now,
    pipeline,
    clients,
    days: daysByClient(recent.days),
    drifts: drifts.filter(({ first }) => isJudged(Math.floor(first.at / 86_400_000), now)),
    problems: await ledger.problems(pipeline.name, undefined, MOST),
  }
}

/** Every grant that the clients are read with, and every other that the ledger holds. */
export async function grantsOf(
  { pipelines, ledger }: WatchOptions['config'],
  clients: readonly Client[],
  grantKey: string | undefined,
): Promise<GrantStatus[]> {
  const providers = [...new Set(pipelines.flatMap(({ source }) => source.auth ?? []))]
  const ids = clients.map(({ id }) => id)
  return grantStatuses(providers, ids, ledger, grantKey === undefined ? undefined : new Seal(grantKey))
}

/** That a monitor, or all of them, could not be run. */
function failure(monitor: MonitorName | undefined, pipelines: readonly Pipeline[], error: unknown, now: number): Finding {
  return {
    monitor: 'monitors',
    level: 'page',
    subject: monitor ?? '',
    pipelines: pipelines.map(({ name }) => name),
    since: now,
    what: `${monitor === undefined ? 'no monitor' : `the monitor ${monitor}`} could ${monitor === undefined ? '' : 'not '}be run: ${asHeadraceError(error).message}`,
    places: [],
    rows: 0,
  }
}
