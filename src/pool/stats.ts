import type { ControlBlock } from "../memory/control-block.ts";
import { COUNTER, WORD } from "../memory/layout.ts";
import { whyNoMemoryAdvice } from "../os/memory-advice.ts";

/**
 * One consistent snapshot of a pool: where every page is, and how often each path was taken.
 *
 *     uncommitted + free + inUse + stolen = arenaPages        inUse = taken − returned
 */
export type PoolStats = {
  readonly pageSizeBytes: number;
  readonly pagesMax: number;
  /** `pagesMax` and the room for stolen pages. */
  readonly arenaPages: number;

  /** Pages without memory: never used, trimmed, or given back after a steal. */
  readonly uncommitted: number;
  /** Pages that `alloc` can hand out without growing. */
  readonly free: number;
  readonly inUse: number;
  /** Pages that left the pool and were not given back yet. */
  readonly stolen: number;
  /** Of the free ones, those that wait in audit mode's quarantine. */
  readonly quarantined: number;
  /** The most pages ever in use at a time. */
  readonly inUsePeak: number;
  /** Callers that wait in `allocOrWait` now. */
  readonly waiting: number;
  readonly isUnderPressure: boolean;

  /** Pages handed out. */
  readonly taken: number;
  /** Pages that left their holder: released, stolen, or abandoned. */
  readonly returned: number;
  /** Pages committed, including those committed again after a trim. */
  readonly grown: number;
  /** Times the system refused memory for growth. */
  readonly growFailed: number;
  /** Times `alloc` or `allocMany` found no page. */
  readonly refused: number;
  /** Times `allocOrWait` had to wait, and how often the wait was aborted. */
  readonly waited: number;
  readonly waitAborted: number;
  /** Pages ever stolen; given back by their owner; given back because nobody could reach them any more. */
  readonly stolenTotal: number;
  readonly stolenReturned: number;
  readonly stolenCollected: number;
  /** Pages whose memory went back to the system; pages that would have gone, had the system let us. */
  readonly trimmed: number;
  readonly trimKept: number;
  /** Audit: freed pages that somebody wrote to; handles that were garbage collected before their release. */
  readonly poisonHits: number;
  readonly leaked: number;
  /** Times the pool came under pressure. */
  readonly pressures: number;
  /** Pages that were out when the pool was closed by force. */
  readonly abandoned: number;
  /** Why memory cannot be given back to the system; null when it can, or when nobody tried yet. */
  readonly trimUnavailable: string | null;
};

/** Everything the control block and the system say; what only the pool knows is added by it. */
export function blockStats({
  words,
  counters,
}: ControlBlock): Omit<PoolStats, "inUsePeak" | "waiting" | "isUnderPressure"> {
  const word = (index: number): number => words[index] ?? 0;
  const count = (path: number): number => counters[path] ?? 0;
  const inUse = word(WORD.inUse);
  const free = word(WORD.pooled) - inUse;
  const stolen = word(WORD.stolen);
  return {
    pageSizeBytes: word(WORD.pageSizeBytes),
    pagesMax: word(WORD.pagesMax),
    arenaPages: word(WORD.arenaPages),
    uncommitted: word(WORD.arenaPages) - free - inUse - stolen,
    free,
    inUse,
    stolen,
    quarantined: word(WORD.quarantined),
    taken: count(COUNTER.taken),
    returned: count(COUNTER.taken) - inUse,
    grown: count(COUNTER.grown),
    growFailed: count(COUNTER.growFailed),
    refused: count(COUNTER.refused),
    waited: count(COUNTER.waited),
    waitAborted: count(COUNTER.waitAborted),
    stolenTotal: count(COUNTER.stolen),
    stolenReturned: count(COUNTER.stolenReturned),
    stolenCollected: count(COUNTER.stolenCollected),
    trimmed: count(COUNTER.trimmed),
    trimKept: count(COUNTER.trimKept),
    poisonHits: count(COUNTER.poisonHits),
    leaked: count(COUNTER.leaked),
    pressures: count(COUNTER.pressures),
    abandoned: count(COUNTER.abandoned),
    trimUnavailable: whyNoMemoryAdvice(),
  };
}
