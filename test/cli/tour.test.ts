/**
 * Shows: `jumbo` alone receives 1 GiB, and a million datagrams, verifies them against a digest and a checksum that are worked out here once
 * more, shows jumbo beside net and dgram, says what to try next, and takes less than 45 seconds on a machine that has other things to
 * do; on a pipe its text is plain. What was wrong, or lost, would be said.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { crc32 } from "node:zlib";
import {
  TOUR_BLOCK_BYTES,
  TOUR_BYTES,
  TOUR_SHA256,
  makeTourBlock,
  stampTourBlock,
} from "../../src/cli/tour-content.ts";
import {
  DatagramTally,
  TOUR_BUNCH,
  TOUR_CRC_SUM,
  TOUR_DATAGRAMS,
  TOUR_DATAGRAM_BYTES,
  makeTourBunch,
  stampTourBunch,
} from "../../src/cli/tour-datagrams.ts";
import { describeVerdict, isRight } from "../../src/cli/tour-report.ts";
import type { TourResult } from "../../src/cli/tour-receiver.ts";
import type { UdpTourResult } from "../../src/cli/tour-udp-receiver.ts";
import { describeUdpComparison, describeUdpVerdict, isUdpRight } from "../../src/cli/tour-udp-report.ts";
import { JumboPool } from "../../src/index.ts";
import { run } from "./command.ts";

const MS_MAX = 45_000;

test("the digest is that of the content", () => {
  const hash = createHash("sha256");
  const block = makeTourBlock();
  for (let index = 0; index < TOUR_BYTES / TOUR_BLOCK_BYTES; index++) {
    stampTourBlock(block, index);
    hash.update(block);
  }
  assert.equal(hash.digest("hex"), TOUR_SHA256);
});

/** All datagrams of the tour, one after the other; each is good until the next. */
function* tourDatagrams(): Generator<Buffer> {
  const bunch = makeTourBunch();
  for (let first = 0; first < TOUR_DATAGRAMS; first += TOUR_BUNCH) {
    stampTourBunch(bunch, first);
    for (let i = 0; i < TOUR_BUNCH; i++) yield bunch.subarray(i * TOUR_DATAGRAM_BYTES, (i + 1) * TOUR_DATAGRAM_BYTES);
  }
}

test("the sum of checksums is that of the datagrams", () => {
  let sum = 0;
  for (const bytes of tourDatagrams()) sum += crc32(bytes);
  assert.equal(sum, TOUR_CRC_SUM);
});

test("a tally: nothing, something, everything, in another order; and what is lost, doubled, changed or strange", () => {
  assert.deepEqual(shown(new DatagramTally()), { received: 0, wrong: 0, isContentRight: true });
  const some = [...take(100)];
  const tallied = (datagrams: readonly Buffer[]): ReturnType<typeof shown> => {
    const tally = new DatagramTally();
    for (const bytes of datagrams) tally.take(bytes);
    return shown(tally);
  };
  const changed = some.map((bytes, index) => (index === 7 ? Buffer.from(bytes).fill(1, 500, 501) : bytes));
  const strange = Buffer.alloc(TOUR_DATAGRAM_BYTES, 0xff);
  assert.deepEqual(tallied(some), { received: 100, wrong: 0, isContentRight: true });
  assert.deepEqual(tallied(some.toReversed()), { received: 100, wrong: 0, isContentRight: true });
  assert.deepEqual(tallied(some.slice(3)), { received: 97, wrong: 0, isContentRight: true });
  assert.deepEqual(tallied([...some, ...some.slice(0, 2)]), { received: 100, wrong: 2, isContentRight: true });
  assert.deepEqual(tallied(changed), { received: 100, wrong: 0, isContentRight: false });
  assert.deepEqual(tallied([...some, strange, strange.subarray(1)]), { received: 100, wrong: 2, isContentRight: true });
});

function* take(count: number): Generator<Buffer> {
  let left = count;
  for (const bytes of tourDatagrams()) {
    if (left-- === 0) return;
    yield Buffer.from(bytes);
  }
}

function shown(tally: DatagramTally): { received: number; wrong: number; isContentRight: boolean } {
  const { received, wrong, isContentRight } = tally.result();
  return { received, wrong, isContentRight };
}

