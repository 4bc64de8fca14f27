import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { arch, platform, tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './free-port.ts'

const PACKAGE = '@fivetrandevelopers/zetasql'
const VERSION = '1.13.0'

/** Installs the analyzer (112 MB to download) into a folder for temporary files, unless it is there already. Returns that folder. */
export function install(): string {
  const folder = process.env.HEADRACE_ZETASQL ?? join(tmpdir(), `headrace-zetasql-${VERSION}`)
  if (existsSync(join(folder, 'node_modules', PACKAGE, 'package.json'))) return folder
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{"private":true}')
  const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', `${PACKAGE}@${VERSION}`]
  const { status } = spawnSync('npm', args, { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] })
  if (status !== 0) throw new Error(`npm could not install ${PACKAGE}@${VERSION} into ${folder}`)
  return folder
}

/** A type as the analyzer takes it. */
export type ZetaType = Readonly<Record<string, unknown>>

/** A table of the catalogue. */
export interface ZetaTable {
  readonly name: string
  readonly columns: Readonly<Record<string, string>>
}

/** Google's analyzer, running. */
export interface Analyzer {
  /** Throws what is wrong with the grammar of a script. */
  parse(script: string): Promise<void>
  /** Throws what is wrong with one statement: names, types, grammar. */
  analyze(sql: string, tables: readonly ZetaTable[], parameters: Readonly<Record<string, ZetaType>>): Promise<void>
  close(): void
}

const KINDS: Readonly<Record<string, string>> = { FLOAT64: 'TYPE_DOUBLE' }

/** A type from its name in SQL, such as `ARRAY<STRUCT<member INT64, day DATE>>`. */
export function typeOf(name: string): ZetaType {
  const [, element] = /^ARRAY<(.*)>$/s.exec(name) ?? []
  if (element !== undefined) return { type_kind: 'TYPE_ARRAY', array_type: { element_type: typeOf(element) } }
  const [, fields] = /^STRUCT<(.*)>$/s.exec(name) ?? []
  if (fields === undefined) return { type_kind: KINDS[name] ?? `TYPE_${name}` }
  const field = fields.split(',').map(text => {
    const [fieldName = '', type = ''] = text.trim().split(' ')
    return { field_name: fieldName, field_type: typeOf(type) }
  })
  return { type_kind: 'TYPE_STRUCT', struct_type: { field } }
}

type Unary = (request: object, done: (error: Error | null, answer: unknown) => void) => void

/** Starts the analyzer that was installed into a folder. */
export async function startAnalyzer(folder: string): Promise<Analyzer> {
  const home = join(folder, 'node_modules', PACKAGE, 'lib', 'zetasql')
  const binary = `remote_server${arch() === 'arm64' ? '_arm' : ''}${platform() === 'linux' ? '.so' : ''}`
  const port = await freePort()
  spawnSync('chmod', ['+x', join(home, binary)])
  const server = spawn(join(home, binary), ['localhost', String(port)], { stdio: ['ignore', 'pipe', 'pipe'] })
  await new Promise<void>((resolve, reject) => {
    let said = ''
    const hear = (text: Buffer): void => {
      said += text
      if (said.includes('Server listening')) resolve()
    }
    server.stdout.on('data', hear)
    server.stderr.on('data', hear)
    server.once('exit', code => reject(new Error(`the analyzer ended with ${code}: ${said}`)))
    server.once('error', reject)
  })
  const require = createRequire(join(folder, 'package.json'))
  const grpc = require('@grpc/grpc-js')
  const definition = require('@grpc/proto-loader').loadSync('local_service.proto', {
    includeDirs: [join(home, 'protos')],
    keepCase: true,
    defaults: false,
    oneofs: true,
    longs: String,
    enums: String,
  })
  const service = new (grpc.loadPackageDefinition(definition).zetasql.local_service.ZetaSqlLocalService)(
    `localhost:${port}`,
    grpc.credentials.createInsecure(),
  )
  const call = (method: string, request: object): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const unary: Unary = service[method].bind(service)
      unary(request, (error, answer) => (error === null ? resolve(answer) : reject(error)))
    })
  const language: object = Object(await call('getLanguageOptions', { maximum_features: true }))
  const options = { ...language, supported_statement_kinds: [], product_mode: 'PRODUCT_EXTERNAL' }
  return {
    parse: async script => void (await call('parse', { sql_statement: script, allow_script: true, options })),
    analyze: async (sql, tables, parameters) => {
      await call('analyze', {
        sql_statement: sql,
        simple_catalog: {
          name: 'headrace',
          table: tables.map(({ name, columns }, index) => ({
            name,
            serialization_id: index + 1,
            column: Object.entries(columns).map(([column, type]) => ({ name: column, type: typeOf(type) })),
          })),
          builtin_function_options: { language_options: options },
        },
        options: {
          language_options: options,
          query_parameters: Object.entries(parameters).map(([name, type]) => ({ name, type })),
        },
      })
    },
    close: () => {
      service.close()
      server.kill()
    },
  }
}
