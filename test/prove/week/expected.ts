import { DAY, FAULTS, type FaultName, HOUR, MINUTE } from './scenario.ts'

/** An alert that a fault has to raise, or may. */
export interface Expected {
  readonly fault: FaultName
  readonly alert: string
  /** What it has to name. */
  readonly labels: Readonly<Record<string, string>>
  /** When it can be known first, in epoch milliseconds: when the daemon meets the fault, or when what was promised is due. */
  readonly seen: number
  /** Minutes within which it has to fire after that; undefined where it may. */
  readonly within: number | undefined
  /** Minutes after the end of the fault within which it has to be resolved. */
  readonly over: number
}

/** What one fault has to raise, and may. */
function of(
  fault: FaultName,
  seen: number,
  over: number,
  alerts: readonly (readonly [alert: string, labels: Expected['labels'], within?: number, seen?: number])[],
): Expected[] {
  return alerts.map(([alert, labels, within, own]) => ({ fault, alert, labels, seen: own ?? seen, within, over }))
}

/** The first hour of a day at which clients are read, and the one by which their day was promised; of clients in Berlin. */
const [READ, DUE] = [5 * HOUR, 11 * HOUR]
const on = (fault: FaultName, time: number): number => Math.floor(FAULTS[fault].from / DAY) * DAY + time
const [ads, shop, visits] = [{ pipeline: 'ads' }, { pipeline: 'shop' }, { pipeline: 'visits' }]

/** Chunks that failed are tried again after an hour at most; their failures count for an hour. */
const RETRIED = 130
/** What was published wrong is read again with the next day. */
const REREAD = (DAY - 15 * HOUR + HOUR) / MINUTE

export const EXPECTED: readonly Expected[] = [
  ...of('hour', on('hour', READ), RETRIED, [
    ['HeadraceApiDown', { api: 'visits-api' }, 10],
    ['HeadraceChunksFailing', visits, 30],
    ['HeadraceChunksParked', visits, 45],
  ]),
  ...of('night', on('night', DAY + READ), RETRIED, [
    ['HeadraceApiDown', { api: 'shop-api' }, 10],
    ['HeadraceChunksFailing', shop, 30],
    ['HeadraceChunksParked', shop, 45],
    ['HeadraceDataStale', shop, 25, on('night', DAY + DUE)],
    ['HeadraceBacklogStuck', shop],
  ]),
  ...of('revoked', on('revoked', READ), 20, [
    ['HeadraceGrantLost', { provider: 'ads', state: 'refused' }, 10],
    ['HeadraceFindings', { monitor: 'credentials' }, 20],
    ['HeadraceChunksHeld', ads, 15],
    ['HeadraceClientsStale', ads, 75, on('revoked', DUE)],
    ['HeadraceFindings', { monitor: 'completeness', ...ads }],
  ]),
  ...of('altered', on('altered', READ), RETRIED, [
    ['HeadraceDataStale', visits, 25, on('altered', DUE)],
    ['HeadraceChunksFailing', visits, 25],
    ['HeadraceChunksParked', visits, 45],
    ['HeadraceCommitsFailing', visits, 30],
  ]),
  ...of('killed', FAULTS.killed.from, 5, [
    ['HeadraceDown', {}, 10],
    ['HeadraceReplicaDown', {}, 20],
  ]),
  ...of('halved', on('halved', READ), REREAD, [['HeadraceFindings', { monitor: 'volume', ...ads }, 50]]),
  ...of('rejects', on('rejects', READ), RETRIED, [
    ['HeadraceRejects', shop, 10],
    ['HeadraceChunksHeld', shop, 15],
    ['HeadraceDataStale', shop, 25, on('rejects', DUE)],
    ['HeadraceFindings', { monitor: 'rejects', ...shop }],
    ['HeadraceChunksFailing', shop],
  ]),
  ...of('quota', on('quota', READ), 30, [
    ['HeadraceChunksParked', visits, 45],
    ['HeadraceClientsStale', visits, 80, on('quota', DUE)],
    ['HeadraceFindings', { monitor: 'completeness', ...visits }],
  ]),
  ...of('zero', on('zero', READ), REREAD, [['HeadraceFindings', { monitor: 'empty', ...ads }, 20]]),
]
