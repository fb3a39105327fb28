/**
 * Shows each error that a pool raises: its code, that the message says what to do about it, and that nothing has changed
 * afterwards. Also shows what happens when the system has no memory: that is no error, but `null`.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { JumboError, JumboPool } from "../../src/index.ts";
import type { JumboErrorCode, Page, PoolOptions } from "../../src/index.ts";
import { HOLDS_MAX, PAGE_FIRST_WORD, PAGE_HOLDS, PAGE_WORDS } from "../../src/memory/layout.ts";
import { poolWithBlock } from "./control-block-of.ts";
import { withCode } from "./with-code.ts";

function allocated(pool: JumboPool): Page {
  const page = pool.alloc();
  assert(page !== null, "the pool has a page");
  return page;
}

/** Asserts that `misuse` throws `code` with a message like `message`, and that `pool` is what it was. */
function assertRefused(pool: JumboPool, code: JumboErrorCode, message: RegExp, misuse: () => unknown): void {
  const before = pool.stats();
  assert.throws(misuse, (error) => withCode(code)(error) && error instanceof Error && message.test(error.message));
  assert.deepEqual(pool.stats(), before, "nothing has changed");
  pool.verify();
}

describe("ERR_JUMBO_OPTION_INVALID", () => {
  const PAGES_IN_4_GIB = 1_048_576;
  const cases: readonly (readonly [option: string, refused: Record<string, unknown>, accepted?: PoolOptions])[] = [
    ["pageSizeBytes", { pageSizeBytes: 8192 }, { pageSizeBytes: 16_384 }],
    ["pageSizeBytes", { pageSizeBytes: "4096" }],
    ["pagesMax", { pagesMax: 0 }, { pagesMax: 1 }],
    ["pagesMax", { pagesMax: 1.5 }],
    ["pagesMax", { pagesMax: Number.NaN }],
    ["pagesMax", { pagesMax: "10" }],
    ["pagesMax", { pagesMax: PAGES_IN_4_GIB + 1 }, { pagesMax: PAGES_IN_4_GIB }],
    ["pagesMax", { pageSizeBytes: 65_536, pagesMax: 65_537 }, { pageSizeBytes: 65_536, pagesMax: 65_536 }],
    ["pagesInitial", { pagesInitial: -1 }, { pagesInitial: 0 }],
    ["pagesInitial", { pagesMax: 4, pagesInitial: 5 }, { pagesMax: 4, pagesInitial: 4 }],
    ["stolenMax", { stolenMax: -1 }, { stolenMax: 0 }],
    ["stolenMax", { pagesMax: PAGES_IN_4_GIB - 1, stolenMax: 2 }, { pagesMax: PAGES_IN_4_GIB - 1, stolenMax: 1 }],
    ["watermarks.lowPages", { watermarks: { lowPages: 0 } }, { watermarks: { lowPages: 1 } }],
    ["watermarks.lowPages", { pagesMax: 4, watermarks: { lowPages: 5 } }],
    [
      "watermarks.highPages",
      { watermarks: { lowPages: 3, highPages: 2 } },
      { watermarks: { lowPages: 3, highPages: 3 } },
    ],
    [
      "watermarks.highPages",
      { pagesMax: 4, watermarks: { highPages: 5 } },
      { pagesMax: 4, watermarks: { highPages: 4 } },
    ],
    ["waitersMax", { waitersMax: -1 }, { waitersMax: 0 }],
    ["waitersMax", { waitersMax: 1_000_001 }, { waitersMax: 1_000_000 }],
    ["zeroOnRelease", { zeroOnRelease: 1 }, { zeroOnRelease: true }],
    ["idleTrimMs", { idleTrimMs: -1 }, { idleTrimMs: 0 }],
    ["idleTrimMs", { idleTrimMs: 2 ** 31 }, { idleTrimMs: 2 ** 31 - 1 }],
    ["audit", { audit: "yes" }, { audit: true }],
    ["audit", { audit: 3 }, { audit: {} }],
    ["audit.sampleEvery", { audit: { sampleEvery: 0 } }, { audit: { sampleEvery: 1 } }],
    [
      "audit.quarantinePages",
      { pagesMax: 4, audit: { quarantinePages: 5 } },
      { pagesMax: 4, audit: { quarantinePages: 4 } },
    ],
    ["audit.onFinding", { audit: { onFinding: "log" } }, { audit: { onFinding: (): void => {} } }],
    ["pageMax", { pageMax: 4 }],
  ];
  for (const [option, refused, accepted] of cases) {
    test(`${option}: ${JSON.stringify(refused)} is refused, by name`, () => {
      const code = withCode("ERR_JUMBO_OPTION_INVALID");
      assert.throws(
        () => new JumboPool(refused),
        (error) => code(error) && String(error).includes(`${option} must be`),
      );
      if (accepted !== undefined) new JumboPool(accepted).close();
    });
  }

  test("options that are no object, and an unknown JUMBO_AUDIT, are refused", () => {
    for (const options of [null, 5, "small"]) {
      // The cast hands over what only a caller without types can.
      assert.throws(() => new JumboPool(options as unknown as PoolOptions), withCode("ERR_JUMBO_OPTION_INVALID"));
    }
    process.env["JUMBO_AUDIT"] = "often";
    try {
      assert.throws(() => new JumboPool(), withCode("ERR_JUMBO_OPTION_INVALID"));
      new JumboPool({ audit: false }).close(); // the option wins
    } finally {
      delete process.env["JUMBO_AUDIT"];
    }
  });

  test("allocMany: a count that is no whole number takes nothing", () => {
    const pool = new JumboPool({ pagesMax: 4 });
    const pages: Page[] = [];
    for (const count of [-1, 1.5, Number.NaN, Infinity]) {
      assertRefused(pool, "ERR_JUMBO_OPTION_INVALID", /whole number/, () => pool.allocMany(pages, count));
    }
    assert.deepEqual(pages, []);
  });

  test("allocRun: a count that is no whole number from 1 on takes nothing", () => {
    const pool = new JumboPool({ pagesMax: 4 });
    for (const count of [-1, 0, 1.5, Number.NaN, Infinity])
      assertRefused(pool, "ERR_JUMBO_OPTION_INVALID", /whole number from 1 on/, () => pool.allocRun(count));
  });
});

