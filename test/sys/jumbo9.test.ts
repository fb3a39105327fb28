/**
 * Shows that the six functions keep jumbo(9)'s contract, case by case: the numbers are those of the conformance cases in
 * the behaviour notes (section 6), most important first.
 *
 * Left to those who have what they need: 8 and 9 (shared and adjusted mbufs), 19 to 23 (when a zero-copy read flips and when it
 * copies), 24 to 28 (a receiver's ring). Case 7 flips a page the way such a read will.
 */
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { JumboPool } from "../../src/index.ts";
import type { Jumbo, vm_page_t } from "../../src/sys/index.ts";
import { createJumbo, JUMBO_MAX_PAGES, jumbo_basekva, PAGE_SIZE } from "../../src/sys/index.ts";
import { withCode } from "../pool/with-code.ts";

const PAGES = 8;

let pool: JumboPool;
let jumbo: Jumbo;

beforeEach(() => {
  pool = new JumboPool({ pagesMax: PAGES, pagesInitial: 2, audit: false });
  jumbo = createJumbo({ pool });
});

/** A page that the test needs to go on. */
function allocated(from: Jumbo = jumbo): vm_page_t {
  const pg = from.jumbo_pg_alloc();
  assert(pg !== null, "the pool has a page");
  return pg;
}

function kvaOf(pg: vm_page_t): number {
  return jumbo_basekva + pg.pindex * PAGE_SIZE;
}

/** Asserts that `misuse` is refused with `code`, and that no count of the allocator or its pool is another afterwards. */
function assertRefused(code: Parameters<typeof withCode>[0], misuse: () => unknown): void {
  const before = jumbo.jumbo_stats();
  assert.throws(misuse, withCode(code));
  assert.deepEqual(jumbo.jumbo_stats(), before, "refused with nothing changed");
  pool.verify();
}

describe("jumbo_vm_init", () => {
  test("case 1: initialises once; again has no effect", () => {
    assert.equal(jumbo.jumbo_vm_init(), 1);
    const pg = allocated();
    const before = jumbo.jumbo_stats();
    assert.equal(jumbo.jumbo_vm_init(), 1);
    assert.deepEqual(jumbo.jumbo_stats(), before);
    assert.equal(jumbo.jumbo_phys_to_kva(pg.phys_addr), kvaOf(pg), "pages stay mapped");
  });

  test("case 13: before it, alloc gives NULL and everything else is refused", () => {
    assert.equal(jumbo.jumbo_pg_alloc(), null);
    const pg = { phys_addr: 0, pindex: 0, hold_count: 0 };
    for (const call of [
      (): void => jumbo.jumbo_pg_free(jumbo_basekva),
      (): void => jumbo.jumbo_freem(jumbo_basekva, null),
      (): unknown => jumbo.jumbo_pg_steal(pg),
      (): unknown => jumbo.jumbo_phys_to_kva(0),
      (): unknown => jumbo.kva_bytes(jumbo_basekva),
      (): unknown => jumbo.vtophys(jumbo_basekva),
      (): void => jumbo.vm_page_hold(pg),
      (): void => jumbo.vm_page_unhold(pg),
    ]) {
      assert.throws(call, withCode("ERR_JUMBO_NOT_INITIALIZED"));
    }
    assert.equal(jumbo.jumbo_stats().isInitialized, false);
    assert.equal(pool.stats().inUse, 0);
  });

  for (const [number, step] of [
    [14, "object"],
    [15, "kva"],
  ] as const) {
    test(`case ${number}: failing at "${step}" gives 0, rolls everything back, and a retry works`, () => {
      let failing: string | null = step;
      for (const options of [{}, { pool }]) {
        failing = step;
        const fallible = createJumbo({ ...options, failAt: (reached) => reached === failing });
        const untouched = fallible.jumbo_stats();
        assert.equal(fallible.jumbo_vm_init(), 0);
        assert.deepEqual(fallible.jumbo_stats(), untouched);
        assert.equal(fallible.jumbo_pg_alloc(), null);
        assert.equal(pool.isClosed, false, "a pool that was handed in is not closed");
        failing = null;
        assert.equal(fallible.jumbo_vm_init(), 1);
        assert.equal(fallible.jumbo_stats().kvaFree, JUMBO_MAX_PAGES, "not one slot short");
        allocated(fallible);
      }
    });
  }
});

