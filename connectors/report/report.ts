import type { Connector, Page, PageRequest } from '../../lib/connector.ts'
import { ConfigError } from '../../lib/errors.ts'
import { at } from '../../lib/http/json.ts'
import type { ApiPolicy } from '../../lib/http/policy.ts'
import type { Headers } from '../../lib/http/question.ts'
import { safeUrl } from '../../lib/http/redact.ts'
import { type Format, streamed } from '../../lib/http/streamed.ts'
import { addressOf, type Query, valuesOf } from '../../lib/http/template.ts'
import { type PagedList, walk } from '../../lib/http/walk.ts'
import type { OAuth } from '../../lib/oauth/oauth.ts'
import { expired, type Job, malformed, type ReadyReport, readyReport } from './job.ts'

/**
 * An API that makes a report when it is asked to: the report is created, asked about until it is ready, and then read. In addresses, queries
 * and bodies, `{client}`, `{from}`, `{to}` and `{until}` stand for the chunk that is read, and `{report}` for the id of the report once it has one.
 */
export interface ReportOptions extends Job {
  readonly download: PagedReport | ReportFile
  /** What is particular to the answers of the API: what its errors mean, and where it says how long to wait. */
  readonly api?: ApiPolicy
  /** How the API is told who asks, where tokens have to be obtained; fixed credentials go into `headers`. */
  readonly auth?: OAuth
}

/** A report that is read in pages. */
export interface PagedReport extends Omit<PagedList, 'url' | 'body' | 'headers'> {
  readonly url: string
  readonly query?: Query
}

/** A report that is a file. */
export interface ReportFile {
  /** Dotted path to the address of the file, in the answer that said the report is ready. */
  readonly file: string
  readonly format: Format
  /** Dotted path to the number of records in it, in the same answer. The file must have as many; with none there may be no file. */
  readonly total?: string
}

/** A connector for reports that are made when they are asked for. `R` is the type of one record, `S` that of the `totals` in its pages. */
export function report<R extends object, S extends object = never>(options: ReportOptions): Connector<R, S> {
  const { name, api, auth, create } = options
  return {
    name,
    ...(api === undefined ? {} : { api }),
    ...(auth === undefined ? {} : { auth }),
    address: () => create.url,
    pages: (request: PageRequest<object>) => read<R>(options, request),
  }
}

async function* read<R extends object>(options: ReportOptions, request: PageRequest): AsyncGenerator<Page<R>> {
  const { name, headers, download } = options
  const ready = await readyReport(options, request, valuesOf(request))
  if ('file' in download) yield* readFile<R>(headers, download, request, ready)
  else {
    const { url, query = {}, ...list } = download
    yield* walk<R>(request, { ...list, headers, url: addressOf(name, url, query, ready.values) })
  }
}

async function* readFile<R extends object>(
  headers: Headers | undefined,
  { file, format, total: path }: ReportFile,
  request: PageRequest,
  { body, url }: ReadyReport,
): AsyncGenerator<Page<R>> {
  const total = path === undefined ? undefined : countAt(body, path, url)
  const address = at(body, file)
  if (total === 0 && (address === undefined || address === null || address === '')) return
  const place = typeof address === 'string' ? URL.parse(address, url.href) : null
  if (place === null) throw malformed(url, `no address of a file at ${file}`, body)
  // Most files stand elsewhere, with leave to read them in the address; credentials have no business there.
  const { authorize, ...stranger } = request
  const own = place.origin === url.origin
  try {
    yield* streamed<R>(own ? request : stranger, {
      ...{ url: place, format, headers: own ? headers : {} },
      ...(total === undefined ? {} : { total }),
    })
  } catch (error) {
    // A file that may not be read, a moment after it was made, is one whose address has run out.
    if (error instanceof ConfigError) throw expired(`${safeUrl(place)}: the file of the report cannot be read any more`, error)
    throw error
  }
}

function countAt(body: unknown, path: string, url: URL): number {
  const value = at(body, path)
  const count = typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value
  if (typeof count === 'number' && Number.isInteger(count)) return count
  throw malformed(url, `${path} is ${JSON.stringify(value)?.slice(0, 100)}, not a number of records`, body)
}
