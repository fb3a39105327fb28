/**
 * Shows: what `--framing pcap` writes is what tshark, which nobody here wrote, reads: addresses of both families, ports, times, lengths
 * also of truncated and empty datagrams, contents, ECN and checksums; with both engines. And, without tshark, that addresses are parsed
 * and checksums computed as the RFCs say.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { after, test } from "node:test";
import type { TestContext } from "node:test";
import { parseIpAddress } from "../../src/cli/ip-address.ts";
import { packetHeaderBytes, writeChecksum, writePacketHeaders } from "../../src/cli/udp-packet.ts";
import type { Packet } from "../../src/cli/udp-packet.ts";
import { loadUdpCalls } from "../../src/os/udp-calls.ts";
import { pattern } from "../support/pattern.ts";
import { Random } from "../support/random.ts";
import { RunningCommand, missing, peer, temporaryFolder } from "./command.ts";
import { noIpv6, sendAll } from "./datagrams.ts";

const folder = temporaryFolder({ after });
const noTshark = missing("tshark");
const without6 = await noIpv6();

/** One packet, as tshark sees it. */
type Seen = { readonly [field: string]: string };
const FIELDS = [
  "frame.time_epoch",
  "frame.cap_len",
  "frame.len",
  "ip.src",
  "ip.dst",
  "ip.len",
  "ip.dsfield.ecn",
  "ip.checksum.status",
  "ipv6.src",
  "ipv6.dst",
  "ipv6.plen",
  "udp.srcport",
  "udp.dstport",
  "udp.length",
  "udp.checksum.status",
  "udp.payload",
  "_ws.expert.severity",
];
const GOOD = "1";

function readCapture(file: string): Seen[] {
  const options = ["-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-r", file, "-T", "fields"];
  // "data" keeps tshark from guessing a protocol by the port.
  const args = [...options, "--disable-protocol", "data", ...FIELDS.flatMap((field) => ["-e", field])];
  const text = execFileSync("tshark", args, { stdio: ["ignore", "pipe", "ignore"], encoding: "utf8" });
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => Object.fromEntries(line.split("\t").map((value, index) => [FIELDS[index] ?? "", value])));
}

/** Runs the command, sends `payloads` to it, and returns what tshark reads, with the times between which it was sent. */
async function capture(
  t: TestContext,
  url: string,
  host: string,
  payloads: readonly Uint8Array[],
  ...args: string[]
): Promise<{ packets: Seen[]; port: number; fromPort: number; before: number; after: number }> {
  const file = path.join(folder, `${t.name.replaceAll(/\W+/g, "-")}.pcap`);
  const command = new RunningCommand(t, ["recv", url, "--framing", "pcap", "-o", file, "--json", ...args]);
  const port = await command.port();
  const before = Date.now() / 1000;
  const socket = await sendAll(t, payloads, port, host);
  const fromPort = payloads.length === 0 ? 0 : socket.address().port;
  command.child.kill("SIGTERM");
  const report = await command.report();
  assert.deepEqual(await command.ended, { code: 0, signal: null }, command.stderr);
  assert.equal(report["datagrams"], payloads.length);
  const packets = readCapture(file);
  assert.equal(packets.length, payloads.length);
  return { packets, port, fromPort, before, after: Date.now() / 1000 };
}

const payloads = [0, 1, 7, 1400, 1401, 9000, 65_507].map((length) => Buffer.from(pattern(length, length)));

