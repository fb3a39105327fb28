/**
 * Shows that, whatever is asked of a pool and in whatever order, it does what a plain model of sets and arrays of page numbers
 * says: who gets a page and which, who waits and in which order, when pressure begins and ends, what is refused and with
 * which code. After every step the pool's laws are checked by walking it, its counts are compared with the model's, and every
 * page that is out or stolen must carry the bytes that its holder wrote.
 *
 * The model knows nothing of lists, generations or growth. Pools are small, so that every limit is hit.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { JumboPool } from "../../src/index.ts";
import type { Page, PoolOptions, StolenPage } from "../../src/index.ts";
import { withCode } from "./with-code.ts";

type Tenancy = { readonly page: Page; readonly stamp: number; holds: number };
type Theft = { readonly stolen: StolenPage; readonly bytes: Buffer; readonly stamp: number };
type Outcome = { readonly page: Page } | { readonly reason: unknown };
type Wait = { readonly controller: AbortController; outcome: Outcome | null };

type Limits = Required<
  Pick<PoolOptions, "pagesMax" | "pagesInitial" | "stolenMax" | "waitersMax" | "zeroOnRelease">
> & {
  readonly lowPages: number;
  readonly highPages: number;
  readonly isAudited: boolean;
};

class Model {
  readonly limits: Limits;
  readonly out: Tenancy[] = [];
  readonly theirs: Theft[] = [];
  readonly waits: Wait[] = [];
  /** Handles whose every use must be refused from now on. */
  readonly deadPages: Page[] = [];
  readonly deadThefts: StolenPage[] = [];
  /** Free pages whose order of release is known, the last one last. */
  readonly released: number[] = [];
  isUnderPressure = false;
  isClosed = false;
  stamp = 0;
  counts = {
    taken: 0,
    returned: 0,
    refused: 0,
    waited: 0,
    waitAborted: 0,
    stolenTotal: 0,
    stolenReturned: 0,
    abandoned: 0,
  };

  constructor(limits: Limits) {
    this.limits = limits;
  }

  get available(): number {
    return this.limits.pagesMax - this.out.length;
  }

  /** `page` has just been handed out by the real pool: notes and stamps it. */
  took(page: Page): void {
    const expected = this.released.pop();
    if (expected !== undefined && !this.limits.isAudited) assert.equal(page.number, expected, "the page released last");
    assert(!this.out.some((tenancy) => tenancy.page.number === page.number), "not a page that is out");
    assert(!this.theirs.some(({ stolen }) => stolen.number === page.number), "not a page that was stolen");
    if (this.limits.zeroOnRelease)
      assert(
        page.bytes.every((byte) => byte === 0),
        "no tenant sees another's bytes",
      );
    const stamp = ++this.stamp;
    stampOn(page.bytes, stamp);
    this.out.push({ page, stamp, holds: 1 });
    this.counts.taken++;
    if (this.available < this.limits.lowPages) this.isUnderPressure = true;
  }

  refused(): void {
    if (this.out.length > 0) this.isUnderPressure = true;
  }

  /** A page left its holder: somebody may be relieved, and the one who waits longest gets a page. */
  async gave(tenancy: Tenancy): Promise<void> {
    this.out.splice(this.out.indexOf(tenancy), 1);
    this.deadPages.push(tenancy.page);
    this.counts.returned++;
    if (this.available >= this.limits.highPages) this.isUnderPressure = false;
    const first = this.waits.shift();
    if (first === undefined) return;
    await settling();
    assert(first.outcome !== null && "page" in first.outcome, "who waits longest is served first, and at once");
    this.took(first.outcome.page);
  }
}

function stampOn(bytes: Buffer, stamp: number): void {
  bytes.fill(stamp & 0xff);
  bytes.writeUInt32LE(stamp, 0);
}

function assertStamped(bytes: Buffer, stamp: number): void {
  assert.equal(bytes.length, 4096);
  assert.equal(bytes.readUInt32LE(0), stamp, "its holder's bytes");
  assert(
    bytes.subarray(4).every((byte) => byte === (stamp & 0xff)),
    "all of its holder's bytes",
  );
}

