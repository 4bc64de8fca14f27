import type { Claim } from '../ledger/ledger.ts'
import type { Pipeline } from '../pipeline.ts'
import type { Warehouse } from '../warehouse/warehouse.ts'
import { type Ending, endOf, type Job, jobOf, startOf } from './events.ts'
import { Outbox, type OutboxHost } from './outbox.ts'
import { fileReceiver, httpReceiver } from './receivers.ts'

/** Where events of OpenLineage go. */
export type LineageTarget = {
  /** Namespace of the jobs, to tell installations apart. Default `headrace`. */
  readonly namespace?: string
} & (
  | {
      /** Address of a receiver, such as Marquez; events are posted to `api/v1/lineage` below it. */
      readonly url: string
    }
  | {
      /** A file that gets one event per line, as JSON. */
      readonly file: string
    }
)

/** The environment variable that holds the key of the receiver, where it wants one; other clients of OpenLineage call it the same. */
const API_KEY = 'OPENLINEAGE_API_KEY'

/** What is wrong with a target. Its address is not repeated: it may hold a password that does not belong there. */
export function* targetProblems(target: LineageTarget): Generator<string> {
  const { namespace = 'headrace' } = target
  if ('url' in target === 'file' in target) yield 'its lineage names neither url nor file, or both'
  if ('url' in target) {
    const parsed = URL.parse(target.url)
    if (!/^https?:$/.test(parsed?.protocol ?? '')) yield 'its lineage.url is not an address with http or https'
    else if (parsed?.username || parsed?.password || parsed?.search || parsed?.hash) {
      yield `its lineage.url is more than an address: a key goes into ${API_KEY}, and a query or # nowhere`
    }
  }
  if ('file' in target && !(typeof target.file === 'string' && target.file !== '')) yield 'its lineage.file is not a path'
  if (!/^[\w.:/-]{1,255}$/.test(namespace))
    yield `its lineage.namespace ${JSON.stringify(namespace)} is not letters, digits and . _ - : /`
}

/** What this process tells of lineage: every attempt at a chunk, as it begins and as it ends. */
export interface Lineage {
  started(claim: Claim): void
  ended(claim: Claim, ending: Ending): void
  /** Delivers what waits, within five seconds. */
  close(): Promise<void>
}

/** What telling needs of its surroundings. */
export interface LineageHost extends OutboxHost {
  readonly warehouse: Warehouse
  /** Epoch milliseconds. */
  now(): number
}

/** Opens the way to a target; connects to nothing yet. */
export async function openLineage(
  target: LineageTarget,
  pipelines: readonly Pipeline[],
  { warehouse, now, ...host }: LineageHost,
): Promise<Lineage> {
  const { namespace = 'headrace' } = target
  const deliver = 'url' in target ? httpReceiver(target.url, process.env[API_KEY] || undefined) : fileReceiver(target.file)
  const outbox = new Outbox(deliver, host)
  const jobs = new Map<string, Job>()
  for (const pipeline of pipelines)
    jobs.set(pipeline.name, jobOf(pipeline, namespace, await warehouse.datasetName(pipeline.table)))

  function job({ chunk: { pipeline } }: Claim): Job {
    const found = jobs.get(pipeline)
    if (found === undefined) throw new Error(`${pipeline} is not among what this process was opened with`)
    return found
  }

  return {
    started: claim => outbox.put(() => startOf(job(claim), claim, now())),
    ended: (claim, ending) => outbox.put(() => endOf(job(claim), claim, ending, now())),
    close: () => outbox.close(),
  }
}
