/**
 * Shows: addresses are written and read as Node shows them: every IPv4 and IPv6 address, those that are mapped, ports, zones of interfaces;
 * and what is no address is refused, and nothing else.
 */
import assert from "node:assert/strict";
import { SocketAddress as NodeAddress, isIP, isIPv4 } from "node:net";
import { networkInterfaces } from "node:os";
import { test } from "node:test";
import * as fc from "fast-check";
import {
  SOCKET_ADDRESS_WORDS,
  formatAddress,
  isIPv6At,
  readSocketAddress,
  writeSocketAddress,
} from "../../src/os/socket-address.ts";
import { noCalls } from "../support/udp.ts";

const skip = noCalls;
const runs = { numRuns: 500 }; // each is several calls through FFI

/** Words off V8's heap, with noise in them, and room on both sides that must not be touched. */
const MARGIN = 3;
const area = new Int32Array(new ArrayBuffer(4096), 0, SOCKET_ADDRESS_WORDS + 2 * MARGIN);

function write(address: string, port: number, isIPv6: boolean): number {
  area.fill(0x5a5a5a5a);
  const bytes = writeSocketAddress(area, MARGIN, address, port, isIPv6);
  const margins = [...area.subarray(0, MARGIN), ...area.subarray(MARGIN + SOCKET_ADDRESS_WORDS)];
  assert.ok(margins.every((word) => word === 0x5a5a5a5a));
  return bytes;
}

/** What comes back, and what Node says the same address is. */
function roundTrip(address: string, port: number): void {
  const isIPv6 = !isIPv4(address);
  assert.equal(write(address, port, isIPv6), isIPv6 ? 28 : 16);
  assert.equal(isIPv6At(area, MARGIN), isIPv6);
  const node = new NodeAddress({ address, port, family: isIPv6 ? "ipv6" : "ipv4" });
  assert.deepEqual(readSocketAddress(area, MARGIN), { address: node.address, port, family: isIPv6 ? "IPv6" : "IPv4" });
}

const port = fc.integer({ min: 0, max: 65_535 });
/** Eight groups, often 0, as addresses have them; the rules of how they are shortened are about runs of zeros. */
const groups = fc.array(fc.oneof(fc.constant(0), fc.constantFrom(1, 0xffff), fc.integer({ min: 0, max: 0xffff })), {
  minLength: 8,
  maxLength: 8,
});
const textOf = (list: readonly number[]): string => list.map((group) => group.toString(16)).join(":");

test("IPv4: any address and port", { skip }, () => {
  const octets = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255));
  fc.assert(
    fc.property(octets, port, (list, number) => roundTrip(list.join("."), number)),
    runs,
  );
});

test("IPv6: any address and port, with runs of zeros wherever they are", { skip }, () => {
  fc.assert(
    fc.property(groups, port, (list, number) => roundTrip(textOf(list), number)),
    runs,
  );
  for (const address of ["::", "::1", "1::", "::ffff:0:0", "::1.2.3.4", "64:ff9b::192.0.2.1"]) roundTrip(address, 53);
});

test("the bytes are in the order of the network", { skip }, () => {
  write("192.0.2.7", 0x1234, false);
  const bytes = new Uint8Array(area.buffer, MARGIN * 4, SOCKET_ADDRESS_WORDS * 4);
  assert.deepEqual([...bytes.subarray(2, 8)], [0x12, 0x34, 192, 0, 2, 7]);
  write("2001:db8::ff", 0xfffe, true);
  assert.deepEqual([...bytes.subarray(2, 4)], [0xff, 0xfe]);
  assert.deepEqual([...bytes.subarray(8, 24)], [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff]);
  assert.equal(formatAddress(bytes.subarray(8, 24)), "2001:db8::ff");
});

test("an IPv4 address on an IPv6 socket is the one it is mapped to", { skip }, () => {
  fc.assert(
    fc.property(fc.ipV4(), port, (address, number) => {
      assert.equal(write(address, number, true), 28);
      assert.deepEqual(readSocketAddress(area, MARGIN), { address: `::ffff:${address}`, port: number, family: "IPv6" });
      roundTrip(`::ffff:${address}`, number);
    }),
    runs,
  );
});

test("a zone by its interface's name or number; shown for link-local addresses, as Node does", { skip }, () => {
  for (const name of Object.keys(networkInterfaces())) {
    assert.equal(write(`fe80::1%${name}`, 5, true), 28);
    const index = area[MARGIN + 6];
    assert.ok(index !== undefined && index > 0, `${name} has a number`);
    assert.equal(readSocketAddress(area, MARGIN).address, `fe80::1%${name}`);
    assert.equal(write(`fe80::1%${index}`, 5, true), 28);
    assert.equal(readSocketAddress(area, MARGIN).address, `fe80::1%${name}`);
    write(`2001:db8::1%${name}`, 5, true);
    assert.equal(readSocketAddress(area, MARGIN).address, "2001:db8::1");
  }
  write("febf::1%99999", 5, true);
  assert.equal(readSocketAddress(area, MARGIN).address, "febf::1%99999", "an interface that is not there");
  write("fec0::1%99999", 5, true);
  assert.equal(readSocketAddress(area, MARGIN).address, "fec0::1", "not link-local any more");
});

test("what is no address is refused, what is one is not", { skip }, () => {
  const almost = fc.oneof(
    fc.constantFrom("", "localhost", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "0x7f.1", " 1.2.3.4", "1.2.3.4 "),
    fc.constantFrom(":", ":::", "1::2::3", "::g", "12345::", "::1.2.3", "1:2:3:4:5:6:7:8:9", "[::1]", "::1/128"),
    fc.string({ unit: fc.constantFrom("0", "1", "9", "f", ".", ":", "x"), maxLength: 18 }),
    fc.string({ maxLength: 12 }),
    fc.ipV4(),
    fc.ipV6(),
  );
  fc.assert(
    fc.property(almost, (text) => {
      assert.equal(write(text, 1, false) > 0, isIP(text) === 4, `IPv4: ${JSON.stringify(text)}`);
      assert.equal(write(text, 1, true) > 0, isIP(text) !== 0, `IPv6: ${JSON.stringify(text)}`);
    }),
    { numRuns: 2000 },
  );
});

test("what is no address because of what comes behind it", { skip }, () => {
  for (const text of ["127.0.0.1\0", "127.0.0.1\0.example", "::1\0"])
    for (const isIPv6 of [false, true])
      assert.equal(write(text, 1, isIPv6), 0, `${JSON.stringify(text)} is a name, for Node`);
  assert.equal(write("127.0.0.1%lo", 1, false), 0, "zones are for IPv6");
});
