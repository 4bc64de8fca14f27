import { ApiError } from './errors.ts'
import type { RequestKind } from './faults.ts'

/** A request, recognised. */
export interface Route {
  readonly kind: RequestKind
  readonly dataset: string
  readonly table: string
  readonly jobId: string
  readonly query: URLSearchParams
}

const ROUTES: readonly (readonly [kind: RequestKind, method: string, path: string])[] = [
  ['jobs.insert', 'POST', 'jobs'],
  ['jobs.list', 'GET', 'jobs'],
  ['jobs.get', 'GET', 'jobs/:job'],
  ['jobs.cancel', 'POST', 'jobs/:job/cancel'],
  ['jobs.delete', 'DELETE', 'jobs/:job/delete'],
  ['jobs.query', 'POST', 'queries'],
  ['jobs.getQueryResults', 'GET', 'queries/:job'],
  ['datasets.list', 'GET', 'datasets'],
  ['datasets.insert', 'POST', 'datasets'],
  ['datasets.get', 'GET', 'datasets/:dataset'],
  ['datasets.patch', 'PATCH', 'datasets/:dataset'],
  ['datasets.delete', 'DELETE', 'datasets/:dataset'],
  ['tables.list', 'GET', 'datasets/:dataset/tables'],
  ['tables.insert', 'POST', 'datasets/:dataset/tables'],
  ['tables.get', 'GET', 'datasets/:dataset/tables/:table'],
  ['tables.patch', 'PATCH', 'datasets/:dataset/tables/:table'],
  ['tables.delete', 'DELETE', 'datasets/:dataset/tables/:table'],
  ['tabledata.list', 'GET', 'datasets/:dataset/tables/:table/data'],
  ['tabledata.insertAll', 'POST', 'datasets/:dataset/tables/:table/insertAll'],
]

/** Where the API is: under its own root, under none, and, for uploads, also where an environment variable of the client doubles it. */
const ROOT = /^(?:\/bigquery\/v2)?(\/upload\/bigquery\/v2)?(?:\/bigquery\/v2)?\/projects\/([^/]+)\/(.*)$/

/** Recognises a request; throws what the service says to one it does not know. */
export function routeOf(method: string, url: string, project: string): Route {
  const { pathname, searchParams: query } = new URL(url, 'http://localhost')
  const [, upload, named, rest = ''] = ROOT.exec(pathname) ?? []
  if (named === undefined) throw new ApiError('notFound', `Not Found: ${pathname}`)
  if (decodeURIComponent(named) !== project) throw new ApiError('notFound', `Not found: Project ${named}`)
  const empty = { dataset: '', table: '', jobId: '', query }
  if (upload !== undefined) return { ...empty, kind: uploadKind(method, rest, query) }
  const parts = rest.split('/').map(decodeURIComponent)
  for (const [kind, wanted, path] of ROUTES) {
    const pattern = path.split('/')
    if (wanted !== method || pattern.length !== parts.length) continue
    if (!pattern.every((part, index) => part.startsWith(':') || part === parts[index])) continue
    const at = (name: string): string => parts[pattern.indexOf(name)] ?? ''
    return { kind, query, dataset: at(':dataset'), table: at(':table').split('$')[0] ?? '', jobId: at(':job') }
  }
  throw new ApiError('notFound', `Not Found: ${method} ${pathname}`)
}

function uploadKind(method: string, rest: string, query: URLSearchParams): RequestKind {
  const type = query.get('uploadType')
  if (rest !== 'jobs') throw new ApiError('notFound', `Not Found: ${rest}`)
  if (method === 'POST' && type === 'multipart') return 'upload.multipart'
  if (method === 'POST' && type === 'resumable') return 'upload.start'
  if (method === 'PUT' && query.has('upload_id')) return 'upload.put'
  throw new ApiError('invalid', `Invalid upload request: ${method} with uploadType ${type}`)
}
