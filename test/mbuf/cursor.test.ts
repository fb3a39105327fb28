/**
 * Shows that a cursor reads from any pieces what Buffer's methods read from one: every integer, float, varint, string and line,
 * wherever the borders are, and whatever memory is behind each piece; that it stays where it is when there is too little; and
 * that it never reads what the chain has let go.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import { Mbuf, MbufChain } from "../../src/mbuf/index.ts";
import type { Cursor } from "../../src/mbuf/index.ts";
import { withCode } from "../pool/with-code.ts";
import { poolFor } from "../support/at-rest.ts";

/** How a cursor reads a field, and how Buffer does. `bytes` is 0 when only the bytes tell the length. */
type Field = {
  readonly name: string;
  readonly read: (cursor: Cursor) => unknown;
  readonly expect: (buffer: Buffer, at: number) => { readonly value: unknown; readonly bytes: number } | null;
};

const SIZES = {
  readUInt8: 1,
  readInt8: 1,
  readUInt16BE: 2,
  readUInt16LE: 2,
  readInt16BE: 2,
  readInt16LE: 2,
  readUInt32BE: 4,
  readUInt32LE: 4,
  readInt32BE: 4,
  readInt32LE: 4,
  readBigUInt64BE: 8,
  readBigUInt64LE: 8,
  readBigInt64BE: 8,
  readBigInt64LE: 8,
  readFloatBE: 4,
  readFloatLE: 4,
  readDoubleBE: 8,
  readDoubleLE: 8,
} as const;

function sized(
  name: string,
  bytes: number,
  read: Field["read"],
  expect: (buffer: Buffer, at: number) => unknown,
): Field {
  return {
    name,
    read,
    expect: (buffer, at) => (at + bytes > buffer.length ? null : { value: expect(buffer, at), bytes }),
  };
}

const keys = Object.keys(SIZES) as (keyof typeof SIZES)[]; // an object literal has the keys it is written with
const plain = keys.map((name) =>
  sized(
    name,
    SIZES[name],
    (cursor) => cursor[name](),
    (buffer, at) => buffer[name](at),
  ),
);
const general = (["readUIntBE", "readUIntLE", "readIntBE", "readIntLE"] as const).flatMap((name) =>
  [1, 2, 3, 4, 5, 6].map((bytes) =>
    sized(
      `${name}(${bytes})`,
      bytes,
      (cursor) => cursor[name](bytes),
      (buffer, at) => buffer[name](at, bytes),
    ),
  ),
);
const texts = (["utf8", "latin1", "hex", "utf16le"] as const).flatMap((encoding) =>
  [0, 1, 7, 30].map((bytes) =>
    sized(
      `readString(${bytes}, ${encoding})`,
      bytes,
      (cursor) => cursor.readString(bytes, encoding),
      (buffer, at) => buffer.toString(encoding, at, at + bytes),
    ),
  ),
);
const copies = [0, 5, 40].map((bytes) =>
  sized(
    `readBytes(${bytes})`,
    bytes,
    (cursor) => cursor.readBytes(bytes),
    (buffer, at) => Buffer.from(buffer.subarray(at, at + bytes)),
  ),
);
const FIELDS: readonly Field[] = [...plain, ...general, ...texts, ...copies];

/** `bytes` in a chain, cut where `cuts` say, in pages and in plain memory by turns, never side by side. */
function chainOf(bytes: Buffer, cuts: readonly number[], pageFor: () => Mbuf | null = () => null): MbufChain {
  const chain = new MbufChain();
  const borders = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].toSorted((a, b) => a - b);
  for (const [index, border] of [...borders, bytes.length].entries()) {
    const piece = bytes.subarray(borders[index - 1] ?? 0, border);
    const page = index % 3 === 0 ? pageFor() : null;
    const mbuf = page ?? Mbuf.external(Buffer.alloc(piece.length + 4), () => {});
    piece.copy(mbuf.bytes, 2);
    const part = new MbufChain().append(mbuf);
    mbuf.release();
    const behind = part.split(2);
    part.release();
    chain.concat(behind.trimEnd(behind.lengthBytes - piece.length));
    behind.release();
  }
  return chain;
}

/** Half of them of the bytes at which signs and carries change. */
const someBytes = fc
  .oneof(
    fc.uint8Array({ minLength: 1, maxLength: 200, size: "max" }),
    fc.array(fc.constantFrom(0, 0x7f, 0x80, 0xff), { minLength: 1, maxLength: 200, size: "max" }),
  )
  .map((bytes) => Buffer.from(bytes));