describe("jumbo_pg_alloc", () => {
  beforeEach(() => assert.equal(jumbo.jumbo_vm_init(), 1));

  test("case 2: a fresh pool gives exactly its capacity, then NULL, unchanged", () => {
    for (let count = 0; count < PAGES; count++) allocated();
    const before = jumbo.jumbo_stats();
    assert.equal(before.kvaInUse, PAGES);
    assert.equal(jumbo.jumbo_pg_alloc(), null);
    const after = jumbo.jumbo_stats();
    assert.deepEqual({ ...after, pool: null }, { ...before, pool: null });
    assert.equal(after.pool?.inUse, PAGES);
    assert.equal(after.pool?.refused, 1);
    pool.verify();
  });

  test("case 2, slots: a pool larger than the KVA range gives JUMBO_MAX_PAGES pages, then NULL", () => {
    const large = new JumboPool({ pagesMax: JUMBO_MAX_PAGES + 1 });
    const full = createJumbo({ pool: large });
    full.jumbo_vm_init();
    for (let count = 0; count < JUMBO_MAX_PAGES; count++) allocated(full);
    assert.equal(full.jumbo_pg_alloc(), null);
    assert.equal(large.stats().inUse, JUMBO_MAX_PAGES, "the page that found no slot was not taken");
    assert.equal(large.stats().taken, JUMBO_MAX_PAGES);
  });

  test("case 3: pages distinct, kvas unique, aligned and in range", () => {
    const pages = Array.from({ length: PAGES }, () => allocated());
    assert.equal(new Set(pages.map((pg) => pg.phys_addr)).size, PAGES);
    assert.equal(new Set(pages.map(kvaOf)).size, PAGES);
    for (const pg of pages) {
      assert.equal(kvaOf(pg) % PAGE_SIZE, 0);
      assert.equal(pg.phys_addr % PAGE_SIZE, 0);
      assert(pg.pindex >= 0 && pg.pindex < JUMBO_MAX_PAGES);
      assert(pg.phys_addr < jumbo_basekva, "no physical address passes for a kva");
      assert.equal(pg.hold_count, 0);
    }
  });

  test("case 11: first the highest kva, afterwards the one most recently freed", () => {
    const pages = Array.from({ length: 4 }, () => allocated());
    assert.deepEqual(
      pages.map((pg) => pg.pindex),
      [1, 2, 3, 4].map((below) => JUMBO_MAX_PAGES - below),
    );
    const [first, , third] = pages;
    assert(first !== undefined && third !== undefined);
    jumbo.jumbo_pg_free(kvaOf(first));
    jumbo.jumbo_pg_free(kvaOf(third));
    assert.deepEqual([allocated().pindex, allocated().pindex], [third.pindex, first.pindex]);
  });

  test("case 12: no page gives NULL, and the slot is kept", () => {
    const foreign = Array.from({ length: PAGES }, () => pool.alloc());
    assert.equal(jumbo.jumbo_pg_alloc(), null);
    assert.equal(jumbo.jumbo_stats().kvaFree, JUMBO_MAX_PAGES);
    foreign[0]?.release();
    assert.equal(allocated().pindex, JUMBO_MAX_PAGES - 1, "still the first in line");
  });

  test("gives NULL once the pool has been closed", () => {
    pool.close();
    assert.equal(jumbo.jumbo_pg_alloc(), null);
    assert.equal(jumbo.jumbo_stats().kvaFree, JUMBO_MAX_PAGES);
  });
});

