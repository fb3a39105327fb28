/**
 * Shows that a control block says what it was made for, that two views of it see the same words, and that memory which is not a
 * control block of this version is refused: a wrong one would be read as nonsense.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { attachControlBlock, createControlBlock } from "../../src/memory/control-block.ts";
import { COUNTER, MAGIC, NIL, PAGE_FIRST_WORD, VERSION, WORD, controlBytes } from "../../src/memory/layout.ts";

const GEOMETRY = { pageSizeBytes: 16_384, pagesMax: 10, stolenMax: 3 };

test("a new block names its sizes; every list is empty, every page uncommitted, every counter zero", () => {
  const { words, counters, memory } = createControlBlock(GEOMETRY);
  assert.equal(memory.byteLength, controlBytes(13));
  const header = Object.fromEntries(Object.entries(WORD).map(([name, index]) => [name, words[index]]));
  assert.deepEqual(header, {
    magic: MAGIC,
    version: VERSION,
    pageSizeBytes: 16_384,
    arenaPages: 13,
    pagesMax: 10,
    stolenMax: 3,
    frontier: 0,
    pooled: 0,
    inUse: 0,
    stolen: 0,
    freeHead: NIL,
    retiredHead: NIL,
    retired: 0,
    quarantineHead: NIL,
    quarantineTail: NIL,
    quarantined: 0,
    sortedHead: NIL,
  });
  assert(words.subarray(PAGE_FIRST_WORD).every((word) => word === 0));
  assert(counters.every((count) => count === 0));
});

test("two views of a block see the same words, and counters do not touch words", () => {
  const made = createControlBlock(GEOMETRY);
  const attached = attachControlBlock(made.memory);
  attached.words[WORD.freeHead] = 5;
  attached.counters[COUNTER.taken] = 2 ** 53;
  attached.counters[COUNTER.abandoned] = -1;
  assert.equal(made.words[WORD.freeHead], 5);
  assert.equal(made.counters[COUNTER.taken], 2 ** 53);
  assert.equal(made.words[PAGE_FIRST_WORD - 33], 0, "the last header word, before the counters");
  assert.equal(made.words[PAGE_FIRST_WORD], 0, "the first page word");
});

test("what is not a control block of this version is refused", () => {
  const spoilt = (spoil: (words: Int32Array) => void): SharedArrayBuffer => {
    const { words, memory } = createControlBlock(GEOMETRY);
    spoil(words);
    return memory;
  };
  const wrong: readonly (readonly [law: RegExp, memory: SharedArrayBuffer])[] = [
    [/magic/, spoilt((words) => (words[WORD.magic] = 0))],
    [/version 3 is not 2/, spoilt((words) => (words[WORD.version] = VERSION + 1))],
    [/as long as its pages/, spoilt((words) => words[WORD.arenaPages]!++)],
    [/as long as its pages/, spoilt((words) => words[WORD.arenaPages]!--)],
    [/magic/, new SharedArrayBuffer(controlBytes(13))],
    [/at least its header/, new SharedArrayBuffer(controlBytes(0) - 8)],
    [/at least its header/, new SharedArrayBuffer(0)],
  ];
  for (const [law, memory] of wrong) {
    assert.throws(
      () => attachControlBlock(memory),
      (error) => error instanceof Error && error.name === "InvariantError" && law.test(error.message),
    );
  }
});
