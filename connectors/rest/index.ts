export { cursor, linkHeader, nextUrl, offset, type PageSize, type Paging, pageNumber, pageToken } from './paginate.ts'
export { type RestOptions, rest } from './rest.ts'