test("ERR_JUMBO_PAGE_RELEASED: a stale handle is refused, also when its page is somebody else's", () => {
  const pool = new JumboPool({ pagesMax: 1 });
  const stale = allocated(pool);
  stale.release();
  const tenant = allocated(pool);
  assert.equal(tenant.number, stale.number);
  tenant.bytes.fill(1);
  const uses: (() => unknown)[] = [
    () => stale.bytes,
    () => stale.hold(),
    () => stale.release(),
    () => stale.steal(),
    () => stale.copy(),
  ];
  for (const use of uses) assertRefused(pool, "ERR_JUMBO_PAGE_RELEASED", /hold\(\) it/, use);
  assert.equal(tenant.holdCount, 1);
  const stolen = tenant.steal();
  for (const use of [(): unknown => tenant.bytes, (): unknown => tenant.steal()])
    assertRefused(pool, "ERR_JUMBO_PAGE_RELEASED", /released/, use);
  stolen.release();
  for (const use of [(): unknown => stolen.bytes, (): unknown => stolen.release()]) {
    assertRefused(pool, "ERR_JUMBO_PAGE_RELEASED", /given back/, use);
  }
});

test("ERR_JUMBO_PAGE_SHARED: a page that others hold is not stolen", () => {
  const pool = new JumboPool({ pagesMax: 2 });
  const page = allocated(pool).hold();
  assertRefused(pool, "ERR_JUMBO_PAGE_SHARED", /2 holds/, () => page.steal());
  assert.equal(page.holdCount, 2);
  page.release();
  page.steal().release();
});

test("ERR_JUMBO_STOLEN_MAX: not one page more is stolen than stolenMax", () => {
  const pool = new JumboPool({ pagesMax: 2, stolenMax: 1 });
  const stolen = allocated(pool).steal();
  const page = allocated(pool);
  assertRefused(pool, "ERR_JUMBO_STOLEN_MAX", /give some back, or copy\(\)/, () => page.steal());
  assert.equal(page.bytes.length, 4096, "the page is still its holder's");
  stolen.release();
  page.steal().release();
});

test("ERR_JUMBO_HOLD_MAX: holds are counted up to 2^31 - 1, never around", () => {
  const { pool, block } = poolWithBlock({ pagesMax: 1 });
  const page = allocated(pool);
  block.words[PAGE_FIRST_WORD + page.number * PAGE_WORDS + PAGE_HOLDS] = HOLDS_MAX - 1;
  page.hold();
  assertRefused(pool, "ERR_JUMBO_HOLD_MAX", /holds in a loop/, () => page.hold());
  assert.equal(page.holdCount, HOLDS_MAX);
});

test("ERR_JUMBO_WAITERS_MAX: one waiter too many is refused, the others wait on", async () => {
  const pool = new JumboPool({ pagesMax: 1, waitersMax: 1 });
  const page = allocated(pool);
  const first = pool.allocOrWait();
  await assert.rejects(pool.allocOrWait(), withCode("ERR_JUMBO_WAITERS_MAX"));
  assert.equal(pool.stats().waiting, 1);
  page.release();
  assert.equal((await first).number, page.number);
});

test("ERR_JUMBO_PAGES_OUT: a pool with pages out does not close, and tells how many and where from", () => {
  const pool = new JumboPool({ pagesMax: 4, audit: true });
  const page = allocated(pool);
  assertRefused(pool, "ERR_JUMBO_PAGES_OUT", /^1 pages are out: .*force.*errors\.test/s, () => pool.close());
  assertRefused(pool, "ERR_JUMBO_PAGES_OUT", /1 pages/, () => pool[Symbol.dispose]());
  assert.equal(pool.isClosed, false);
  page.release();
  pool.close();

  const unwatched = new JumboPool({ pagesMax: 4, audit: false });
  allocated(unwatched);
  assertRefused(unwatched, "ERR_JUMBO_PAGES_OUT", /audit mode tells where/, () => unwatched.close());
});