test("the tour", async (t) => {
  const startMs = performance.now();
  const { code, stdout, stderr } = await run(t);
  assert.deepEqual({ code, stderr }, { code: 0, stderr: "" }, stdout);
  assert.ok(performance.now() - startMs < MS_MAX, `it took ${performance.now() - startMs} ms`);
  const [tcp = "", udp = ""] = stdout.split("1,000,000 datagrams of 1,200 bytes");
  for (const part of [tcp, udp]) {
    for (const row of ["time", "processor time", "garbage collection", "most memory resident", "reads"]) {
      assert.match(part, new RegExp(`^ +${row} +\\S.*  +\\S`, "m"));
    }
  }
  assert.match(tcp, /SHA-256 +right +right\n/);
  assert.match(tcp, /in use +0 /);
  assert.match(
    tcp,
    new RegExp(`every byte arrived in its place, and every page is back: sha256 ${TOUR_SHA256.slice(0, 16)}`),
  );
  assert.match(udp, /received +1,000,000 +1,000,000\n +lost +0 +0\n/);
  assert.match(udp, /dropped by the kernel +(?:0|not known) +not known\n/);
  assert.match(udp, /CRC-32, summed up +right +right\n/);
  assert.match(udp, new RegExp(`every datagram arrived once, .*, and every page is back: .* ${TOUR_CRC_SUM}\n`));
  assert.match(stdout, /next\n.*recv tcp:\/\/127\.0\.0\.1:9000 -o out\.bin/);
  // oxlint-disable-next-line no-control-regex
  assert.doesNotMatch(stdout, /\u001B/, "plain on a pipe");
});

test("a wrong digest, a missing byte, or a page that is out is not right, and says so", () => {
  const pool = new JumboPool();
  const cost = { cpu: { userSeconds: 0, systemSeconds: 0 }, gc: { count: 0, milliseconds: 0 }, rssMaxBytes: 0 };
  const result: TourResult = {
    kind: "result",
    engine: "onread",
    bytes: TOUR_BYTES,
    seconds: 1,
    reads: 1,
    digest: TOUR_SHA256,
    hashSeconds: 0,
    pool: pool.stats(),
    ...cost,
  };
  assert.equal(isRight(result), true);
  assert.match(describeVerdict(result, result), /right/);
  const page = pool.alloc();
  const wrong = [
    { ...result, digest: "0" },
    { ...result, bytes: 1 },
    { ...result, pool: pool.stats() },
  ];
  page?.release();
  pool.close();
  for (const bad of wrong) {
    assert.equal(isRight(bad), false);
    assert.match(describeVerdict(bad, result), /WRONG .*please report it/);
  }
});

test("datagrams: what is lost is said and not wrong; what is strange, changed, or a page that is out is wrong", () => {
  const pool = new JumboPool();
  const result: UdpTourResult = {
    kind: "result",
    engine: "recvmmsg",
    engineReason: null,
    received: TOUR_DATAGRAMS,
    wrong: 0,
    isContentRight: true,
    crcSum: TOUR_CRC_SUM,
    crcSeconds: 1,
    seconds: 1,
    reads: 1,
    kernelDrops: 0,
    pool: pool.stats(),
    cpu: { userSeconds: 0, systemSeconds: 0 },
    gc: { count: 0, milliseconds: 0 },
    rssMaxBytes: 0,
  };
  assert.equal(isUdpRight(result), true);
  assert.match(describeUdpVerdict(result, result), /right {2}every datagram arrived once/);
  const lossy = { ...result, received: TOUR_DATAGRAMS - 40, kernelDrops: 1 };
  assert.equal(isUdpRight(lossy), true);
  assert.match(
    describeUdpVerdict(lossy, result),
    /right {2}every datagram that arrived is as it was sent; 40 were lost/,
  );
  assert.match(
    describeUdpComparison(lossy, { ...lossy, kernelDrops: null }),
    /lost +40 +40\n +dropped by the kernel +1 +not known/,
  );
  const portable = { ...result, engine: "dgram", engineReason: "there is a reason" };
  assert.match(describeUdpComparison(portable, result), /through node:dgram here: there is a reason$/);
  const page = pool.alloc();
  const wrong = [
    { ...result, isContentRight: false },
    { ...result, wrong: 1 },
    { ...result, pool: pool.stats() },
  ];
  page?.release();
  pool.close();
  for (const bad of wrong) {
    assert.equal(isUdpRight(bad), false);
    assert.match(describeUdpVerdict(bad, result), /WRONG .*please report it/);
  }
});
