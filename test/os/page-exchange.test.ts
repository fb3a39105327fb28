/**
 * Shows that an exchange swaps the memory of two ranges and nothing else; that it changes nothing when it is refused, whichever system call fails; and
 * that nothing stays mapped aside. Each call is made to fail in turn.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { addressOf } from "../../src/os/address-of.ts";
import { countMappings, isPrivateAnonymous } from "../../src/os/mappings.ts";
import { limited, loadPageExchange, loadRemapCalls, makeExchange } from "../../src/os/page-exchange.ts";
import type { RemapCalls } from "../../src/os/page-exchange.ts";
import { isPattern, pattern } from "../support/pattern.ts";

declare const WebAssembly: {
  Memory: new (limits: { initial: number; maximum: number; shared: boolean }) => { readonly buffer: SharedArrayBuffer };
};

const loaded = loadPageExchange();
const skip = loaded.pageExchange === null ? loaded.reason : false;
const BYTES = 65_536;
const [ENOMEM, EFAULT, EINVAL] = [-12, -14, -22];

function wasmMemory(bytes: number): Uint8Array {
  return new Uint8Array(
    new WebAssembly.Memory({ initial: bytes / BYTES, maximum: bytes / BYTES, shared: true }).buffer,
  );
}

type Ranges = { readonly source: Uint8Array; readonly target: Uint8Array };

/** Two ranges with neighbours on both sides, filled from different places of the pattern. */
function ranges(): Ranges & { check: (isExchanged: boolean) => void } {
  const [left, right] = [wasmMemory(3 * BYTES), wasmMemory(3 * BYTES)];
  left.set(pattern(0, 3 * BYTES));
  right.set(pattern(1_000_000, 3 * BYTES));
  const middle = (memory: Uint8Array): Uint8Array => memory.subarray(BYTES, 2 * BYTES);
  const check = (isExchanged: boolean): void => {
    const [lies, other] = isExchanged ? [1_000_000, 0] : [0, 1_000_000];
    assert.ok(isPattern(middle(left), lies + BYTES), "the source's place");
    assert.ok(isPattern(middle(right), other + BYTES), "the target's place");
    for (const [memory, at] of [
      [left, 0],
      [right, 1_000_000],
    ] as const) {
      assert.ok(isPattern(memory.subarray(0, BYTES), at), "what lies before it");
      assert.ok(isPattern(memory.subarray(2 * BYTES), at + 2 * BYTES), "what lies behind it");
    }
  };
  return { source: middle(left), target: middle(right), check };
}

test(
  "two ranges are exchanged, again and again, and whatever is written later is seen where it was written",
  { skip },
  () => {
    const exchange = loaded.pageExchange?.exchange;
    assert.ok(exchange);
    const { source, target, check } = ranges();
    for (let i = 1; i < 8; i++) {
      assert.equal(exchange(addressOf(source), addressOf(target), BYTES), 0);
      check(i % 2 === 1);
    }
    source[5] = target[5] = 77;
    assert.deepEqual([source[5], target[5]], [77, 77]);
  },
);

test("ranges that overlap, and addresses that are no page's, are refused with nothing changed", { skip }, () => {
  const exchange = loaded.pageExchange?.exchange;
  assert.ok(exchange);
  const { source, target, check } = ranges();
  const [from, to] = [addressOf(source), addressOf(target)];
  for (const [a, b] of [
    [from, from],
    [from, from + 4096],
    [from + 4096, from],
    [from + 1, to],
    [from, to + 1],
  ] as const)
    assert.equal(exchange(a, b, BYTES), EINVAL);
  check(false);
});

for (let failing = 0; failing < 4; failing++) {
  for (const failuresBefore of failing === 1 ? [0, 1] : [0]) {
    const name = `mremap number ${failing + 1} fails${failuresBefore > 0 ? ", and so does putting back" : ""}`;
    test(`${name}: all or nothing, and nothing stays aside`, { skip }, () => {
      const { calls } = loadRemapCalls();
      assert.ok(calls);
      const { source, target, check } = ranges();
      let count = 0;
      let asideBytes = 0;
      const fails = (): boolean => count++ === failing || (failuresBefore > 0 && count === failing + 2);
      const watched: RemapCalls = {
        mremap: (from, lengthBytes, flags, to) => {
          if (fails()) return ENOMEM;
          asideBytes += to === 0 ? lengthBytes : -lengthBytes;
          return calls.mremap(from, lengthBytes, flags, to);
        },
        copy: (...range) => calls.copy(...range),
        unmap: (address, lengthBytes) => {
          asideBytes -= lengthBytes;
          calls.unmap(address, lengthBytes);
        },
      };
      const outcome = makeExchange(watched)(addressOf(source), addressOf(target), BYTES);
      assert.equal(outcome, failing < 2 ? ENOMEM : 0);
      check(outcome === 0);
      assert.equal(asideBytes, 0);
    });
  }
}

test("a range that lies in more than one mapping is refused, on either side, with nothing changed", { skip }, () => {
  const exchange = loaded.pageExchange?.exchange;
  assert.ok(exchange);
  const cut = ranges();
  const other = ranges();
  const spare = wasmMemory(BYTES).fill(1);
  cut.source.fill(3, 8192, 12_288);
  spare.fill(3, 0, 4096);
  assert.equal(exchange(addressOf(cut.source) + 8192, addressOf(spare), 4096), 0); // a mapping of its own in the middle
  cut.source.set(pattern(BYTES + 8192, 4096), 8192);
  const whole = addressOf(other.source);
  assert.equal(exchange(addressOf(cut.source), whole, BYTES), EFAULT);
  assert.equal(exchange(whole, addressOf(cut.source), BYTES), EFAULT);
  cut.check(false);
  other.check(false);
});

test("no mapping is cut any more once the process has many, until they are counted again and are fewer", () => {
  let made = 0;
  let mappings = 60_000;
  const exchange = limited(
    () => (made++, 0),
    () => mappings,
  );
  for (let i = 0; i < 2048; i++) assert.equal(exchange(0, BYTES, BYTES), ENOMEM);
  mappings = 1000;
  for (let i = 0; i < 2048; i++) assert.equal(exchange(0, BYTES, BYTES), 0);
  assert.equal(made, 2048);
  mappings = 60_000;
  assert.equal(exchange(0, BYTES, BYTES), ENOMEM);
});

test("only private anonymous memory that may be written to counts as such: not a file's, not a hole", { skip }, () => {
  const memory = wasmMemory(2 * BYTES);
  const address = addressOf(memory);
  assert.ok(isPrivateAnonymous(address, 2 * BYTES));
  assert.ok(!isPrivateAnonymous(address, 2 ** 40), "nor what reaches beyond it");
  assert.ok(!isPrivateAnonymous(4096, 4096), "a hole");
  const file = /^([0-9a-f]+)-\S+ \S+ \S+ \S+ [1-9]/m.exec(readFileSync("/proc/self/maps", "latin1"));
  assert.ok(!isPrivateAnonymous(Number.parseInt(file?.[1] ?? "", 16), 4096), "the program itself");
  assert.ok((countMappings() ?? 0) > 10);
});
