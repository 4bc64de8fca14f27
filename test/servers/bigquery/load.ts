import { rm } from 'node:fs/promises'
import { bufferName, createStatement, type Draft, type TableEntry, type TableId, tableName } from './catalogue.ts'
import type { Context, Switches } from './context.ts'
import type { Session } from './duck.ts'
import { ApiError, type ErrorProto } from './errors.ts'
import { insertFile, type Scan, scan } from './ingest.ts'
import type { Job } from './jobs.ts'
import { integer, type Json, object, text } from './json.ts'
import { tableDraft } from './tables.ts'
import { type Field, fieldsOf, literal, quote } from './types.ts'
import { checkerOf, loadMessage } from './values.ts'

/** Where a load goes: the table, and the one partition of it that a decorator names. */
interface Destination {
  readonly id: TableId
  readonly decorator: string | undefined
}

/** The destination of a load configuration. */
export function destinationOf(load: Json): Destination {
  const { datasetId, tableId } = object(load.destinationTable)
  const [table = '', decorator] = (text(tableId) ?? '').split('$')
  return { id: { dataset: text(datasetId) ?? '', table }, decorator }
}

/** What must be right for a load job to be created at all. */
export function checkLoad(load: Json): void {
  const format = text(load.sourceFormat)
  if (format !== 'NEWLINE_DELIMITED_JSON') {
    throw new ApiError('notImplemented', `Source format ${format ?? 'CSV'} is not known to this local server`)
  }
  if (load.sourceUris !== undefined) throw new ApiError('notImplemented', 'Loads from URIs are not known to this local server')
  for (const option of ['autodetect', 'schemaUpdateOptions', 'rangePartitioning', 'hivePartitioningOptions']) {
    if (load[option] !== undefined && load[option] !== false) {
      throw new ApiError('notImplemented', `${option} is not known to this local server`)
    }
  }
}

/** Runs a load job over an uploaded file, and removes the file. All rows are in, or none. */
export async function runLoad(context: Context, job: Job, file: string): Promise<void> {
  try {
    await load(context, job, file)
  } finally {
    await rm(file, { force: true })
  }
}

async function load(context: Context, job: Job, file: string): Promise<void> {
  const { catalogue, claims, switches } = context
  const config = object(object(job.configuration).load)
  const { id, decorator } = destinationOf(config)
  const fields = config.schema === undefined ? undefined : fieldsOf(config.schema)
  catalogue.dataset(id.dataset)
  const existing = catalogue.find(id)
  const disposition = text(config.writeDisposition) ?? 'WRITE_APPEND'
  const truncate = disposition === 'WRITE_TRUNCATE' || disposition === 'WRITE_TRUNCATE_DATA'
  if (decorator !== undefined && !truncate)
    throw new ApiError('notImplemented', 'A partition is only loaded with WRITE_TRUNCATE here')
  if (existing === undefined && text(config.createDisposition) === 'CREATE_NEVER') {
    throw new ApiError('notFound', `Not found: Table ${catalogue.display(id)}`)
  }
  claims.countLoad(id, switches.loadsPerDay, catalogue.display(id))
  const target = fields ?? existing?.fields
  if (target === undefined) throw new ApiError('invalid', 'No schema specified on job or table.')
  const whole = truncate && decorator === undefined && disposition !== 'WRITE_TRUNCATE_DATA'
  if (existing !== undefined && fields !== undefined && !whole) mustMatch(catalogue.display(id), existing, fields)

  const found = await check(file, target, config, switches, job.stop.signal)
  const draft: Draft = { ...tableDraft({ ...config, expirationTime: undefined }), fields: target }
  const entry = existing ?? (await catalogue.createTable(id, draft))
  await context.duck.use(async session => {
    await session.run('BEGIN')
    try {
      if (whole && existing !== undefined) await replaceTable(session, existing, draft)
      else if (truncate) await session.run(`DELETE FROM ${tableName(id)} ${partitionFilter(entry, decorator)}`)
      else if (disposition === 'WRITE_EMPTY' && (await holdsRows(session, id))) {
        throw new ApiError('duplicate', `Already Exists: Table ${catalogue.display(id)}`)
      }
      const rows = await insertFile(session, tableName(id), target, file, found)
      if (decorator !== undefined) await mustBelong(session, entry, decorator, rows)
      job.stop.signal.throwIfAborted()
      await session.run('COMMIT')
    } catch (error) {
      await session.run('ROLLBACK').catch(() => 0)
      if (existing === undefined) await catalogue.deleteTable(id)
      throw error
    }
  })
  if (whole && existing !== undefined) Object.assign(existing, draft, { expiresAt: existing.expiresAt })
  catalogue.touch(entry)
  job.details = {
    inputFiles: '1',
    inputFileBytes: String(found.bytes),
    outputRows: String(found.rows),
    outputBytes: String(found.bytes),
    badRecords: '0',
  }
}

