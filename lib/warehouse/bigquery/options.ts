import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { ConfigError } from '../../errors.ts'

/** Settings of the BigQuery warehouse. */
export interface BigQueryOptions {
  /** The project that holds the tables and pays for the jobs. Default: that of the credentials. */
  readonly project?: string
  /** Where the datasets are. Default `US`. */
  readonly location?: string
  /** The dataset for what is staged; its tables expire by themselves. No other installation may use it. Default `headrace_staging`. */
  readonly stagingDataset?: string
  /** How rows are staged: one load job per chunk, or rows streamed into a long-lived table, where jobs are not allowed. Default `load`. */
  readonly staging?: 'load' | 'insert-all'
  /** The JSON key of a service account. Default: the application default credentials. */
  readonly keyFile?: string
  /** The service account to act as, by its address; the credentials need the role Service Account Token Creator on it. */
  readonly impersonate?: string
  /** Another address of the service, with its scheme. One that begins with `http:` is an emulator, and is sent no credentials. */
  readonly apiEndpoint?: string
  /** No statement may bill more bytes than this. Default: no ceiling. */
  readonly maximumBytesBilled?: number
  /** Where rows wait on disk until they are uploaded. Default: a folder in that for temporary files. */
  readonly spool?: string
  /** Seconds for one request. Default 60. */
  readonly requestSeconds?: number
  /** Seconds for one job, from its submission to its end. Default 1800. */
  readonly jobSeconds?: number
  /** Tries of a request or a job that failed for a reason that may pass. Default 6. */
  readonly tries?: number
  /** First upper bound of the wait between tries, in seconds; it doubles up to 32 times that. Default 1. */
  readonly retrySeconds?: number
}

/** The settings with their defaults. */
export interface Settings
  extends Required<Omit<BigQueryOptions, 'project' | 'keyFile' | 'impersonate' | 'apiEndpoint' | 'maximumBytesBilled'>> {
  readonly project: string | undefined
  readonly keyFile: string | undefined
  readonly impersonate: string | undefined
  readonly apiEndpoint: string | undefined
  readonly maximumBytesBilled: number | undefined
}

/** Fills in defaults; throws `CONFIG_INVALID` with everything that is wrong. */
export function settingsOf(options: BigQueryOptions, environment: NodeJS.ProcessEnv): Settings {
  const { project, keyFile, impersonate, apiEndpoint, maximumBytesBilled } = options
  const stagingDataset = options.stagingDataset ?? 'headrace_staging'
  const location = options.location ?? 'US'
  const settings: Settings = {
    project,
    keyFile,
    impersonate,
    apiEndpoint,
    maximumBytesBilled,
    location,
    stagingDataset,
    staging: options.staging ?? 'load',
    spool: resolve(options.spool ?? join(tmpdir(), 'headrace-bigquery', `${project ?? 'default'}.${stagingDataset}`)),
    requestSeconds: options.requestSeconds ?? 60,
    jobSeconds: options.jobSeconds ?? 1_800,
    tries: options.tries ?? 6,
    retrySeconds: options.retrySeconds ?? 1,
  }
  const problems = [...problemsOf(settings, environment)]
  if (problems.length === 0) return settings
  throw new ConfigError('CONFIG_INVALID', {
    message: `bigquery(): ${problems.join('; ')}`,
    hint: 'Correct the configuration. Nothing was read or written.',
  })
}

function* problemsOf(settings: Settings, environment: NodeJS.ProcessEnv): Generator<string> {
  const { project, stagingDataset, staging, apiEndpoint, maximumBytesBilled, requestSeconds, jobSeconds, tries } = settings
  // The client would send requests there, but uploads elsewhere.
  if (environment.BIGQUERY_EMULATOR_HOST !== undefined) {
    yield 'the variable BIGQUERY_EMULATOR_HOST is set; name an emulator with apiEndpoint instead'
  }
  if (project !== undefined && !/^[a-z0-9.:-]{1,100}$/.test(project))
    yield `project ${JSON.stringify(project)} is not a project id`
  if (!/^[A-Za-z0-9_]{1,1024}$/.test(stagingDataset))
    yield `stagingDataset ${JSON.stringify(stagingDataset)} is not the name of a dataset`
  if (staging !== 'load' && staging !== 'insert-all') yield `staging ${JSON.stringify(staging)} is neither load nor insert-all`
  if (apiEndpoint !== undefined && !/^https?:\/\/[^/]+\/?$/.test(apiEndpoint)) {
    yield `apiEndpoint ${JSON.stringify(apiEndpoint)} is not an address such as https://host:port`
  }
  if (maximumBytesBilled !== undefined && !(Number.isSafeInteger(maximumBytesBilled) && maximumBytesBilled > 0)) {
    yield `maximumBytesBilled ${maximumBytesBilled} is not a number of bytes`
  }
  for (const [name, seconds] of Object.entries({ requestSeconds, jobSeconds, retrySeconds: settings.retrySeconds })) {
    if (!(Number.isFinite(seconds) && seconds > 0)) yield `${name} ${seconds} is not a number of seconds`
  }
  if (!(Number.isInteger(tries) && tries > 0)) yield `tries ${tries} is not a whole number above 0`
}
