/**
 * Shows that audit mode finds who forgot a page, who keeps one, and who writes to one that was released, and says where
 * each came from; that a page just released waits in quarantine; and that sampling and `JUMBO_AUDIT` do what they say.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { JumboPool } from "../../src/index.ts";
import type { AuditFinding, AuditOptions, Page, PoolOptions } from "../../src/index.ts";
import { inChild } from "./child.ts";
import { collecting, collectThoroughly } from "./collected.ts";
import { until } from "./until.ts";

function allocated(pool: JumboPool): Page {
  const page = pool.alloc();
  assert(page !== null, "the pool has a page");
  return page;
}

/** A pool under audit, its findings, and a promise of the first one. */
function audited(
  options: PoolOptions = {},
  audit: AuditOptions = {},
): { pool: JumboPool; findings: AuditFinding[]; found: Promise<AuditFinding> } {
  const findings: AuditFinding[] = [];
  let pool: JumboPool | undefined;
  const found = new Promise<AuditFinding>((resolve) => {
    const onFinding = (finding: AuditFinding): void => {
      findings.push(finding);
      resolve(finding);
    };
    pool = new JumboPool({ pagesMax: 4, ...options, audit: { onFinding, ...audit } });
  });
  assert(pool !== undefined);
  return { pool, findings, found };
}

describe("holders", () => {
  test("tells who has which page, how often, since when and from where", async () => {
    const { pool } = audited();
    function myOwnFunction(): Page {
      return allocated(pool).hold();
    }
    const page = myOwnFunction();
    const waited = await pool.allocOrWait();
    const many: Page[] = [];
    pool.allocMany(many, 1);
    const holders = pool.holders();
    assert.equal(holders.length, 3);
    const mine = holders.find(({ pageNumber }) => pageNumber === page.number);
    assert.equal(mine?.holdCount, 2);
    assert(mine.ageMs !== null && mine.ageMs >= 0 && mine.ageMs < 60_000);
    assert.match(mine.stack ?? "", /^ +at .*allocated.*\n.*myOwnFunction.*audit\.test/);
    for (const { stack } of holders)
      assert.match(stack ?? "", /^ +at .*audit\.test/, "the caller is on top, not the pool");
    assert.equal(pool.holders(2).length, 2, "at most so many");
    for (const out of [page, page, waited, ...many]) out.release();
    assert.deepEqual(pool.holders(), []);
  });

  test("without audit, pages and holds only", () => {
    const pool = new JumboPool({ pagesMax: 2, audit: false });
    const page = allocated(pool);
    assert.deepEqual(pool.holders(), [{ pageNumber: page.number, holdCount: 1, ageMs: null, stack: null }]);
  });
});

describe("write after release", () => {
  test("is found when the page is taken next, and says where and whose it was", async () => {
    const { pool, found } = audited({ pagesMax: 1, zeroOnRelease: true });
    const page = allocated(pool);
    const { bytes } = page;
    page.release();
    bytes[5] = 1;
    const next = allocated(pool);
    const finding = await found;
    assert.equal(finding.code, "JUMBO_WRITE_AFTER_RELEASE");
    assert.equal(finding.pageNumber, page.number);
    assert.match(finding.message, /at byte 5 after its release/);
    assert.match(finding.message, /audit\.test/);
    assert.equal(pool.stats().poisonHits, 1);
    assert(
      next.bytes.every((byte) => byte === 0),
      "the next tenant does not suffer",
    );
  });

  test("of the very value of the poison is the only one that is not found", async () => {
    const { pool, findings } = audited({ pagesMax: 1 });
    for (const value of [0xdb, 0x00, 0xff]) {
      const page = allocated(pool);
      const { bytes } = page;
      page.release();
      bytes[4095] = value;
    }
    allocated(pool);
    await Promise.resolve();
    assert.equal(findings.length, 2);
  });

  test("is not reported of who writes before the release, or who has the page next", async () => {
    const { pool, findings } = audited({ pagesMax: 1 });
    for (let round = 0; round < 4; round++) {
      const page = allocated(pool);
      page.bytes.fill(round);
      page.release();
    }
    await Promise.resolve();
    assert.deepEqual(findings, []);
    assert.equal(pool.stats().poisonHits, 0);
  });

  test("is found by trim too, before the memory goes", async () => {
    const { pool, found } = audited({ pagesMax: 2 });
    const page = allocated(pool);
    const { bytes } = page;
    page.release();
    bytes[0] = 1;
    if (pool.trim() === 0) allocated(pool); // kept: the next to take it finds out
    assert.equal((await found).code, "JUMBO_WRITE_AFTER_RELEASE");
  });
});

test("a page in quarantine stays watched while idle trim takes others", async () => {
  const { pool, found } = audited({ pagesMax: 64, pagesInitial: 2, idleTrimMs: 5 }, { quarantinePages: 1 });
  const pages: Page[] = [];
  pool.allocMany(pages, 64);
  const [last] = pages;
  assert(last !== undefined);
  const { bytes } = last;
  for (const page of pages.reverse()) page.release();
  assert.equal(pool.stats().quarantined, 1);
  await until(() => pool.stats().trimmed + pool.stats().trimKept > 0, "idle trim");
  assert.equal(pool.stats().quarantined, 1);
  bytes[7] = 1;
  pool.allocMany([], 64);
  assert.equal((await found).pageNumber, last.number);
});