/** Reads every row; throws the error of the job when one is bad. `errors` of a job holds five entries at most. */
async function check(
  file: string,
  fields: readonly Field[],
  config: Json,
  { refuses }: Switches,
  signal: AbortSignal,
): Promise<Scan> {
  const most = integer(config.maxBadRecords) ?? 0
  if (most !== 0) throw new ApiError('notImplemented', 'maxBadRecords other than 0 is not known to this local server')
  const checkRow = checkerOf(fields)
  const details: ErrorProto[] = []
  let bad = 0
  const found = await scan(file, (line, position) => {
    const message = problemOf(line, row => checkRow(row, config.ignoreUnknownValues === true), refuses)
    if (message !== undefined && ++bad <= 3) {
      details.push({
        reason: 'invalid',
        message: `Error while reading data, error message: JSON parsing error in row starting at position ${position}: ${message}`,
      })
    }
    return bad <= 3 && !signal.aborted
  }).catch((error: unknown) => {
    throw new ApiError('invalid', `Error while reading data, error message: Input cannot be decompressed: ${String(error)}`)
  })
  signal.throwIfAborted()
  if (bad === 0) return found
  const counts = `Rows: ${found.rows}; errors: ${bad}`
  throw new ApiError(
    'invalid',
    `Error while reading data, error message: JSON table encountered too many errors, giving up. ${counts}. Please look into the errors[] collection for more details.`,
    undefined,
    [
      {
        reason: 'invalid',
        message: `Error while reading data, error message: JSON processing encountered too many errors, giving up. ${counts}; max bad: 0; error percent: 0`,
      },
      ...details,
    ],
  )
}

function problemOf(
  line: string,
  checkRow: (row: unknown) => Parameters<typeof loadMessage>[0][],
  refuses: Switches['refuses'],
): string | undefined {
  let row: unknown
  try {
    row = JSON.parse(line)
  } catch {
    return 'Parser terminated before end of string'
  }
  const [fault] = checkRow(row)
  return fault === undefined ? refuses(object(row)) : loadMessage(fault)
}

function mustMatch(display: string, { fields: live }: TableEntry, fields: readonly Field[]): void {
  for (const { name, type, mode } of fields) {
    const found = live.find(field => field.name.toLowerCase() === name.toLowerCase())
    const why =
      found === undefined
        ? `Cannot add fields (field: ${name})`
        : found.type !== type
          ? `Field ${name} has changed type from ${found.type} to ${type}`
          : found.mode !== mode
            ? `Field ${name} has changed mode from ${found.mode} to ${mode}`
            : undefined
    if (why !== undefined) throw new ApiError('invalid', `Provided Schema does not match Table ${display}. ${why}`)
  }
  const missing = live.find(({ name, mode }) => mode === 'REQUIRED' && !fields.some(field => field.name === name))
  if (missing !== undefined) {
    throw new ApiError(
      'invalid',
      `Provided Schema does not match Table ${display}. Field ${missing.name} is missing in new schema`,
    )
  }
}

/** The load brings its own schema; the buffer of streamed rows survives. */
async function replaceTable(session: Session, { id, fields, buffer }: TableEntry, draft: Draft): Promise<void> {
  if (JSON.stringify(fields) === JSON.stringify(draft.fields)) {
    await session.run(`DELETE FROM ${tableName(id)}`)
    return
  }
  if (buffer !== undefined) throw new ApiError('notImplemented', `${bufferName(id)} holds rows of another schema`)
  await session.run(createStatement(id, draft.fields))
}

function partitionFilter(entry: TableEntry, decorator: string | undefined): string {
  return decorator === undefined ? '' : `WHERE ${partitionOf(entry, decorator)}`
}

function partitionOf({ partitioning }: TableEntry, decorator: string): string {
  const formats = { DAY: '%Y%m%d', MONTH: '%Y%m', YEAR: '%Y' }
  if (partitioning === undefined) throw new ApiError('invalid', `Partition ${decorator} of a table that is not partitioned`)
  return `strftime(${quote(partitioning.field)}, '${formats[partitioning.type]}') = ${literal(decorator)}`
}

async function mustBelong(session: Session, entry: TableEntry, decorator: string, rows: number): Promise<void> {
  const [found] = await session.query(`SELECT count(*) AS n FROM ${tableName(entry.id)} WHERE ${partitionOf(entry, decorator)}`)
  if (Number(found?.n) < rows) {
    throw new ApiError('invalid', `Some rows belong to different partitions rather than destination partition ${decorator}`)
  }
}

async function holdsRows(session: Session, id: TableId): Promise<boolean> {
  return (await session.query(`SELECT 1 FROM ${tableName(id)} LIMIT 1`)).length > 0
}