const someCuts = fc.oneof(
  fc.array(fc.nat(), { maxLength: 30 }),
  fc.constant(Array.from({ length: 300 }, (_, i) => i)), // a border behind every byte
);

describe("fields of a known length", () => {
  test("are what Buffer reads, in any order and pieces; one that is not all there throws and moves nothing", (t) => {
    const pool = poolFor(t, { pageSizeBytes: 4096 });
    const pageFor = (): Mbuf | null => {
      const page = pool.alloc();
      return page && Mbuf.external(page.bytes, () => page.release());
    };
    const crossed = new Set<string>();
    const wanted = fc.array(fc.nat(FIELDS.length - 1), { minLength: 1, maxLength: 60, size: "max" });
    fc.assert(
      fc.property(someBytes, someCuts, wanted, (bytes, cuts, choices) => {
        using chain = chainOf(bytes, cuts, pageFor);
        const cursor = chain.cursor();
        let length = 0;
        const borders = chain.segments().map((segment) => (length += segment.length));
        let at = 0;
        for (const choice of choices) {
          const field = FIELDS[choice];
          assert(field !== undefined);
          const expected = field.expect(bytes, at);
          if (expected === null) {
            assert.throws(() => field.read(cursor), withCode("ERR_JUMBO_CHAIN_RANGE"), field.name);
          } else {
            assert.deepEqual(field.read(cursor), expected.value, field.name);
            if (borders.some((border) => border > at && border < at + expected.bytes)) crossed.add(field.name);
            at += expected.bytes;
          }
          assert.equal(cursor.offset, at);
          assert.equal(cursor.remainingBytes, bytes.length - at);
        }
      }),
      { numRuns: 500 },
    );
    const expectCrossed = FIELDS.filter(({ name }) => !/Int8$|\([01][,)]/.test(name)).map(({ name }) => name);
    assert.deepEqual(
      expectCrossed.filter((name) => !crossed.has(name)),
      [],
      "each was read across a border",
    );
  });

  test("a length that no integer has, and a delimiter of nothing, are refused", () => {
    using chain = chainOf(Buffer.from("abcdefghij"), []);
    const cursor = chain.cursor();
    for (const length of [0, 7, 1.5, -1, Number.NaN]) {
      for (const name of ["readUIntBE", "readUIntLE", "readIntBE", "readIntLE"] as const) {
        assert.throws(() => cursor[name](length), withCode("ERR_JUMBO_OPTION_INVALID"));
      }
    }
    assert.throws(() => cursor.readLine(""), withCode("ERR_JUMBO_OPTION_INVALID"));
    for (const count of [-1, 1.5, 11]) {
      for (const name of ["skip", "seek", "readString", "readBytes"] as const) {
        assert.throws(() => cursor[name](count), withCode("ERR_JUMBO_CHAIN_RANGE"));
      }
    }
    assert.equal(cursor.offset, 0);
  });
});

/** LEB128, after its definition. */
function encodeVarint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return Buffer.from([...bytes, Number(rest)]);
}

describe("varints", () => {
  const value = fc.oneof(
    fc.bigInt(0n, 300n),
    fc.bigInt(0n, 2n ** 64n - 1n),
    fc.constantFrom(2n ** 53n - 1n, 2n ** 53n, 2n ** 64n - 1n),
  );

  test("of up to 64 bits, across borders; null, and no move, while the end is not there", () => {
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 12 }), someCuts, (values, cuts) => {
        const bytes = Buffer.concat(values.map(encodeVarint));
        using chain = chainOf(bytes, cuts);
        const cursor = chain.cursor();
        for (const wanted of values) {
          const { offset } = cursor;
          if (wanted > BigInt(Number.MAX_SAFE_INTEGER)) {
            assert.throws(() => cursor.readVarint(), withCode("ERR_JUMBO_VARINT_INVALID"));
          } else assert.equal(cursor.readVarint(), Number(wanted));
          cursor.seek(offset);
          assert.equal(cursor.readBigVarint(), wanted);
          assert.equal(cursor.offset, offset + encodeVarint(wanted).length);
        }
        assert.equal(cursor.readVarint(), null);
        chain.trimEnd(1).append(Buffer.from([0xff]));
        assert.equal(cursor.seek(chain.lengthBytes - 1).readVarint(), null);
        assert.equal(cursor.readBigVarint(), null);
        assert.equal(cursor.offset, chain.lengthBytes - 1);
        assert.equal(chain.append(Buffer.from([1])) && cursor.readVarint(), 255, "once the end has come");
      }),
      { numRuns: 200 },
    );
  });

  test("of more than 64 bits are no varints", () => {
    for (const bytes of [[...Array.from({ length: 9 }, () => 0xff), 2], Array.from({ length: 11 }, () => 0x80)]) {
      for (const cuts of [[], [1, 2, 3, 4, 5, 6, 7, 8, 9]]) {
        using chain = chainOf(Buffer.from(bytes), cuts);
        const cursor = chain.cursor();
        assert.throws(() => cursor.readVarint(), withCode("ERR_JUMBO_VARINT_INVALID"));
        assert.throws(() => cursor.readBigVarint(), withCode("ERR_JUMBO_VARINT_INVALID"));
        assert.equal(cursor.readUInt8(), bytes[0]);
      }
    }
  });
});

