/**
 * Shows, for random sequences of every operation (case 29), that slots and pages are where a plain model says they are:
 * no slot and no page is handed out twice, free + in use + stolen = pages, nothing that is refused changes anything,
 * and the bytes of each mapped, held or stolen page stay what was written there.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { JumboPool } from "../../src/index.ts";
import type { Jumbo, vm_page_t } from "../../src/sys/index.ts";
import { createJumbo, JUMBO_MAX_PAGES, jumbo_basekva, PAGE_SIZE } from "../../src/sys/index.ts";
import { withCode } from "../pool/with-code.ts";

type Stolen = ReturnType<Jumbo["jumbo_pg_steal"]>;
type Tenant = { readonly pg: vm_page_t; readonly kva: number; readonly stamp: number; holds: number; isFreed: boolean };

/** What ought to be: arrays of what is out, and nothing about lists, slots or handles. */
class Model {
  readonly mapped: Tenant[] = [];
  readonly flippedKvas: number[] = [];
  readonly theirs: { readonly stolen: Stolen; readonly stamp: number }[] = [];
  /** Handles that must be refused for ever. */
  readonly dead: vm_page_t[] = [];
  readonly freeKvas: number[] = Array.from({ length: JUMBO_MAX_PAGES }, (_, slot) => jumbo_basekva + slot * PAGE_SIZE);
  freedAfterFlip = 0;
  stamp = 0;

  readonly jumbo: Jumbo;
  readonly pool: JumboPool;
  readonly pagesMax: number;
  readonly stolenMax: number;

  constructor(pagesMax: number, stolenMax: number) {
    this.pool = new JumboPool({ pagesMax, pagesInitial: 0, stolenMax, idleTrimMs: 0 });
    this.jumbo = createJumbo({ pool: this.pool });
    this.pagesMax = pagesMax;
    this.stolenMax = stolenMax;
    assert.equal(this.jumbo.jumbo_vm_init(), 1);
  }

  end(tenant: Tenant): void {
    this.mapped.splice(this.mapped.indexOf(tenant), 1);
    this.dead.push(tenant.pg);
  }
}

const OPERATIONS = [
  "alloc",
  "alloc",
  "free",
  "hold",
  "unhold",
  "steal",
  "flip",
  "freeFlipped",
  "giveBack",
  "misuse",
] as const;
type Operation = (typeof OPERATIONS)[number];

function pick<T>(from: readonly T[], choice: number): T | undefined {
  return from[choice % Math.max(1, from.length)];
}

function alloc(model: Model): void {
  const pg = model.jumbo.jumbo_pg_alloc();
  if (model.mapped.length === model.pagesMax) return assert.equal(pg, null);
  assert(pg !== null, "fewer than pagesMax are out");
  const kva = jumbo_basekva + pg.pindex * PAGE_SIZE;
  assert.equal(kva, model.freeKvas.pop(), "the slot freed last");
  assert(!model.theirs.some(({ stolen }) => stolen.number * PAGE_SIZE === pg.phys_addr), "not a page that left");
  const stamp = ++model.stamp;
  model.jumbo
    .kva_bytes(kva)
    .fill(stamp & 0xff)
    .writeUInt32LE(stamp);
  model.mapped.push({ pg, kva, stamp, holds: 0, isFreed: false });
}

function free(model: Model, tenant: Tenant): void {
  if (tenant.isFreed)
    return assert.throws(() => model.jumbo.jumbo_pg_free(tenant.kva), withCode("ERR_JUMBO_PAGE_RELEASED"));
  model.jumbo.jumbo_freem(tenant.kva, null);
  tenant.isFreed = true;
  settle(model, tenant);
}

/** A page that was freed goes when nobody holds it. */
function settle(model: Model, tenant: Tenant): void {
  if (!tenant.isFreed || tenant.holds > 0) return;
  model.end(tenant);
  model.freeKvas.push(tenant.kva);
}

function unhold(model: Model, tenant: Tenant): void {
  if (tenant.holds === 0)
    return assert.throws(() => model.jumbo.vm_page_unhold(tenant.pg), withCode("ERR_JUMBO_PAGE_RELEASED"));
  model.jumbo.vm_page_unhold(tenant.pg);
  tenant.holds--;
  settle(model, tenant);
}