for (const engine of ["recvmmsg", "dgram"] as const) {
  const found = loadUdpCalls();
  const noEngine = engine === "recvmmsg" && found.calls === null ? found.reason : false;

  test(`IPv4, ${engine}`, { skip: noTshark || noEngine }, async (t) => {
    const seen = await capture(t, "udp://127.0.0.1:0", "127.0.0.1", payloads, "--engine", engine);
    let earliest = seen.before - 0.002; // the clock it is compared with has milliseconds
    for (const [index, packet] of seen.packets.entries()) {
      const bytes = payloads[index] ?? assert.fail();
      const time = Number(packet["frame.time_epoch"]);
      assert.ok(
        time >= earliest && time <= seen.after + 0.002,
        `${time} is after what came before, and not later than now`,
      );
      earliest = time;
      const { "frame.time_epoch": _, "_ws.expert.severity": __, ...rest } = packet;
      assert.deepEqual(rest, {
        "frame.cap_len": String(28 + bytes.length),
        "frame.len": String(28 + bytes.length),
        "ip.src": "127.0.0.1",
        "ip.dst": "127.0.0.1",
        "ip.len": String(28 + bytes.length),
        "ip.dsfield.ecn": "0",
        "ip.checksum.status": GOOD,
        "ipv6.src": "",
        "ipv6.dst": "",
        "ipv6.plen": "",
        "udp.srcport": String(seen.fromPort),
        "udp.dstport": String(seen.port),
        "udp.length": String(8 + bytes.length),
        "udp.checksum.status": "3", // not there
        "udp.payload": bytes.toString("hex"),
      });
    }
  });

  test(`IPv6, ${engine}`, { skip: noTshark || noEngine || without6 }, async (t) => {
    const seen = await capture(t, "udp://[::1]:0", "::1", payloads, "--engine", engine);
    for (const [index, packet] of seen.packets.entries()) {
      const bytes = payloads[index] ?? assert.fail();
      assert.deepEqual([packet["ipv6.src"], packet["ipv6.dst"], packet["ip.src"]], ["::1", "::1", ""]);
      assert.deepEqual([packet["udp.srcport"], packet["udp.dstport"]], [seen.fromPort, seen.port].map(String));
      assert.deepEqual([packet["frame.len"], packet["ipv6.plen"]], [48 + bytes.length, 8 + bytes.length].map(String));
      assert.equal(packet["udp.checksum.status"], GOOD, `${bytes.length} bytes`);
      assert.equal(packet["udp.payload"], bytes.toString("hex"));
    }
  });

  test(`longer than a page, ${engine}`, { skip: noTshark || noEngine || without6 }, async (t) => {
    for (const [url, host, headerBytes] of [
      ["udp://127.0.0.1:0", "127.0.0.1", 28],
      ["udp://[::1]:0", "::1", 48],
    ] as const) {
      const long = [pattern(0, 4096), pattern(0, 4097), pattern(0, 30_001), pattern(0, 5)];
      const { packets } = await capture(t, url, host, long, "--engine", engine, "--page-size", "4096");
      for (const [index, packet] of packets.entries()) {
        const { length } = long[index] ?? assert.fail();
        const kept = pattern(0, Math.min(length, 4096));
        assert.deepEqual(
          [packet["frame.len"], packet["frame.cap_len"], packet["udp.length"]],
          [headerBytes + length, headerBytes + kept.length, 8 + length].map(String),
          "what is captured is shorter than what was sent",
        );
        if (length === kept.length) assert.equal(packet["udp.payload"], kept.toString("hex"));
        else assert.doesNotMatch(packet["_ws.expert.severity"] ?? "", /8388608/, "nothing is called an error");
      }
    }
  });
}

const calls = loadUdpCalls();
const noCalls = calls.calls === null ? calls.reason : false;

test("a socket of both families: who speaks IPv4 is shown so", { skip: noTshark || noCalls || without6 }, async (t) => {
  const file = path.join(folder, "both.pcap");
  const command = new RunningCommand(t, ["recv", "udp://[::]:0", "--framing", "pcap", "-o", file]);
  const port = await command.port();
  await sendAll(t, [Buffer.from("four")], port, "127.0.0.1");
  await sendAll(t, [Buffer.from("six")], port, "::1");
  command.child.kill("SIGTERM");
  await command.ended;
  const shown = readCapture(file).map((packet) => [
    packet["ip.src"],
    packet["ip.dst"],
    packet["ipv6.src"],
    packet["ipv6.dst"],
  ]);
  assert.deepEqual(shown, [
    ["127.0.0.1", "127.0.0.1", "", ""],
    ["", "", "::1", "::1"],
  ]);
});

test("ECN, as it was sent", { skip: noTshark || noCalls || missing("socat") }, async (t) => {
  const file = path.join(folder, "ecn.pcap");
  const command = new RunningCommand(t, ["recv", "udp://127.0.0.1:0", "--framing", "pcap", "-o", file]);
  const port = await command.port();
  const text = path.join(folder, "text");
  writeFileSync(text, "marked");
  for (const ecn of [1, 2, 3])
    await peer(t, "socat", ["-u", `FILE:${text}`, `UDP4-SENDTO:127.0.0.1:${port},tos=${ecn}`]);
  command.child.kill("SIGTERM");
  await command.ended;
  assert.deepEqual(
    readCapture(file).map((packet) => packet["ip.dsfield.ecn"]),
    ["1", "2", "3"],
  );
});

