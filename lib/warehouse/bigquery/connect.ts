import { readFile } from 'node:fs/promises'
import { BigQuery } from '@google-cloud/bigquery'
import { GoogleAuth, Impersonated, JWT, PassThroughClient } from 'google-auth-library'
import { ServiceError } from './failure.ts'
import type { Settings } from './options.ts'

const SCOPE = 'https://www.googleapis.com/auth/bigquery'

/** The client, and the project that its credentials name. */
export interface Connection {
  readonly service: BigQuery
  readonly project?: string | undefined
}

/** Google's client for some settings, with the credentials they name or those of the environment. Throws when there are none. */
export async function connect({ project, location, apiEndpoint, keyFile, impersonate }: Settings): Promise<Connection> {
  const common = {
    autoRetry: false,
    location,
    ...(project === undefined ? {} : { projectId: project }),
    ...(apiEndpoint === undefined ? {} : { apiEndpoint: apiEndpoint.replace(/\/$/, '') }),
  }
  if (apiEndpoint?.startsWith('http:')) {
    return { service: plain(new BigQuery({ ...common, authClient: new PassThroughClient() })) }
  }
  const scopes = [impersonate === undefined ? SCOPE : 'https://www.googleapis.com/auth/cloud-platform']
  const key = keyFile === undefined ? undefined : await readKey(keyFile)
  // Asked for now: without credentials the client would send requests all the same, and die in the middle of an upload.
  const sourceClient =
    key === undefined
      ? await new GoogleAuth({ scopes }).getClient()
      : new JWT({ email: key.client_email, key: key.private_key, scopes })
  const authClient =
    impersonate === undefined
      ? sourceClient
      : new Impersonated({ sourceClient, targetPrincipal: impersonate, targetScopes: [SCOPE] })
  return { service: plain(new BigQuery({ ...common, authClient })), project: key?.project_id }
}

/** Without what the client adds to every address: where one has a query already, as that of an upload has, it would break it. */
function plain(service: BigQuery): BigQuery {
  service.interceptors = []
  return service
}

/** What is used of the key of a service account. */
interface Key {
  readonly client_email: string
  readonly private_key: string
  readonly project_id?: string
}

async function readKey(path: string): Promise<Key> {
  let key: unknown
  try {
    key = JSON.parse(await readFile(path, 'utf8'))
  } catch (error) {
    throw new ServiceError({
      message: `keyFile ${path} cannot be read: ${error instanceof Error ? error.message : error}`,
      cause: error,
    })
  }
  const { client_email, private_key, project_id } =
    typeof key === 'object' && key !== null ? (key as Record<string, unknown>) : {}
  if (typeof client_email !== 'string' || typeof private_key !== 'string') {
    throw new ServiceError({ message: `keyFile ${path} has no client_email and private_key` })
  }
  return { client_email, private_key, ...(typeof project_id === 'string' ? { project_id } : {}) }
}