/** Until every promise that can settle by now has. */
function settling(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

type Real = { readonly pool: JumboPool; readonly told: ("pressure" | "relief")[]; readonly findings: string[] };
type Step = fc.AsyncCommand<Model, Real>;

/** Compares everything that both sides know. */
async function check(model: Model, { pool, told, findings }: Real): Promise<void> {
  await settling();
  pool.verify();
  const { out, theirs, waits, limits, counts } = model;
  const stats = pool.stats();
  for (const [name, count] of Object.entries(counts))
    assert.equal(Object.entries(stats).find(([key]) => key === name)?.[1], count, name);
  assert.equal(stats.inUse, out.length);
  assert.equal(stats.stolen, theirs.length);
  assert.equal(stats.waiting, waits.length);
  assert.equal(stats.uncommitted + stats.free + stats.inUse + stats.stolen, limits.pagesMax + limits.stolenMax);
  assert(stats.free >= 0 && stats.uncommitted >= 0 && stats.free + stats.inUse <= limits.pagesMax);
  if (!model.isClosed) {
    assert.equal(pool.availablePages, model.available);
    assert.equal(
      stats.free + stats.inUse,
      stats.grown - stats.trimmed - stats.stolenTotal,
      "pages come by growth, go by trim and steal",
    );
    assert.equal(pool.isUnderPressure, model.isUnderPressure, "pressure");
    assert.equal(told.at(-1) ?? "relief", model.isUnderPressure ? "pressure" : "relief", "listeners know");
    assert(
      told.every((event, index) => event === (index % 2 === 0 ? "pressure" : "relief")),
      "listeners hear of changes only",
    );
  }
  for (const { page, stamp, holds } of out) {
    assert.equal(page.holdCount, holds);
    assertStamped(page.bytes, stamp);
  }
  for (const { bytes, stamp } of theirs) assertStamped(bytes, stamp);
  assert.deepEqual(
    new Set(pool.holders().map(({ pageNumber }) => pageNumber)),
    new Set(out.map(({ page }) => page.number)),
  );
  assert(
    waits.every(({ outcome }) => outcome === null),
    "who ought to wait waits",
  );
  assert.deepEqual(findings, []);
}

function command(name: string, run: (model: Model, real: Real) => void | Promise<void>): Step {
  return {
    check: () => true,
    run: async (model, real) => {
      await run(model, real);
      await check(model, real);
    },
    toString: () => name,
  };
}

function pick<T>(from: readonly T[], choice: number): T | undefined {
  return from[choice % Math.max(1, from.length)];
}

const alloc = fc.constant(
  command("alloc", (model, { pool }) => {
    if (model.isClosed) return assert.throws(() => pool.alloc(), withCode("ERR_JUMBO_POOL_CLOSED"));
    const wasAvailable = model.available > 0;
    const page = pool.alloc();
    assert.equal(page !== null, wasAvailable, "a page exactly when fewer than pagesMax are out");
    if (page !== null) return model.took(page);
    model.counts.refused++;
    model.refused();
  }),
);

const allocRun = fc.integer({ min: 1, max: 6 }).map((count) =>
  command(`allocRun(${count})`, (model, { pool }) => {
    if (model.isClosed) return assert.throws(() => pool.allocRun(count), withCode("ERR_JUMBO_POOL_CLOSED"));
    const run = pool.allocRun(count);
    assert.equal(run !== null, model.available > 0, "a run exactly when fewer than pagesMax are out");
    model.released.length = 0; // runs come from sorted pages: nobody knows the order any more
    if (run === null) {
      model.counts.refused++;
      return model.refused();
    }
    const { pages, bytes } = run;
    assert(pages.length >= 1 && pages.length <= Math.min(count, model.available));
    const first = pages[0]?.number ?? -1;
    assert.deepEqual(
      pages.map(({ number }) => number),
      pages.map((_, index) => first + index),
      "side by side, lowest first",
    );
    for (const page of pages) model.took(page);
    assert.deepEqual(bytes, Buffer.concat(pages.map((page) => page.bytes)), "the bytes of all of them");
  }),
);

const allocMany = fc.nat(6).map((count) =>
  command(`allocMany(${count})`, (model, { pool }) => {
    const pages: Page[] = [];
    if (model.isClosed && count > 0)
      return assert.throws(() => pool.allocMany(pages, count), withCode("ERR_JUMBO_POOL_CLOSED"));
    const expected = Math.min(count, model.available);
    assert.equal(pool.allocMany(pages, count), model.isClosed ? 0 : expected);
    assert.equal(pages.length, expected);
    for (const page of pages) model.took(page);
    if (expected === count) return;
    model.counts.refused++;
    model.refused();
  }),
);

const allocOrWait = fc.boolean().map((isAborted) =>
  command(`allocOrWait(${isAborted ? "aborted" : ""})`, async (model, { pool }) => {
    const wait: Wait = { controller: new AbortController(), outcome: null };
    if (isAborted) wait.controller.abort(new Error("changed my mind"));
    pool.allocOrWait({ signal: wait.controller.signal }).then(
      (page) => (wait.outcome = { page }),
      (reason: unknown) => (wait.outcome = { reason }),
    );
    await settling();
    if (isAborted) return assertRejected(wait, (reason) => reason === wait.controller.signal.reason);
    if (model.isClosed) return assertRejected(wait, withCode("ERR_JUMBO_POOL_CLOSED"));
    if (model.available > 0) {
      assert(wait.outcome !== null && "page" in wait.outcome, "nobody waits while there is a page");
      return model.took(wait.outcome.page);
    }
    model.counts.waited++;
    model.refused();
    if (model.waits.length === model.limits.waitersMax) return assertRejected(wait, withCode("ERR_JUMBO_WAITERS_MAX"));
    model.waits.push(wait);
  }),
);

function assertRejected({ outcome }: Wait, isRight: (reason: unknown) => boolean): void {
  assert(outcome !== null && "reason" in outcome && isRight(outcome.reason), "rejected, with the right reason");
}

const abort = fc.nat().map((choice) =>
  command(`abort(${choice})`, async (model) => {
    const [wait] = model.waits.splice(choice % Math.max(1, model.waits.length), 1);
    if (wait === undefined) return;
    wait.controller.abort(new Error("waited too long"));
    await settling();
    assertRejected(wait, (reason) => reason === wait.controller.signal.reason);
    model.counts.waitAborted++;
  }),
);

const hold = fc.nat().map((choice) =>
  command(`hold(${choice})`, (model) => {
    const tenancy = pick(model.out, choice);
    if (tenancy === undefined) return;
    assert.equal(tenancy.page.hold(), tenancy.page);
    tenancy.holds++;
  }),
);

const release = fc.nat().map((choice) =>
  command(`release(${choice})`, async (model) => {
    const tenancy = pick(model.out, choice);
    if (tenancy === undefined) return;
    const wasWaitedFor = model.waits.length > 0;
    tenancy.page.release();
    if (--tenancy.holds > 0) return;
    model.released.push(tenancy.page.number);
    await model.gave(tenancy);
    if (wasWaitedFor) assert.equal(model.available, 0, "the page went to who waited");
  }),
);

const steal = fc.nat().map((choice) =>
  command(`steal(${choice})`, async (model) => {
    const tenancy = pick(model.out, choice);
    if (tenancy === undefined) return;
    const { page, stamp, holds } = tenancy;
    if (holds > 1) return assert.throws(() => page.steal(), withCode("ERR_JUMBO_PAGE_SHARED"));
    if (model.theirs.length === model.limits.stolenMax)
      return assert.throws(() => page.steal(), withCode("ERR_JUMBO_STOLEN_MAX"));
    const stolen = page.steal();
    assert.equal(stolen.number, page.number);
    model.theirs.push({ stolen, bytes: stolen.bytes, stamp });
    model.counts.stolenTotal++;
    await model.gave(tenancy);
  }),
);

const giveBack = fc.nat().map((choice) =>
  command(`giveBack(${choice})`, (model) => {
    const [theft] = model.theirs.splice(choice % Math.max(1, model.theirs.length), 1);
    if (theft === undefined) return;
    theft.stolen.release();
    model.counts.stolenReturned++;
    model.deadThefts.push(theft.stolen);
  }),
);

const useStale = fc.nat().map((choice) =>
  command(`useStale(${choice})`, (model) => {
    const page = pick(model.deadPages, choice);
    if (page !== undefined) {
      const uses: (() => unknown)[] = [
        () => page.bytes,
        () => page.hold(),
        () => page.release(),
        () => page.steal(),
        () => page.copy(),
      ];
      for (const use of uses) assert.throws(use, withCode("ERR_JUMBO_PAGE_RELEASED"));
      assert.equal(page.isReleased, true);
      assert.equal(page.holdCount, 0);
      page[Symbol.dispose]();
    }
    const stolen = pick(model.deadThefts, choice);
    if (stolen === undefined) return;
    for (const use of [(): unknown => stolen.bytes, (): unknown => stolen.release()]) {
      assert.throws(use, withCode("ERR_JUMBO_PAGE_RELEASED"));
    }
    stolen[Symbol.dispose]();
  }),
);

const trim = fc.constant(
  command("trim", (model, { pool }) => {
    if (model.isClosed) return assert.throws(() => pool.trim(), withCode("ERR_JUMBO_POOL_CLOSED"));
    const { free } = pool.stats();
    const trimmed = pool.trim();
    assert(trimmed === free || trimmed === 0, "all of the free pages, or none where the system does not let us");
    if (trimmed > 0) model.released.length = 0;
  }),
);

const close = fc.boolean().map((force) =>
  command(`close(${force ? "force" : ""})`, async (model, { pool }) => {
    if (!model.isClosed && !force && model.out.length > 0) {
      return assert.throws(() => pool.close(), withCode("ERR_JUMBO_PAGES_OUT"));
    }
    pool.close({ force });
    model.isClosed = true;
    const abandoned = model.out.splice(0);
    model.deadPages.push(...abandoned.map(({ page }) => page));
    model.counts.abandoned += abandoned.length;
    model.counts.returned += abandoned.length;
    await settling();
    for (const wait of model.waits.splice(0)) assertRejected(wait, withCode("ERR_JUMBO_POOL_CLOSED"));
    await pool.closed;
  }),
);

const limits: fc.Arbitrary<Limits> = fc
  .record({ pagesMax: fc.integer({ min: 1, max: 20 }), a: fc.nat(), b: fc.nat(), c: fc.nat() })
  .chain(({ pagesMax, a, b, c }) => {
    const [lowPages = 1, highPages = 1] = [1 + (a % pagesMax), 1 + (b % pagesMax)].toSorted((x, y) => x - y);
    return fc.record({
      pagesMax: fc.constant(pagesMax),
      pagesInitial: fc.constant(c % (pagesMax + 1)),
      lowPages: fc.constant(lowPages),
      highPages: fc.constant(highPages),
      stolenMax: fc.nat(4),
      waitersMax: fc.nat(3),
      zeroOnRelease: fc.boolean(),
      isAudited: fc.boolean(),
    });
  });

test("a pool does what a model of sets and arrays says", async () => {
  const often = [
    alloc,
    alloc,
    allocMany,
    allocRun,
    allocOrWait,
    allocOrWait,
    release,
    release,
    release,
    hold,
    steal,
    giveBack,
    useStale,
  ];
  const steps = fc.commands([...often, ...often, ...often, abort, abort, trim, close], {
    maxCommands: 100,
    size: "max",
  });
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(limits, steps, async (chosen, commands) => {
      const real = realPool(chosen);
      const model = new Model(chosen);
      await fc.asyncModelRun(() => ({ model, real }), commands);
      for (const [name, count] of Object.entries(real.pool.stats()))
        if (count === true || Number(count) > 0) seen.add(name);
      real.pool.close({ force: true });
    }),
    { numRuns: 200 },
  );
  const paths = [
    "refused",
    "waited",
    "waitAborted",
    "stolenTotal",
    "stolenReturned",
    "pressures",
    "abandoned",
    "quarantined",
    "grown",
  ];
  for (const path of paths) assert(seen.has(path), `the runs reached ${path}`);
});

function realPool({ lowPages, highPages, isAudited, ...options }: Limits): Real {
  const findings: string[] = [];
  const told: Real["told"] = [];
  const audit = isAudited && {
    quarantinePages: Math.min(2, options.pagesMax),
    onFinding: (finding: { message: string }): void => void findings.push(finding.message),
  };
  const pool = new JumboPool({ ...options, watermarks: { lowPages, highPages }, idleTrimMs: 0, audit });
  pool.onPressure(() => told.push("pressure"));
  pool.onRelief(() => told.push("relief"));
  return { pool, told, findings };
}