test("ERR_JUMBO_POOL_CLOSED: a closed pool hands out nothing, and who waited is told", async () => {
  const pool = new JumboPool({ pagesMax: 1 });
  const abandoned = allocated(pool);
  const waiting = pool.allocOrWait();
  pool.close({ force: true });
  await assert.rejects(waiting, withCode("ERR_JUMBO_POOL_CLOSED"));
  await pool.closed;
  for (const use of [
    (): unknown => pool.alloc(),
    (): unknown => pool.allocMany([], 1),
    (): unknown => pool.allocRun(1),
    (): unknown => pool.trim(),
  ]) {
    assertRefused(pool, "ERR_JUMBO_POOL_CLOSED", /closed/, use);
  }
  await assert.rejects(pool.allocOrWait(), withCode("ERR_JUMBO_POOL_CLOSED"));
  assertRefused(pool, "ERR_JUMBO_PAGE_RELEASED", /released/, () => abandoned.release());
  assert.equal(pool.stats().abandoned, 1);
  pool.close(); // again: nothing
});

test("an aborted wait rejects with the signal's own reason, and takes nothing", async () => {
  const pool = new JumboPool({ pagesMax: 1 });
  const reason = new Error("no time");
  await assert.rejects(pool.allocOrWait({ signal: AbortSignal.abort(reason) }), (error) => error === reason);
  assert.equal(pool.stats().taken, 0, "not even when there is a page");
  const page = allocated(pool);
  const controller = new AbortController();
  const waiting = pool.allocOrWait({ signal: controller.signal });
  controller.abort(reason);
  await assert.rejects(waiting, (error) => error === reason);
  page.release();
  assert.equal(pool.stats().inUse, 0, "nobody took it");
  assert.equal((await pool.allocOrWait({ signal: new AbortController().signal })).number, page.number);
});

test("a page that was promised is the waiter's, also when the signal aborts before the promise is seen", async () => {
  const pool = new JumboPool({ pagesMax: 1 });
  const page = allocated(pool);
  const controller = new AbortController();
  const waiting = pool.allocOrWait({ signal: controller.signal });
  page.release();
  controller.abort();
  assert.equal((await waiting).holdCount, 1);
  assert.equal(pool.stats().waitAborted, 0);
});

test("waiters are served in order of arrival, and alloc does not overtake them", async () => {
  const pool = new JumboPool({ pagesMax: 2 });
  const pages = [allocated(pool), allocated(pool)];
  const order: string[] = [];
  const waits = ["a", "b", "c"].map(async (name) => {
    const page = await pool.allocOrWait();
    order.push(name);
    return page;
  });
  pages[0]?.release();
  assert.equal(pool.alloc(), null);
  pages[1]?.release();
  assert.equal(pool.alloc(), null);
  const [a, b] = await Promise.all(waits.slice(0, 2));
  assert.deepEqual(order, ["a", "b"]);
  assert.notEqual(a?.number, b?.number);
  a?.release();
  await waits[2];
  assert.deepEqual(order, ["a", "b", "c"]);
});

test("when the system has no memory, alloc gives null, counts it, and works again later", () => {
  const global = globalThis as unknown as { WebAssembly: { Memory: typeof Function } };
  const { Memory } = global.WebAssembly;
  let isOutOfMemory = false;
  global.WebAssembly.Memory = new Proxy(Memory, {
    construct: (target, limits): object => {
      const memory = Reflect.construct(target, limits) as { readonly buffer: unknown; grow(pages: number): number };
      const grow = (pages: number): number => {
        if (isOutOfMemory) throw new RangeError("WebAssembly.Memory.grow(): Unable to grow instance memory");
        return memory.grow(pages);
      };
      return {
        grow,
        get buffer(): unknown {
          return memory.buffer;
        },
      };
    },
  });
  try {
    const pool = new JumboPool({ pageSizeBytes: 65_536, pagesMax: 8, pagesInitial: 1 });
    const page = allocated(pool);
    isOutOfMemory = true;
    assert.equal(pool.alloc(), null);
    assert.equal(pool.stats().growFailed, 1);
    assert.equal(pool.stats().refused, 1);
    assert.equal(pool.isUnderPressure, true);
    pool.verify();
    page.bytes.fill(1);
    isOutOfMemory = false;
    assert.notEqual(allocated(pool).number, page.number);
    pool.verify();
  } finally {
    global.WebAssembly.Memory = Memory;
  }
});

test("a JumboError is an Error with a code and a name", () => {
  const error = new JumboError("ERR_JUMBO_HOLD_MAX", "text", { cause: "why" });
  assert(error instanceof Error);
  assert.equal(error.name, "JumboError");
  assert.equal(error.cause, "why");
});
