/** Shows that `iperf3 -u`, which counts what is lost and what overtakes, finds nothing of either behind a relay made of our receivers. */
import assert from "node:assert/strict";
import net from "node:net";
import { Duplex } from "node:stream";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { loadLibc } from "../../src/os/libc.ts";
import type { UdpEngine, UdpStats } from "../../src/udp/index.ts";
import { missing } from "../cli/command.ts";
import { poolFor } from "../support/at-rest.ts";
import { listen } from "../support/sockets.ts";
import { drained } from "./drained.ts";
import { Program, freePort, runPeer } from "./program.ts";
import { UdpRelay } from "./udp-relay.ts";

/** The part of `iperf3 --json` that is looked at. */
type Report = {
  readonly end: {
    readonly sum: {
      readonly packets: number;
      readonly lost_packets: number;
      readonly lost_percent: number;
      readonly bytes: number;
    };
    readonly streams: readonly { readonly udp: { readonly out_of_order: number } }[];
  };
};

const ENGINES: readonly UdpEngine[] = loadLibc().libc === null ? ["dgram"] : ["recvmmsg", "dgram"];
const DATAGRAM_BYTES = 1400;
const LOAD = ["--udp", "--bitrate", "12M", "--length", String(DATAGRAM_BYTES), "--window", "4M", "--time", "1"];
/** All of it fits into the buffers, where the system allows such: then nothing is lost, however busy the machine. */
const LOST_PERCENT_MAX = 2;

/**
 * iperf3's control connection. What the client says on it, that it has sent everything for one, must not overtake what it has sent: it is passed
 * on only when no datagram waits, for us or for the server.
 */
async function relayTcp(t: TestContext, targetPort: number): Promise<number> {
  const port = await listen(t, (near) => {
    const far = net.connect(targetPort, "127.0.0.1");
    const behind = Duplex.from(async function* (control: AsyncIterable<Buffer>) {
      for await (const bytes of control) {
        await drained(port, targetPort);
        yield bytes;
      }
    });
    near.on("error", () => far.destroy());
    far.on("error", () => near.destroy());
    near.pipe(behind).pipe(far).pipe(near);
  });
  return port;
}

/** One run of client, relay and server. Returns the client's report, and what the relay's sockets have counted. */
async function measure(
  t: TestContext,
  engine: UdpEngine,
  ...args: string[]
): Promise<{ report: Report; relayed: UdpStats[] }> {
  const targetPort = await freePort();
  const server = new Program(t, "iperf3", [
    "-s",
    "-1",
    "--forceflush",
    "--bind",
    "127.0.0.1",
    "--port",
    String(targetPort),
  ]);
  await server.says(/Server listening on/);
  const port = await relayTcp(t, targetPort); // both protocols use the same port
  const pool = poolFor(t, { pageSizeBytes: 65_536, pagesMax: 256, audit: false }); // to poison pages takes longer than to fill them
  const relay = await UdpRelay.open({ pool, engine, port, targetPort });
  t.after(() => relay.close());
  const output = await runPeer(t, "iperf3", ["-c", "127.0.0.1", "--port", String(port), "--json", ...LOAD, ...args]);
  await server.output();
  await drained(port);
  return { report: JSON.parse(output) as Report, relayed: await relay.stats() }; // what is missing fails an assertion
}

function assertGood({ end }: Report, relayed: readonly UdpStats[], streams: number): void {
  const { packets, lost_packets: lost, lost_percent: percent } = end.sum;
  assert.ok(packets > 500 * streams, `${packets} packets`);
  assert.ok(percent <= LOST_PERCENT_MAX, `${lost} of ${packets} lost: ${JSON.stringify(relayed)}`);
  assert.deepEqual(
    end.streams.map(({ udp }) => udp.out_of_order),
    Array.from({ length: streams }, () => 0),
  );
}

/** What one socket got, the other has sent on. */
function assertRelayed(from: readonly UdpStats[], to: readonly UdpStats[]): void {
  const received = from.reduce((sum, { datagrams }) => sum + datagrams, 0);
  const sent = to.reduce((sum, each) => sum + each.sent.datagrams + each.sent.errors, 0);
  assert.equal(sent, received);
}

for (const engine of ENGINES) {
  test(`iperf3 -u through ${engine}: two streams up`, { skip: missing("iperf3") }, async (t) => {
    const { report, relayed } = await measure(t, engine, "--parallel", "2");
    const [front, ...upstreams] = relayed;
    assertGood(report, relayed, 2);
    assert.equal(upstreams.length, 2, "one for each client");
    assert.ok(front !== undefined);
    assertRelayed([front], upstreams);
    const { packets } = report.end.sum;
    const lostHere = front.kernelDrops + front.dropped;
    // Each stream begins with one datagram that is not counted.
    if (engine === "recvmmsg") assert.equal(front.datagrams + lostHere, packets + 2);
    else assert.ok(front.datagrams + lostHere <= packets + 2, `${front.datagrams} of ${packets}`);
  });

  test(`iperf3 -u --reverse through ${engine}: one stream down`, { skip: missing("iperf3") }, async (t) => {
    const { report, relayed } = await measure(t, engine, "--reverse");
    const [front, ...upstreams] = relayed;
    assertGood(report, relayed, 1);
    assert.ok(front !== undefined);
    assertRelayed(upstreams, [front]);
    assert.ok(front.sent.bytes >= report.end.sum.bytes, "all that the client got came through the relay");
  });
}
