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
export { type Format, jsonArray, jsonLines } from '../../lib/http/streamed.ts'
export type { Records, TokenExpired, Wall } from '../../lib/http/walk.ts'
export { type PagedOptions, type RestOptions, rest, type StreamedOptions, type TotalsRequest } from './rest.ts'