test("zeroOnRelease: who takes a page that was poisoned finds zeros, also after a trim", () => {
  for (const quarantinePages of [0, 2]) {
    const { pool } = audited({ pagesMax: 2, zeroOnRelease: true }, { quarantinePages });
    for (let round = 0; round < 6; round++) {
      const page = allocated(pool);
      assert(
        page.bytes.every((byte) => byte === 0),
        `round ${round}`,
      );
      page.bytes.fill("secret");
      page.release();
      if (round % 2 === 0) pool.trim();
    }
  }
});

test("quarantine: a page just released is the last to be handed out again", () => {
  const { pool } = audited({ pagesMax: 4, pagesInitial: 4 }, { quarantinePages: 2 });
  const pages = Array.from({ length: 4 }, () => allocated(pool));
  const [a, b, c, d] = pages;
  assert(a !== undefined && b !== undefined && c !== undefined && d !== undefined);
  a.release();
  assert.equal(pool.stats().quarantined, 1);
  assert.equal(pool.stats().free, 1, "it counts as free");
  b.release();
  c.release(); // one more than the quarantine holds: the oldest, a, is free for good
  assert.equal(pool.stats().quarantined, 2);
  assert.equal(allocated(pool).number, a.number);
  assert.equal(allocated(pool).number, b.number, "with nothing else left, the quarantine gives its oldest");
  assert.equal(allocated(pool).number, c.number);
  assert.equal(pool.alloc(), null);
  pool.verify();
});

describe("leaks", () => {
  test("a handle that is garbage before its release is reported, with its stack", async () => {
    const { pool, found } = audited();
    function forgetful(): number {
      return allocated(pool).number;
    }
    const number = forgetful();
    const finding = await collecting(found, "the leak is reported");
    assert.equal(finding.code, "JUMBO_LEAK");
    assert.equal(finding.pageNumber, number);
    assert.match(finding.message, /never released.*forgetful/s);
    assert.equal(pool.stats().leaked, 1);
    assert.equal(pool.stats().inUse, 1, "the page stays out: somebody may still write there");
    assert.match(pool.holders()[0]?.stack ?? "", /forgetful/);
  });

  test("a leak is found also when the page was kept in the object whose method allocated it", async () => {
    const { pool, found } = audited();
    class Connection {
      readonly page: Page;
      constructor() {
        this.page = allocated(pool);
      }
    }
    ((): number => new Connection().page.number)();
    assert.match((await collecting(found, "the leak is reported")).message, /new Connection/);
  });

  test("a page that was released, stolen, or taken away by force is no leak", async () => {
    const { pool, findings } = audited({ pagesMax: 8 });
    const tookProperly = (): void => {
      allocated(pool).release();
      allocated(pool).steal().release();
      allocated(pool);
      pool.close({ force: true });
    };
    tookProperly();
    // A second pool, whose leak is found, proves that the collector did look.
    const other = audited();
    ((): void => void allocated(other.pool))();
    await collecting(other.found, "the other pool's leak");
    await collectThoroughly();
    assert.deepEqual(findings, []);
  });
});

test("sampling watches exactly one allocation in N", () => {
  const { pool } = audited({ pagesMax: 30 }, { sampleEvery: 3 });
  const pages = Array.from({ length: 30 }, () => allocated(pool));
  const watched = pool.holders().filter(({ stack }) => stack !== null);
  assert.equal(watched.length, 10);
  for (const page of pages) page.release();
  assert.equal(pool.stats().quarantined, 10, "only what is watched is poisoned and quarantined");
  pool.verify();
});

describe("JUMBO_AUDIT in the environment", () => {
  const watched = `const pool = new JumboPool({ pagesMax: 12 });
    const pages = []; pool.allocMany(pages, 12);
    console.log(JSON.stringify(pool.holders().filter(({ stack }) => stack !== null).length));`;
  for (const [value, expected] of [
    ["", 0],
    ["0", 0],
    ["1", 12],
    ["4", 3],
  ] as const) {
    test(`"${value}": ${expected} of 12 are watched`, async () => {
      assert.equal((await inChild(watched, { JUMBO_AUDIT: value })).value, expected);
    });
  }

  test("a leak is a process warning with its code when nobody listens", async () => {
    const { stderr, value } = await inChild(
      `const pool = new JumboPool({ pagesMax: 4 });
       (() => { pool.alloc(); })();
       const warned = new Promise((resolve) => process.on("warning", resolve));
       const timer = setInterval(gc, 5);
       const { name, code } = await warned;
       clearInterval(timer);
       console.log(JSON.stringify({ name, code }));`,
      { JUMBO_AUDIT: "1" },
    );
    assert.deepEqual(value, { name: "JumboWarning", code: "JUMBO_LEAK" });
    assert.match(stderr, /never released/);
  });
});
