/**
 * Shows: whatever is in a control area, and however long it claims to be, the search for a message looks at nothing outside of it, comes to
 * an end, and finds exactly what a plain reader of bytes finds, which follows cmsg(3) with 64-bit lengths.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { CMSG_HEADER_BYTES, findControl } from "../../src/os/control-messages.ts";

type Wanted = { readonly level: number; readonly type: number; readonly dataBytes: number };
type Message = { readonly level: number; readonly type: number; readonly dataBytes: number };

const AREA_WORDS = 64;

/** What the manual says, a byte at a time, from byte `start` to before byte `end`. The byte where the data begin, or −1. */
function plainlyFind(words: Int32Array, start: number, end: number, wanted: Wanted): number {
  const view = new DataView(words.buffer, words.byteOffset, words.byteLength);
  let at = BigInt(start);
  while (at + BigInt(CMSG_HEADER_BYTES) <= end) {
    const header = Number(at);
    const length = view.getBigUint64(header, true);
    if (length < CMSG_HEADER_BYTES || at + length > end) return -1;
    const isIt = view.getInt32(header + 8, true) === wanted.level && view.getInt32(header + 12, true) === wanted.type;
    if (isIt && length >= CMSG_HEADER_BYTES + wanted.dataBytes) return header + CMSG_HEADER_BYTES;
    at += ((length + 7n) / 8n) * 8n;
  }
  return -1;
}

/** The words, and which of them were looked at. */
function watched(words: Int32Array): { readonly words: Int32Array; readonly seen: number[] } {
  const seen: number[] = [];
  const proxy = new Proxy(words, {
    get: (target, key): unknown => {
      if (typeof key === "string" && /^-?\d+$/.test(key)) seen.push(Number(key));
      return Reflect.get(target, key, target);
    },
  });
  return { words: proxy, seen };
}

/** Every claim of the head of this file, for one area. */
function check(words: Int32Array, first: number, lengthBytes: number, wanted: Wanted): number {
  const { words: proxy, seen } = watched(words);
  const { level, type, dataBytes } = wanted;
  const at = findControl(proxy, first, lengthBytes, level, type, dataBytes);
  const end = Math.min(first * 4 + lengthBytes, words.length * 4);
  for (const index of seen)
    assert.ok(index >= first && index * 4 + 4 <= end, `word ${index} is not in words ${first} to ${end / 4}`);
  assert.ok(seen.length <= (AREA_WORDS / 4) * 5, "at most five words of each message");
  assert.equal(at < 0 ? -1 : at * 4, plainlyFind(words, first * 4, end, wanted));
  if (at >= 0) assert.ok(at * 4 + dataBytes <= end, "the data are in the area");
  return at;
}

/** Lengths, levels and types from a small set, so that they meet; hostile numbers in between. */
const hostile = fc.oneof(
  fc.constantFrom(0, -1, 1, 15, 16, 17, 24, 0x7fff_fff0, 0x7fff_ffff, -0x8000_0000, -16),
  fc.integer({ min: 0, max: 80 }),
  fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
);
const wanted: fc.Arbitrary<Wanted> = fc.record({
  level: fc.constantFrom(0, 17, 41),
  type: fc.constantFrom(1, 8, 104),
  dataBytes: fc.constantFrom(0, 1, 4, 12, 20),
});
const messages = fc.array(fc.record({ ...wantedLike(), dataBytes: fc.integer({ min: 0, max: 40 }) }), { maxLength: 4 });

function wantedLike(): { readonly level: fc.Arbitrary<number>; readonly type: fc.Arbitrary<number> } {
  return { level: fc.constantFrom(0, 17, 41), type: fc.constantFrom(1, 8, 104) };
}

/** As the kernel writes them: one behind the other from `first` on, with noise as data and padding. How many bytes they take. */
function write(words: Int32Array, first: number, list: readonly Message[]): number {
  let at = first;
  for (const { level, type, dataBytes } of list) {
    words.set([CMSG_HEADER_BYTES + dataBytes, 0, level, type], at);
    at += 4 + Math.ceil(dataBytes / 8) * 2;
  }
  return (at - first) * 4;
}

test("noise of any length, also of lengths that are not there", () => {
  const area = fc.array(hostile, { minLength: 0, maxLength: AREA_WORDS });
  const property = fc.property(area, fc.nat(AREA_WORDS + 4), fc.integer({ min: -20, max: 400 }), wanted, (...args) => {
    const [noise, first, lengthBytes, looking] = args;
    check(Int32Array.from(noise), first, lengthBytes, looking);
  });
  fc.assert(property, { numRuns: 5000 });
});

test("well-formed areas: the first message that fits is found", () => {
  const property = fc.property(messages, fc.nat(6), wanted, fc.integer(), (list, first, looking, noise) => {
    const words = new Int32Array(AREA_WORDS + 10).fill(noise);
    const lengthBytes = write(words, first, list);
    const at = check(words, first, lengthBytes, looking);
    let expected = first;
    for (const { level, type, dataBytes } of list) {
      if (level === looking.level && type === looking.type && dataBytes >= looking.dataBytes) {
        assert.equal(at, expected + 4);
        return;
      }
      expected += 4 + Math.ceil(dataBytes / 8) * 2;
    }
    assert.equal(at, -1);
  });
  fc.assert(property, { numRuns: 3000 });
});

test("well-formed areas with some words overwritten, and with lengths that are too short or too long", () => {
  const mutation = fc.record({ index: fc.nat(AREA_WORDS - 1), value: hostile });
  const mutations = fc.array(mutation, { minLength: 1, maxLength: 4 });
  const property = fc.property(messages, mutations, fc.integer({ min: -40, max: 40 }), wanted, (list, ...rest) => {
    const [overwritten, surplus, looking] = rest;
    const words = new Int32Array(AREA_WORDS);
    const lengthBytes = write(words, 0, list);
    for (const { index, value } of overwritten) words[index] = value;
    check(words, 0, lengthBytes + surplus, looking);
  });
  fc.assert(property, { numRuns: 5000 });
});

test("a length of a few words more than there is, a header that is cut, and one that claims the whole address space", () => {
  const looking: Wanted = { level: 17, type: 104, dataBytes: 4 };
  const whole = Int32Array.of(20, 0, 17, 104, 1400, 0);
  assert.equal(check(whole, 0, 24, looking), 4);
  assert.equal(check(whole, 0, 20, looking), 4, "without its padding");
  assert.equal(check(whole, 0, 19, looking), -1, "one byte short");
  assert.equal(check(whole, 0, 15, looking), -1, "no whole header");
  assert.equal(check(whole, 0, 4096, looking), 4, "no more than the words there are");
  assert.equal(check(Int32Array.of(20, 1, 17, 104, 1400, 0), 0, 24, looking), -1, "4 GiB and 20 bytes");
  assert.equal(check(Int32Array.of(20, -1, 17, 104, 1400, 0), 0, 24, looking), -1, "less than nothing");
  assert.equal(check(Int32Array.of(0, 0, 17, 104, 1400, 0), 0, 24, looking), -1, "a length of 0 would never end");
});
