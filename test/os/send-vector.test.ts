/**
 * Shows: what the vector of sendmmsg(2) holds, byte for byte as the kernel reads it (struct mmsghdr, iovec, sockaddr, cmsghdr); that short payloads
 * are copied and long ones pointed at; and that what cannot be written changes nothing.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { loadLibc } from "../../src/os/libc.ts";
import { SEND_ROWS, SendVector } from "../../src/os/send-vector.ts";
import { pattern } from "../support/pattern.ts";
import { noCalls } from "../support/udp.ts";

const skip = noCalls;
const MMSGHDR_BYTES = 64;
const AF_INET = 2;
const AF_INET6 = 10;

/** The memory of this process at `address`, as it is now. */
function peek(address: number | bigint, length: number): Buffer {
  const { libc } = loadLibc();
  assert(libc !== null);
  const memcpy = libc.func("uintptr_t memcpy(void *target, uintptr_t source, size_t count)");
  const bytes = Buffer.from(new ArrayBuffer(length + 4096), 0, length); // off V8's heap
  memcpy(bytes, address, length);
  return bytes;
}

type Row = {
  readonly name: Buffer;
  readonly payload: Buffer;
  readonly payloadAddress: bigint;
  readonly control: Buffer;
};

/** One row, by following its pointers; offsets are those of <sys/socket.h> on 64-bit Linux. */
function rowOf(vector: SendVector, row: number): Row {
  assert.equal(vector.addressOfRow(row), vector.address + row * MMSGHDR_BYTES);
  const header = peek(vector.addressOfRow(row), MMSGHDR_BYTES);
  const nameAddress = header.readBigUInt64LE(0);
  const nameBytes = header.readUInt32LE(8);
  assert.equal(nameBytes === 0, nameAddress === 0n, "a name exactly when there is an address");
  assert.equal(header.readBigUInt64LE(24), 1n, "one iovec");
  const iovec = peek(header.readBigUInt64LE(16), 16);
  const payloadAddress = iovec.readBigUInt64LE(0);
  assert.equal(header.readInt32LE(48), 0, "no flags");
  return {
    name: nameBytes === 0 ? Buffer.alloc(0) : peek(nameAddress, nameBytes),
    payload: peek(payloadAddress, Number(iovec.readBigUInt64LE(8))),
    payloadAddress,
    control: peek(header.readBigUInt64LE(32), Number(header.readBigUInt64LE(40))),
  };
}

test("a datagram to an IPv4 address", { skip }, () => {
  const vector = new SendVector();
  assert.ok(vector.add(Buffer.from("hello"), "192.0.2.7", 0x1234, false, 0));
  assert.equal(vector.count, 1);
  const { name, payload, control } = rowOf(vector, 0);
  assert.equal(payload.toString(), "hello");
  assert.equal(control.length, 0);
  assert.equal(name.readUInt16LE(0), AF_INET);
  assert.equal(name.readUInt16BE(2), 0x1234);
  assert.deepEqual([...name.subarray(4)], [192, 0, 2, 7, 0, 0, 0, 0, 0, 0, 0, 0]);
});

test("to an IPv6 address, and to an IPv4 one that is mapped", { skip }, () => {
  const vector = new SendVector();
  assert.ok(vector.add(Buffer.from("six"), "2001:db8::1", 65_535, true, 0));
  assert.ok(vector.add(Buffer.from("four"), "127.0.0.1", 1, true, 0));
  const [six, four] = [rowOf(vector, 0), rowOf(vector, 1)];
  assert.equal(six.name.length, 28);
  assert.equal(six.name.readUInt16LE(0), AF_INET6);
  assert.equal(six.name.readUInt16BE(2), 65_535);
  assert.equal(six.name.subarray(8, 24).toString("hex"), "20010db8000000000000000000000001");
  assert.equal(four.name.readUInt16BE(2), 1);
  assert.equal(four.name.subarray(8, 24).toString("hex"), "00000000000000000000ffff7f000001");
});

