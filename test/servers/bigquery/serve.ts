import { object } from './json.ts'
import { startBigQuery } from './server.ts'

// A server in a process of its own. Argument: its options as JSON, those that JSON can carry. Prints its address and runs until its input ends, so
// that it is gone with the process that started it.

const options = object(JSON.parse(process.argv[2] ?? '{}'))
const server = await startBigQuery(options)
process.stdout.write(`${JSON.stringify({ url: server.url, project: server.project, location: server.location })}\n`)
process.stdin.resume()
process.stdin.on('end', () => void server.close())