function leave(model: Model, tenant: Tenant, how: "steal" | "flip"): void {
  const act = (): Stolen =>
    how === "steal" ? model.jumbo.jumbo_pg_steal(tenant.pg) : model.jumbo.vm_pgmoveco(tenant.kva);
  if (tenant.holds > 0) return assert.throws(act, withCode("ERR_JUMBO_PAGE_SHARED"));
  if (model.theirs.length === model.stolenMax) return assert.throws(act, withCode("ERR_JUMBO_STOLEN_MAX"));
  model.theirs.push({ stolen: act(), stamp: tenant.stamp });
  model.end(tenant);
  (how === "steal" ? model.freeKvas : model.flippedKvas).push(tenant.kva);
}

function misuse(model: Model, choice: number): void {
  const { jumbo } = model;
  const dead = pick(model.dead, choice);
  if (dead !== undefined) {
    for (const refused of [jumbo.vm_page_hold, jumbo.vm_page_unhold, jumbo.jumbo_pg_steal]) {
      assert.throws(() => refused(dead), withCode("ERR_JUMBO_PAGE_RELEASED"));
    }
  }
  const kva = pick(model.freeKvas, choice);
  if (kva !== undefined) assert.throws(() => jumbo.jumbo_pg_free(kva), withCode("ERR_JUMBO_PAGE_RELEASED"));
  assert.throws(
    () => jumbo.jumbo_pg_free(jumbo_basekva + choice * PAGE_SIZE + 1),
    withCode("ERR_JUMBO_ADDRESS_INVALID"),
  );
}

function apply(model: Model, operation: Operation, choice: number): void {
  if (operation === "alloc") return alloc(model);
  if (operation === "misuse") return misuse(model, choice);
  if (operation === "freeFlipped") {
    const [kva] = model.flippedKvas.splice(choice % Math.max(1, model.flippedKvas.length), 1);
    if (kva === undefined) return;
    model.jumbo.jumbo_freem(kva);
    model.freeKvas.push(kva);
    model.freedAfterFlip++;
    return;
  }
  if (operation === "giveBack") {
    const [owned] = model.theirs.splice(choice % Math.max(1, model.theirs.length), 1);
    owned?.stolen.release();
    return;
  }
  const tenant = pick(model.mapped, choice);
  if (tenant === undefined) return;
  if (operation === "free") free(model, tenant);
  else if (operation === "unhold") unhold(model, tenant);
  else if (operation === "hold") {
    model.jumbo.vm_page_hold(tenant.pg);
    tenant.holds++;
  } else leave(model, tenant, operation);
}

function check(model: Model): void {
  const { jumbo, mapped, theirs, flippedKvas } = model;
  const stats = jumbo.jumbo_stats();
  const pool = stats.pool;
  assert(pool !== null);
  assert.equal(stats.kvaInUse, mapped.length + flippedKvas.length);
  assert.equal(stats.kvaFree + stats.kvaInUse, JUMBO_MAX_PAGES);
  assert.equal(stats.freedAfterFlip, model.freedAfterFlip);
  assert.equal(pool.inUse, mapped.length);
  assert.equal(pool.stolen, theirs.length);
  assert.equal(pool.uncommitted + pool.free + pool.inUse + pool.stolen, pool.arenaPages);
  model.pool.verify();

  const numbers = [...mapped.map(({ pg }) => pg.phys_addr / PAGE_SIZE), ...theirs.map(({ stolen }) => stolen.number)];
  assert.equal(new Set(numbers).size, numbers.length, "no page is out twice");
  const kvas = [...mapped.map(({ kva }) => kva), ...flippedKvas];
  assert.equal(new Set(kvas).size, kvas.length, "no slot is out twice");
  for (const { pg, kva, stamp, holds } of mapped) {
    assert.equal(pg.hold_count, holds);
    assert.equal(jumbo.jumbo_phys_to_kva(pg.phys_addr + 5), kva);
    assertStamped(jumbo.kva_bytes(kva), stamp);
  }
  for (const { stolen, stamp } of theirs) assertStamped(stolen.bytes, stamp);
}

function assertStamped(bytes: Buffer, stamp: number): void {
  assert.equal(bytes.readUInt32LE(), stamp);
  assert.equal(bytes[PAGE_SIZE - 1], stamp & 0xff);
}

test("case 29: slots and pages are where a model says, under random operations", () => {
  const operations = fc.array(fc.tuple(fc.constantFrom(...OPERATIONS), fc.nat(1000)), { maxLength: 120, size: "max" });
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 6 }),
      fc.integer({ min: 0, max: 4 }),
      operations,
      (pagesMax, stolenMax, steps) => {
        const model = new Model(pagesMax, stolenMax);
        for (const [operation, choice] of steps) {
          apply(model, operation, choice);
          check(model);
        }
      },
    ),
    { numRuns: 150 },
  );
});
