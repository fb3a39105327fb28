/**
 * Shows the life of external storage: its free routine runs exactly once, at the last release, whoever lets go last, with
 * the start of the storage and never a view that was trimmed; and `jumbo_freem` is such a routine, so that pages of jumbo(9) travel
 * as mbufs and come back. Cases 6, 8, 9 and 10 of jumbo9-behaviour, section 6.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Mbuf, MbufChain } from "../../src/mbuf/index.ts";
import { createJumbo } from "../../src/sys/index.ts";
import type { Jumbo } from "../../src/sys/index.ts";
import { withCode } from "../pool/with-code.ts";
import { poolFor } from "../support/at-rest.ts";

type Call = { readonly storage: Uint8Array; readonly args: unknown };

/** An external mbuf, and the calls of its free routine. */
function external(text: string): { readonly bytes: Uint8Array; readonly mbuf: Mbuf; readonly calls: Call[] } {
  const bytes = new Uint8Array(Buffer.from(text));
  const calls: Call[] = [];
  const mbuf = Mbuf.external(bytes, (storage: Uint8Array, args) => calls.push({ storage, args }), "args");
  return { bytes, mbuf, calls };
}

function* permutations<T>(values: readonly T[]): Generator<T[]> {
  if (values.length === 0) yield [];
  for (const [index, value] of values.entries()) {
    for (const rest of permutations(values.toSpliced(index, 1))) yield [value, ...rest];
  }
}

describe("Mbuf.external", () => {
  test("shows the bytes themselves, and hands back the very object with its argument", () => {
    const { bytes, mbuf, calls } = external("storage");
    assert.equal(mbuf.bytes.toString(), "storage");
    bytes[0] = 0x53;
    assert.equal(mbuf.bytes.toString(), "Storage");
    mbuf.release();
    assert.equal(calls.length, 1);
    assert.equal(calls[0]?.storage, bytes);
    assert.equal(calls[0].args, "args");
    assert.throws(() => mbuf.release(), withCode("ERR_JUMBO_MBUF_RELEASED"));
    assert.throws(() => new MbufChain().append(mbuf), withCode("ERR_JUMBO_MBUF_RELEASED"));
    assert.equal(calls.length, 1);
  });

  test("case 8: the last holder only, whoever it is", () => {
    for (const order of permutations(["mbuf", "hold", "one", "other"] as const)) {
      const { mbuf, calls } = external("shared");
      mbuf.hold();
      const chains = { one: new MbufChain().append(mbuf), other: new MbufChain().prepend(mbuf) };
      for (const [index, who] of order.entries()) {
        assert.equal(calls.length, 0, `${order.join()} before ${index}`);
        if (who === "one" || who === "other") chains[who].release();
        else mbuf.release();
      }
      assert.equal(calls.length, 1, order.join());
    }
  });

  test("case 9: the start of the storage after adj, split and copyRange", () => {
    const { bytes, mbuf, calls } = external("0123456789");
    const chain = new MbufChain().append(mbuf);
    mbuf.release();
    chain.adj(2).adj(-1);
    const tail = chain.split(3);
    const middle = chain.copyRange(1, 1);
    assert.deepEqual(
      [chain, tail, middle].map((part) => part.toBuffer().toString()),
      ["234", "5678", "3"],
    );
    chain.release();
    tail.trimStart(4); // the chain lives on, the segment does not
    assert.equal(calls.length, 0);
    middle.release();
    assert.deepEqual(calls, [{ storage: bytes, args: "args" }]);
    assert.equal(calls[0]?.storage, bytes);
    tail.release();
  });

  test("a routine that throws has run: the error surfaces once, and everything else is let go too", () => {
    const freed: string[] = [];
    const chain = new MbufChain();
    for (const name of ["a", "b", "c"]) {
      const routine = (): void => {
        freed.push(name);
        if (name !== "c") throw new Error(`no place for ${name}`);
      };
      const mbuf = Mbuf.external(Buffer.from(name), routine);
      chain.append(mbuf);
      mbuf.release();
    }
    assert.throws(() => chain.release(), /no place for a/);
    assert.deepEqual(freed, ["a", "b", "c"]);
    assert.equal(chain.isReleased, true);
    chain[Symbol.dispose]();
    assert.deepEqual(freed, ["a", "b", "c"]);
  });

  test("a routine that uses the chain finds it whole", () => {
    const chain = new MbufChain();
    for (const name of ["a", "b", "c"]) {
      const mbuf = Mbuf.external(Buffer.from(name), () => {
        if (!chain.isReleased) chain.append(Buffer.from(name.toUpperCase())).verify();
      });
      chain.append(mbuf);
      mbuf.release();
    }
    chain.trimStart(2);
    assert.equal(chain.toBuffer().toString(), "cAB");
    assert.equal(chain.pullup(2)?.toString(), "cA");
    assert.equal(chain.toBuffer().toString(), "cABC");
    chain.release();
  });

  test("what is no storage or no routine is refused", () => {
    const make = (bytes: unknown, routine: unknown): Mbuf => Mbuf.external(bytes as Buffer, routine as () => void); // callers without types
    assert.throws(() => make("text", () => {}), withCode("ERR_JUMBO_OPTION_INVALID"));
    assert.throws(() => make(Buffer.alloc(1), null), withCode("ERR_JUMBO_OPTION_INVALID"));
  });

  test("shared storage is read only: no room at either end, and who writes in front gets memory of its own", () => {
    const { bytes, mbuf } = external("headerpayload!");
    const chain = new MbufChain().append(mbuf);
    chain.trimStart(6).trimEnd(1);
    assert.equal(chain.leadingSpaceBytes, 0, "the mbuf shows it, too");
    assert.equal(chain.trailingSpaceBytes, 0);
    chain.prepend(Buffer.from("HEADER")).append(Buffer.from("?"));
    assert.equal(chain.toBuffer().toString(), "HEADERpayload?");
    assert.equal(Buffer.from(bytes).toString(), "headerpayload!");
    assert.equal(chain.segmentCount, 3);
    chain.trimStart(6).trimEnd(1);
    mbuf.release();
    assert.equal(chain.leadingSpaceBytes, 6);
    assert.equal(chain.trailingSpaceBytes, 1);
    chain.prepend(Buffer.from("HEADER")).append(Buffer.from("?"));
    assert.equal(Buffer.from(bytes).toString(), "HEADERpayload?", "the sole holder writes in place");
    assert.equal(chain.segmentCount, 1);
    chain.release();
  });
});

