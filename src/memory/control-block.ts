import { invariant } from "../invariant.ts";
import { COUNTERS, MAGIC, NIL, VERSION, WORD, controlBytes } from "./layout.ts";

/** What a control block is made for. Pages and bytes are fixed for its life. */
export type Geometry = {
  readonly pageSizeBytes: number;
  /** The pool's own pages at most: free + in use. */
  readonly pagesMax: number;
  /** Address space kept for pages that left the pool. */
  readonly stolenMax: number;
};

/** The two views over one control block; see `layout.ts` for what lies where. */
export type ControlBlock = {
  readonly memory: SharedArrayBuffer;
  readonly words: Int32Array;
  readonly counters: Float64Array;
};

/** Makes a block in which every page is uncommitted and every list is empty. Memory is committed lazily by the system. */
export function createControlBlock(geometry: Geometry): ControlBlock {
  const arenaPages = geometry.pagesMax + geometry.stolenMax;
  const block = viewsOver(new SharedArrayBuffer(controlBytes(arenaPages)));
  const { words } = block;
  words[WORD.version] = VERSION;
  words[WORD.pageSizeBytes] = geometry.pageSizeBytes;
  words[WORD.arenaPages] = arenaPages;
  words[WORD.pagesMax] = geometry.pagesMax;
  words[WORD.stolenMax] = geometry.stolenMax;
  words[WORD.freeHead] = NIL;
  words[WORD.sortedHead] = NIL;
  words[WORD.retiredHead] = NIL;
  words[WORD.quarantineHead] = NIL;
  words[WORD.quarantineTail] = NIL;
  words[WORD.magic] = MAGIC; // last: who finds the magic finds everything
  return block;
}

/**
 * Views over a block that exists already.
 * @throws InvariantError when `memory` is not a control block of this version
 */
export function attachControlBlock(memory: SharedArrayBuffer): ControlBlock {
  invariant(memory.byteLength >= controlBytes(0), "a control block has at least its header");
  const block = viewsOver(memory);
  const { words } = block;
  invariant(words[WORD.magic] === MAGIC, "a control block begins with its magic word");
  invariant(words[WORD.version] === VERSION, `control block version ${words[WORD.version]} is not ${VERSION}`);
  invariant(
    memory.byteLength === controlBytes(words[WORD.arenaPages] ?? -1),
    "a control block is as long as its pages need",
  );
  return block;
}

function viewsOver(memory: SharedArrayBuffer): ControlBlock {
  return {
    memory,
    words: new Int32Array(memory),
    counters: new Float64Array(memory, COUNTERS.byteOffset, COUNTERS.length),
  };
}
