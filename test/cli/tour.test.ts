/**
 * Shows: `jumbo` alone receives 1 GiB, verifies it against a digest that is worked out here once more, shows jumbo beside net, says
 * what to try next, and takes less than 30 seconds; on a pipe its text is plain.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import {
  TOUR_BLOCK_BYTES,
  TOUR_BYTES,
  TOUR_SHA256,
  makeTourBlock,
  stampTourBlock,
} from "../../src/cli/tour-content.ts";
import { describeVerdict, isRight } from "../../src/cli/tour-report.ts";
import type { TourResult } from "../../src/cli/tour-receiver.ts";
import { JumboPool } from "../../src/index.ts";
import { run } from "./command.ts";

test("the digest is that of the content", () => {
  const hash = createHash("sha256");
  const block = makeTourBlock();
  for (let index = 0; index < TOUR_BYTES / TOUR_BLOCK_BYTES; index++) {
    stampTourBlock(block, index);
    hash.update(block);
  }
  assert.equal(hash.digest("hex"), TOUR_SHA256);
});

test("the tour", async (t) => {
  const startMs = performance.now();
  const { code, stdout, stderr } = await run(t);
  assert.deepEqual({ code, stderr }, { code: 0, stderr: "" }, stdout);
  assert.ok(performance.now() - startMs < 30_000);
  for (const row of ["time", "throughput", "processor time", "garbage collection", "most memory resident"]) {
    assert.match(stdout, new RegExp(`^ +${row} +\\S.*  +\\S`, "m"));
  }
  assert.match(stdout, /SHA-256 +right +right\n/);
  assert.match(stdout, /in use +0 /);
  assert.match(
    stdout,
    new RegExp(`every byte arrived in its place, and every page is back: sha256 ${TOUR_SHA256.slice(0, 16)}`),
  );
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