describe("jumbo_freem as free routine", () => {
  function pageOf(jumbo: Jumbo): { readonly kva: number; readonly mbuf: Mbuf } {
    const pg = jumbo.jumbo_pg_alloc();
    assert(pg !== null);
    const kva = jumbo.jumbo_phys_to_kva(pg.phys_addr);
    return { kva, mbuf: Mbuf.external(jumbo.kva_bytes(kva), jumbo.jumbo_freem, null) };
  }

  test("alloc, external mbuf, share, adj, split, free: in every order, and the page is back with the last of them", (t) => {
    const pool = poolFor(t);
    const jumbo = createJumbo({ pool });
    jumbo.jumbo_vm_init();
    let orders = 0;
    for (const steps of permutations(["share", "adj", "split", "free"] as const)) {
      for (const frees of permutations([0, 1, 2])) {
        const { kva, mbuf } = pageOf(jumbo);
        mbuf.bytes.fill(7);
        const chain = new MbufChain().append(mbuf);
        const parts: (MbufChain | Mbuf)[] = [chain];
        const run = {
          share: () => parts.push(chain.copyRange(0, 10)),
          adj: () => chain.adj(100).adj(-100),
          split: () => parts.push(chain.split(1000)),
          free: () => mbuf.release(),
        };
        for (const step of steps) run[step]();
        assert.equal(chain.lengthBytes, steps.indexOf("adj") < steps.indexOf("split") ? 1000 : 800);
        for (const [index, which] of frees.entries()) {
          assert.equal(pool.stats().inUse, 1, `not before ${index} of ${frees.join()} after ${steps.join()}`);
          assert.equal(jumbo.jumbo_stats().kvaInUse, 1);
          parts[which]?.release();
        }
        assert.equal(pool.stats().inUse, 0);
        assert.equal(jumbo.jumbo_stats().kvaInUse, 0);
        assert.throws(() => jumbo.jumbo_freem(kva), withCode("ERR_JUMBO_PAGE_RELEASED"), "it was freed, once");
        orders++;
      }
    }
    assert.equal(orders, 24 * 6);
  });

  test("case 10: a page that is held goes back at the unhold, not with the mbuf", (t) => {
    const pool = poolFor(t);
    const jumbo = createJumbo({ pool });
    jumbo.jumbo_vm_init();
    const pg = jumbo.jumbo_pg_alloc();
    assert(pg !== null);
    const mbuf = Mbuf.external(jumbo.kva_bytes(jumbo.jumbo_phys_to_kva(pg.phys_addr)), jumbo.jumbo_freem, null);
    jumbo.vm_page_hold(pg);
    mbuf.release();
    assert.equal(pool.stats().inUse, 1);
    assert.equal(jumbo.jumbo_stats().freesDeferred, 1);
    jumbo.vm_page_unhold(pg);
    assert.equal(pool.stats().inUse, 0);
  });

  test("case 7: of a page that was flipped away only the slot comes back", (t) => {
    const pool = poolFor(t);
    const jumbo = createJumbo({ pool });
    jumbo.jumbo_vm_init();
    const { kva, mbuf } = pageOf(jumbo);
    mbuf.bytes.write("flipped");
    using stolen = jumbo.vm_pgmoveco(kva);
    mbuf.release();
    assert.equal(jumbo.jumbo_stats().freedAfterFlip, 1);
    assert.equal(jumbo.jumbo_stats().kvaInUse, 0);
    assert.equal(stolen.bytes.toString("latin1", 0, 7), "flipped");
  });

  test("bytes are a pointer to the page they came from and to no other", (t) => {
    const jumbo = createJumbo({ pool: poolFor(t) });
    jumbo.jumbo_vm_init();
    const pg = jumbo.jumbo_pg_alloc();
    assert(pg !== null);
    const kva = jumbo.jumbo_phys_to_kva(pg.phys_addr);
    const bytes = jumbo.kva_bytes(kva);
    for (const wrong of [bytes.subarray(0), jumbo.kva_bytes(kva + 8), Buffer.alloc(8)]) {
      assert.throws(() => jumbo.jumbo_freem(wrong), withCode("ERR_JUMBO_ADDRESS_INVALID"));
    }
    jumbo.jumbo_freem(bytes);
    assert.throws(() => jumbo.jumbo_freem(bytes), withCode("ERR_JUMBO_PAGE_RELEASED"));
    const next = jumbo.jumbo_pg_alloc();
    assert.equal(next?.pindex, pg.pindex, "the slot is in use again");
    assert.throws(() => jumbo.jumbo_freem(bytes), withCode("ERR_JUMBO_PAGE_RELEASED"), "by somebody else");
    jumbo.jumbo_pg_free(kva);
  });
});