describe("addresses", () => {
  beforeEach(() => assert.equal(jumbo.jumbo_vm_init(), 1));

  test("case 4: phys_to_kva is base + pindex × PAGE_SIZE, also from inside the page", () => {
    const pages = Array.from({ length: 3 }, () => allocated());
    for (const pg of pages) {
      for (const offset of [0, 1, PAGE_SIZE - 1])
        assert.equal(jumbo.jumbo_phys_to_kva(pg.phys_addr + offset), kvaOf(pg));
      assert.equal(jumbo.vtophys(kvaOf(pg) + 7), pg.phys_addr + 7);
    }
  });

  test("kva_bytes is the page itself, from any address in it, and never more than it", () => {
    const pages = [allocated(), allocated()];
    for (const [index, pg] of pages.entries()) jumbo.kva_bytes(kvaOf(pg)).fill(index + 1);
    const kva = kvaOf(pages[1] ?? allocated());
    assert.equal(jumbo.kva_bytes(kva).length, PAGE_SIZE);
    jumbo.kva_bytes(kva + 10, 3).write("abc");
    assert.equal(jumbo.kva_bytes(kva).toString("latin1", 9, 14), "\u0002abc\u0002");
    assert.equal(jumbo.kva_bytes(kva + PAGE_SIZE - 1).length, 1);
    assert.equal(jumbo.kva_bytes(kva, 0).length, 0);
    for (const [addr, length] of [
      [kva, PAGE_SIZE + 1],
      [kva + 1, PAGE_SIZE],
      [kva, -1],
      [kva, 1.5],
      [kva, Number.NaN],
    ] as const) {
      assertRefused("ERR_JUMBO_ADDRESS_INVALID", () => jumbo.kva_bytes(addr, length));
    }
  });

  test("what is no address of the right kind is refused", () => {
    const pg = allocated();
    const arenaBytes = pool.stats().arenaPages * PAGE_SIZE;
    for (const pa of [-1, 0.5, arenaBytes, Number.NaN, Infinity, 2 ** 60, kvaOf(pg)]) {
      assertRefused("ERR_JUMBO_ADDRESS_INVALID", () => jumbo.jumbo_phys_to_kva(pa));
    }
    const foreign = pool.alloc();
    assert(foreign !== null);
    assertRefused("ERR_JUMBO_PAGE_FOREIGN", () => jumbo.jumbo_phys_to_kva(foreign.number * PAGE_SIZE));
    for (const kva of [pg.phys_addr, jumbo_basekva - 1, jumbo_basekva + JUMBO_MAX_PAGES * PAGE_SIZE, Number.NaN]) {
      assertRefused("ERR_JUMBO_ADDRESS_INVALID", () => jumbo.vtophys(kva));
      assertRefused("ERR_JUMBO_ADDRESS_INVALID", () => jumbo.kva_bytes(kva));
    }
    jumbo.jumbo_pg_free(kvaOf(pg));
    assertRefused("ERR_JUMBO_PAGE_RELEASED", () => jumbo.vtophys(kvaOf(pg)));
    assertRefused("ERR_JUMBO_PAGE_RELEASED", () => jumbo.kva_bytes(kvaOf(pg)));
  });
});