test(
  "a socket on every interface of the dgram engine: 0.0.0.0 where the address is not known",
  { skip: noTshark },
  async (t) => {
    const { packets } = await capture(t, "udp://0.0.0.0:0", "127.0.0.1", [Buffer.from("x")], "--engine", "dgram");
    assert.deepEqual([packets[0]?.["ip.src"], packets[0]?.["ip.dst"]], ["127.0.0.1", "0.0.0.0"]);
  },
);

test("nothing came: a capture of nothing", { skip: noTshark }, async (t) => {
  await capture(t, "udp://127.0.0.1:0", "127.0.0.1", []);
});

test("addresses", () => {
  const cases: readonly (readonly [text: string, hex: string])[] = [
    ["192.0.2.1", "c0000201"],
    ["0.0.0.0", "00000000"],
    ["::", "00000000000000000000000000000000"],
    ["::1", "00000000000000000000000000000001"],
    ["2001:db8::", "20010db8000000000000000000000000"],
    ["2001:db8::8:800:200c:417a", "20010db80000000000080800200c417a"],
    ["1:2:3:4:5:6:7:8", "00010002000300040005000600070008"],
    ["fe80::1%eth0", "fe800000000000000000000000000001"],
    ["fe80::abcd:ef01:2345:6789%12", "fe80000000000000abcdef0123456789"],
    ["::ffff:192.0.2.1", "c0000201"],
    ["::ffff:c000:201", "c0000201"],
    ["64:ff9b::192.0.2.33", "0064ff9b0000000000000000c0000221"],
  ];
  for (const [text, hex] of cases) assert.equal(Buffer.from(parseIpAddress(text)).toString("hex"), hex, text);
});

/** RFC 1071 as it stands there: 16-bit words, carries folded in, a zero behind an odd byte. All of what a checksum covers adds up to 0xffff. */
function onesSum(bytes: Buffer): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

test("checksums of random packets of all lengths, wherever they lie, add up", () => {
  const random = new Random(7);
  for (let round = 0; round < 500; round++) {
    const addressBytes = random.pick([4, 16]);
    const address = (): Uint8Array => Uint8Array.from({ length: addressBytes }, () => random.int(0, 255));
    const packet: Packet = {
      source: address(),
      target: address(),
      sourcePort: random.int(1, 65_535),
      targetPort: random.int(1, 65_535),
      ecn: random.pick([null, 0, 1, 2, 3]),
      payloadBytes: random.pick([0, 1, 2, 3, random.int(0, 1500), random.int(0, 65_000)]),
    };
    const payload = Buffer.alloc(packet.payloadBytes + 3);
    for (let i = 0; i < payload.length; i++) payload[i] = random.pick([0, 0xff, random.int(0, 255)]);
    const payloadOffset = random.int(0, 3);
    const offset = random.int(0, 7);
    const headers = Buffer.alloc(offset + packetHeaderBytes(packet));
    const view = new DataView(headers.buffer, headers.byteOffset, headers.length);
    writePacketHeaders(view, offset, packet);
    writeChecksum(view, offset, packet, new DataView(payload.buffer, payload.byteOffset), payloadOffset);

    const ip = headers.subarray(offset, headers.length - 8);
    const udp = Buffer.concat([
      headers.subarray(-8),
      payload.subarray(payloadOffset, payloadOffset + packet.payloadBytes),
    ]);
    const pseudo = Buffer.concat([
      packet.source,
      packet.target,
      Buffer.from([0, 17, udp.length >> 8, udp.length & 0xff]),
    ]);
    const what = `round ${round}: ${packet.payloadBytes} bytes at ${payloadOffset}`;
    assert.equal(onesSum(Buffer.concat([pseudo, udp])), 0xffff, what);
    assert.notEqual(udp.readUInt16BE(6), 0, what);
    if (addressBytes === 4) assert.equal(onesSum(ip), 0xffff, what);
    assert.equal(ip.readUInt16BE(addressBytes === 4 ? 2 : 4), udp.length + (addressBytes === 4 ? 20 : 0), what);
  }
});
