import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Garbage that may pile up before it is collected. */
const MOST_GARBAGE = 6 * 2 ** 20

/** How often it is looked at; a collection takes some 15 ms. */
const LOOK_EVERY_MS = 250

/**
 * Keeps memory near what is alive, so that its peak does not follow the amount of data. Left alone, V8 grows the space for young objects up to
 * 96 MB, as pages outlive collections, and lets what was promoted by mistake lie until that has doubled. From here on the space for
 * young objects stays as large as starting up has made it, and the rest is collected when it has grown.
 */
export function keepMemoryFlat(): void {
  setFlagsFromString('--semi-space-growth-factor=1')
  setFlagsFromString('--expose-gc')
  const collect: unknown = runInNewContext('gc')
  if (typeof collect !== 'function') return
  let alive = used()
  setInterval(() => {
    if (used() < alive + MOST_GARBAGE) return
    collect()
    alive = used()
  }, LOOK_EVERY_MS).unref()
}

function used(): number {
  const { used_heap_size, external_memory } = getHeapStatistics()
  return used_heap_size + external_memory
}