describe("jumbo_pg_free and jumbo_freem", () => {
  beforeEach(() => assert.equal(jumbo.jumbo_vm_init(), 1));

  test("case 5: alloc, phys_to_kva, free: page and slot return", () => {
    const pg = allocated();
    jumbo.jumbo_pg_free(jumbo.jumbo_phys_to_kva(pg.phys_addr));
    assert.equal(jumbo.jumbo_stats().kvaInUse, 0);
    assert.equal(pool.stats().inUse, 0);
    assert.equal(pool.stats().returned, 1);
    assertRefused("ERR_JUMBO_PAGE_FOREIGN", () => jumbo.jumbo_phys_to_kva(pg.phys_addr));
    const next = allocated();
    assert.deepEqual([next.pindex, next.phys_addr], [pg.pindex, pg.phys_addr]);
  });

  test("case 6: freem ignores its second argument", () => {
    const { jumbo_freem } = jumbo; // taken apart, as a driver hands it over
    for (const args of [undefined, null, 0, "args", { hold: true }]) {
      jumbo_freem(kvaOf(allocated()), args);
      assert.equal(pool.stats().inUse, 0);
    }
  });

  test("case 7: flip then freem: counter + 1, page kept, slot reusable, the reader's bytes intact", () => {
    const pg = allocated();
    const kva = kvaOf(pg);
    jumbo.kva_bytes(kva).fill("payload ");
    const theirs = jumbo.vm_pgmoveco(kva);
    assert.equal(jumbo.jumbo_stats().kvaInUse, 1, "the slot waits for the mbuf's free");
    assertRefused("ERR_JUMBO_PAGE_RELEASED", () => jumbo.kva_bytes(kva));
    assertRefused("ERR_JUMBO_PAGE_RELEASED", () => jumbo.vm_pgmoveco(kva));
    assertRefused("ERR_JUMBO_PAGE_RELEASED", () => jumbo.vm_page_hold(pg));
    assertRefused("ERR_JUMBO_PAGE_FOREIGN", () => jumbo.jumbo_phys_to_kva(pg.phys_addr));

    jumbo.jumbo_freem(kva, null);
    assert.equal(jumbo.jumbo_stats().freedAfterFlip, 1);
    assert.equal(jumbo.jumbo_stats().kvaInUse, 0);
    assert.equal(pool.stats().stolen, 1, "the page stays its reader's");
    assertRefused("ERR_JUMBO_PAGE_RELEASED", () => jumbo.jumbo_freem(kva, null));

    for (let count = 0; count < PAGES; count++) {
      const other = allocated();
      assert.notEqual(other.phys_addr, pg.phys_addr);
      if (count === 0) assert.equal(other.pindex, pg.pindex, "the slot is reused");
      jumbo.kva_bytes(kvaOf(other)).fill("x");
    }
    assert.equal(theirs.bytes.toString(), "payload ".repeat(PAGE_SIZE / 8));
    theirs.release();
    pool.verify();
  });

  test("case 7, holds: a page that its pool lost by force is no reason to wait; ownership is checked first", () => {
    const pg = allocated();
    jumbo.vm_page_hold(pg);
    pool.close({ force: true });
    jumbo.jumbo_freem(kvaOf(pg), null);
    assert.equal(jumbo.jumbo_stats().freedAfterFlip, 1);
    assert.equal(jumbo.jumbo_stats().kvaInUse, 0);
  });

  for (const free of ["jumbo_pg_free", "jumbo_freem"] as const) {
    test(`case 10: ${free} of a held page frees nothing now, and everything at the last unhold`, () => {
      const pg = allocated();
      const kva = kvaOf(pg);
      jumbo.kva_bytes(kva).fill(7);
      jumbo.vm_page_hold(pg);
      jumbo.vm_page_hold(pg);
      assert.equal(pg.hold_count, 2);
      jumbo[free](kva);
      assert.equal(jumbo.jumbo_stats().kvaInUse, 1);
      assert.equal(jumbo.jumbo_stats().freesDeferred, 1);
      assert.equal(jumbo.kva_bytes(kva)[0], 7, "its holder still reads it");
      assertRefused("ERR_JUMBO_PAGE_RELEASED", () => jumbo[free](kva));

      jumbo.vm_page_unhold(pg);
      assert.equal(pool.stats().inUse, 1);
      jumbo.vm_page_unhold(pg);
      assert.equal(pool.stats().inUse, 0);
      assert.equal(jumbo.jumbo_stats().kvaInUse, 0);
      assert.equal(pg.hold_count, 0);
      assertRefused("ERR_JUMBO_PAGE_RELEASED", () => jumbo.vm_page_unhold(pg));
    });
  }

  test("case 10, not freed: holds come and go, and the page stays until it is freed", () => {
    const pg = allocated();
    jumbo.vm_page_hold(pg);
    jumbo.vm_page_unhold(pg);
    assert.equal(pool.stats().inUse, 1);
    assertRefused("ERR_JUMBO_PAGE_RELEASED", () => jumbo.vm_page_unhold(pg));
    jumbo.jumbo_freem(kvaOf(pg));
    assert.equal(pool.stats().inUse, 0);
  });

  test("case 18: double, unaligned, foreign and never allocated addresses are refused, state unchanged", () => {
    const pg = allocated();
    const kept = allocated();
    jumbo.jumbo_pg_free(kvaOf(pg));
    for (const free of [jumbo.jumbo_pg_free, jumbo.jumbo_freem]) {
      assertRefused("ERR_JUMBO_PAGE_RELEASED", () => free(kvaOf(pg)));
      assertRefused("ERR_JUMBO_PAGE_RELEASED", () => free(jumbo_basekva));
      assertRefused("ERR_JUMBO_ADDRESS_INVALID", () => free(kvaOf(kept) + 1));
      assertRefused("ERR_JUMBO_ADDRESS_INVALID", () => free(kvaOf(kept) + 0.5));
      assertRefused("ERR_JUMBO_ADDRESS_INVALID", () => free(kept.phys_addr));
      assertRefused("ERR_JUMBO_ADDRESS_INVALID", () => free(jumbo_basekva - PAGE_SIZE));
      assertRefused("ERR_JUMBO_ADDRESS_INVALID", () => free(jumbo_basekva + JUMBO_MAX_PAGES * PAGE_SIZE));
      assertRefused("ERR_JUMBO_ADDRESS_INVALID", () => free(Number.NaN));
    }
    assert.equal(jumbo.kva_bytes(kvaOf(kept)).length, PAGE_SIZE, "the page in use is untouched");
  });
});