test("every row of a full vector, each with its own target, payload and segment size", { skip }, () => {
  const vector = new SendVector();
  for (let round = 0; round < 2; round++) {
    for (let row = 0; row < SEND_ROWS; row++) {
      const segmentBytes = row % 3 === 0 ? 0 : row * 10;
      assert.ok(vector.add(pattern(row * 31, row * 20), `10.0.${round}.${row}`, 1000 + row, false, segmentBytes));
    }
    for (let row = 0; row < SEND_ROWS; row++) {
      const { name, payload, control } = rowOf(vector, row);
      assert.deepEqual(payload, pattern(row * 31, row * 20));
      assert.deepEqual([...name.subarray(4, 8)], [10, 0, round, row]);
      assert.equal(name.readUInt16BE(2), 1000 + row);
      if (row % 3 === 0) assert.equal(control.length, 0, "not cut");
      else assert.deepEqual(segmentOf(control), { length: 18n, level: 17, type: 103, segment: row * 10 });
    }
    vector.clear();
    assert.equal(vector.count, 0);
  }
});

/** The one control message: UDP_SEGMENT, with 16 bits. */
function segmentOf(control: Buffer): object {
  assert.equal(control.length, 24, "with its padding");
  const [length, level, type] = [control.readBigUInt64LE(0), control.readInt32LE(8), control.readInt32LE(12)];
  return { length, level, type, segment: control.readUInt16LE(16) };
}

test("up to 2,048 bytes are copied beside the vector, longer ones are pointed at where they are", { skip }, () => {
  for (const length of [0, 1, 2047, 2048, 2049, 65_507]) {
    const vector = new SendVector();
    const bytes = Buffer.from(new ArrayBuffer(70_000), 100, length);
    bytes.set(pattern(length, length));
    assert.ok(vector.add(bytes, undefined, 0, false, 0));
    assert.deepEqual(rowOf(vector, 0).payload, pattern(length, length));
    if (length > 0) bytes[0]! ^= 0xff; // in range
    const isCopy = rowOf(vector, 0).payload.equals(pattern(length, length));
    assert.equal(isCopy, length <= 2048, `${length} bytes`);
    assert.equal(rowOf(vector, 0).name.length, 0, "to where the socket is connected");
  }
});

test("a row that had a target and a segment size has none the next time", { skip }, () => {
  const vector = new SendVector();
  assert.ok(vector.add(pattern(0, 100), "127.0.0.1", 9, false, 10));
  vector.clear();
  assert.ok(vector.add(pattern(0, 10), undefined, 0, false, 0));
  const { name, control } = rowOf(vector, 0);
  assert.deepEqual([name.length, control.length], [0, 0]);
});

test("what is no address of the family is refused with nothing changed, also the second time", { skip }, () => {
  const vector = new SendVector();
  assert.ok(vector.add(Buffer.from("first"), "127.0.0.1", 9, false, 0));
  for (const address of ["localhost", "::1", "", "1.2.3"])
    for (let again = 0; again < 2; again++) assert.ok(!vector.add(Buffer.from("x"), address, 9, false, 0), address);
  assert.ok(!vector.add(Buffer.from("x"), "localhost", 9, true, 0));
  assert.equal(vector.count, 1);
  assert.equal(rowOf(vector, 0).payload.toString(), "first");
});

test("more targets than it remembers", { skip }, () => {
  const vector = new SendVector();
  for (let i = 0; i < 4200; i++) {
    const address = `10.1.${i >> 8}.${i & 255}`;
    assert.ok(vector.add(Buffer.from(address), address, 7, false, 0));
    const { name, payload } = rowOf(vector, 0);
    assert.equal([...name.subarray(4, 8)].join("."), address);
    assert.equal(payload.toString(), address);
    vector.clear();
  }
});