describe("lines", () => {
  test("up to any delimiter, across borders, are what split gives; null, and no move, for one that has not ended", () => {
    const line = fc.string({ unit: fc.constantFrom("a", "b", "\r", "é", "€", "𝄞"), maxLength: 12 });
    const delimiter = fc.constantFrom("\n", "\r\n", "--border--");
    fc.assert(
      fc.property(fc.array(line, { maxLength: 10 }), delimiter, someCuts, (lines, end, cuts) => {
        const text = lines.map((each) => `${each}${end}`).join("") + "rest";
        const expected = text.split(end).slice(0, -1);
        using chain = chainOf(Buffer.from(text), cuts);
        const cursor = chain.cursor();
        for (const each of expected) assert.equal(cursor.readLine(end), each);
        const { offset } = cursor;
        assert.equal(cursor.readLine(end), null);
        assert.equal(cursor.offset, offset);
        chain.append(Buffer.from(end));
        assert.equal(cursor.readLine(Buffer.from(end)), "rest");
        assert.equal(cursor.remainingBytes, 0);
      }),
      { numRuns: 300 },
    );
  });

  test("a byte as delimiter, and another encoding", () => {
    using chain = chainOf(Buffer.from("key\0v\u00e9\0", "latin1"), [1, 5, 6]);
    const cursor = chain.cursor();
    assert.equal(cursor.readLine(0), "key");
    assert.equal(cursor.readLine(0, "latin1"), "v\u00e9");
  });
});

describe("a chain that changes under a cursor", () => {
  test("what is trimmed off is not read, also when it is the segment in reach", () => {
    using chain = chainOf(Buffer.from("abcdefgh"), [4]);
    const cursor = chain.cursor();
    assert.equal(cursor.readUInt8(), 0x61);
    chain.trimStart(3);
    assert.equal(cursor.offset, -2);
    for (const use of [() => cursor.readUInt8(), () => cursor.readVarint(), () => cursor.readLine("f")]) {
      assert.throws(use, withCode("ERR_JUMBO_CHAIN_RANGE"));
    }
    assert.equal(cursor.seek(0).readString(2), "de");
    chain.trimEnd(2);
    assert.equal(cursor.remainingBytes, 1);
    assert.throws(() => cursor.readUInt16BE(), withCode("ERR_JUMBO_CHAIN_RANGE"));
    assert.equal(cursor.readString(1), "f");
    chain.append(Buffer.from("xyz"));
    assert.equal(cursor.readString(3), "xyz");
  });

  test("it reads the bytes at its place, never a page that has a new tenant", (t) => {
    const pool = poolFor(t, { pageSizeBytes: 4096, pagesMax: 2, audit: false });
    using chain = new MbufChain();
    const add = (fill: number): void => {
      const page = pool.alloc();
      assert(page !== null);
      page.bytes.fill(fill);
      const mbuf = Mbuf.external(page.bytes, () => page.release());
      chain.append(mbuf);
      mbuf.release();
    };
    add(1);
    add(2);
    const cursor = chain.cursor();
    assert.equal(cursor.readUInt32BE(), 0x01010101);
    chain.trimStart(4096); // page 1 is free, and somebody else gets it
    add(3);
    assert.throws(() => cursor.readUInt32BE(), withCode("ERR_JUMBO_CHAIN_RANGE"));
    assert.equal(cursor.seek(0).readUInt32BE(), 0x02020202);
    assert.equal(cursor.skip(4092 - 2).readUInt32BE(), 0x02020303);
  });
});