describe("jumbo_pg_steal", () => {
  beforeEach(() => assert.equal(jumbo.jumbo_vm_init(), 1));

  test("case 16: the slot is recycled, the bytes live on, and the pool has its capacity back", () => {
    const pages = Array.from({ length: PAGES }, () => allocated());
    const pg = pages[3];
    assert(pg !== undefined);
    jumbo.kva_bytes(kvaOf(pg)).fill("stolen! ");
    const stolen = jumbo.jumbo_pg_steal(pg);
    assert.equal(stolen.number * PAGE_SIZE, pg.phys_addr);
    assertRefused("ERR_JUMBO_PAGE_FOREIGN", () => jumbo.jumbo_phys_to_kva(pg.phys_addr));
    const next = allocated();
    assert.equal(next.pindex, pg.pindex, "its slot, at once");
    assert.notEqual(next.phys_addr, pg.phys_addr);
    assert.equal(jumbo.jumbo_pg_alloc(), null, "capacity is what it was");
    jumbo.kva_bytes(kvaOf(next)).fill(0);
    assert.equal(stolen.bytes.toString(), "stolen! ".repeat(PAGE_SIZE / 8));
    stolen.release();
    assert.equal(pool.stats().stolen, 0);
    pool.verify();
  });

  test("case 17: stealing a foreign page, twice, or after a free is refused", () => {
    const other = createJumbo();
    other.jumbo_vm_init();
    const foreign = allocated(other);
    const freed = allocated();
    const stolen = allocated();
    jumbo.jumbo_pg_steal(stolen);
    jumbo.jumbo_pg_free(kvaOf(freed));
    assertRefused("ERR_JUMBO_PAGE_FOREIGN", () => jumbo.jumbo_pg_steal(foreign));
    assertRefused("ERR_JUMBO_PAGE_FOREIGN", () =>
      jumbo.jumbo_pg_steal({ phys_addr: 0, pindex: freed.pindex, hold_count: 0 }),
    );
    assertRefused("ERR_JUMBO_PAGE_RELEASED", () => jumbo.jumbo_pg_steal(stolen));
    assertRefused("ERR_JUMBO_PAGE_RELEASED", () => jumbo.jumbo_pg_steal(freed));
    const tenant = allocated();
    assert.equal(tenant.pindex, freed.pindex);
    assertRefused("ERR_JUMBO_PAGE_RELEASED", () => jumbo.jumbo_pg_steal(freed)); // the same slot is somebody else's now
    assert.equal(jumbo.kva_bytes(kvaOf(tenant)).length, PAGE_SIZE);
  });

  test("case 18, steal then free: refused, state unchanged", () => {
    const pg = allocated();
    jumbo.jumbo_pg_steal(pg);
    assertRefused("ERR_JUMBO_PAGE_RELEASED", () => jumbo.jumbo_pg_free(kvaOf(pg)));
    assertRefused("ERR_JUMBO_PAGE_RELEASED", () => jumbo.jumbo_freem(kvaOf(pg), null));
  });

  test("a page that somebody holds is not stolen, nor one more than stolenMax", () => {
    const narrow = new JumboPool({ pagesMax: 3, stolenMax: 1 });
    jumbo = createJumbo({ pool: narrow });
    pool = narrow;
    jumbo.jumbo_vm_init();
    const held = allocated();
    jumbo.vm_page_hold(held);
    assertRefused("ERR_JUMBO_PAGE_SHARED", () => jumbo.jumbo_pg_steal(held));
    assertRefused("ERR_JUMBO_PAGE_SHARED", () => jumbo.vm_pgmoveco(kvaOf(held)));
    jumbo.jumbo_pg_steal(allocated());
    const last = allocated();
    assertRefused("ERR_JUMBO_STOLEN_MAX", () => jumbo.jumbo_pg_steal(last));
    assertRefused("ERR_JUMBO_STOLEN_MAX", () => jumbo.vm_pgmoveco(kvaOf(last)));
  });
});

describe("jumbo_vm_destroy", () => {
  test("is refused while slots are in use, and undoes the initialisation after that", () => {
    jumbo.jumbo_vm_destroy(); // nothing to undo yet
    jumbo.jumbo_vm_init();
    const pg = allocated();
    assertRefused("ERR_JUMBO_PAGES_OUT", () => jumbo.jumbo_vm_destroy());
    jumbo.jumbo_pg_free(kvaOf(pg));
    jumbo.jumbo_vm_destroy();
    assert.equal(jumbo.jumbo_stats().isInitialized, false);
    assert.equal(jumbo.jumbo_pg_alloc(), null);
    assert.equal(pool.isClosed, false, "a pool that was handed in stays open");
    assert.equal(jumbo.jumbo_vm_init(), 1);
    assert.throws(() => jumbo.vm_page_hold(pg), withCode("ERR_JUMBO_PAGE_RELEASED"));
  });
});
