export {
  cursor,
  lastId,
  linkHeader,
  nextUrl,
  offset,
  type PageSize,
  type Paging,
  pageNumber,
  pageToken,
} from '../../lib/http/paginate.ts'
export type { TokenExpired, Wall } from '../../lib/http/walk.ts'
export { type RestOptions, rest } from './rest.ts'
