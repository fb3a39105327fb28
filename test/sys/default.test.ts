/**
 * Shows that the functions that `jumbo/sys` exports work as they are, without an instance: over 3072 pages of 4 KiB of their own.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { JumboPool } from "../../src/index.ts";
import * as sys from "../../src/sys/index.ts";
import { withCode } from "../pool/with-code.ts";

test("the exported functions share one allocator of JUMBO_MAX_PAGES pages", () => {
  assert.equal(sys.jumbo_pg_alloc(), null);
  assert.deepEqual(sys.jumbo_stats().pool, null);
  assert.equal(sys.jumbo_vm_init(), 1);
  assert.equal(sys.jumbo_stats().pool?.pagesMax, sys.JUMBO_MAX_PAGES);
  assert.equal(sys.jumbo_stats().pool?.pageSizeBytes, sys.PAGE_SIZE);

  const pg = sys.jumbo_pg_alloc();
  assert(pg !== null);
  const kva = sys.jumbo_phys_to_kva(pg.phys_addr);
  assert.equal(kva, sys.jumbo_basekva + pg.pindex * sys.PAGE_SIZE);
  assert.equal(sys.vtophys(kva), pg.phys_addr);
  assert.equal(sys.kva_bytes(kva).fill(1).length, sys.PAGE_SIZE);
  sys.vm_page_hold(pg);
  sys.jumbo_freem(kva, null);
  assert.equal(sys.jumbo_stats().kvaInUse, 1);
  sys.vm_page_unhold(pg);
  assert.equal(sys.jumbo_stats().kvaInUse, 0);

  const other = sys.jumbo_pg_alloc();
  assert(other !== null);
  sys.jumbo_pg_steal(other).release();
  const last = sys.jumbo_pg_alloc();
  assert(last !== null);
  sys.jumbo_pg_free(sys.jumbo_basekva + last.pindex * sys.PAGE_SIZE);
  sys.jumbo_vm_destroy();
  assert.equal(sys.jumbo_stats().isInitialized, false);
});

test("a pool that is none is refused at once", () => {
  const pool = {} as unknown as JumboPool; // what only a caller without types can hand over
  assert.throws(() => sys.createJumbo({ pool }), withCode("ERR_JUMBO_OPTION_INVALID"));
});

test("pages are as long as the injected pool's, and so are the slots", () => {
  const pool = new JumboPool({ pageSizeBytes: 65_536, pagesMax: 4 });
  const jumbo = sys.createJumbo({ pool });
  jumbo.jumbo_vm_init();
  const pg = jumbo.jumbo_pg_alloc();
  assert(pg !== null);
  const kva = jumbo.jumbo_phys_to_kva(pg.phys_addr + 65_535);
  assert.equal(kva, sys.jumbo_basekva + pg.pindex * 65_536);
  assert.equal(jumbo.kva_bytes(kva).length, 65_536);
  jumbo.jumbo_freem(kva);
  assert.equal(pool.stats().inUse, 0);
});
