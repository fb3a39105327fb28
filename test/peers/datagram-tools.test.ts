/** Shows that `socat` and `nc` and our sockets understand each other: jumbo/udp with either engine and jumbo/dgram, both ways, IPv4 and IPv6, short, long and empty. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { createSocket } from "../../src/dgram/index.ts";
import { loadLibc } from "../../src/os/libc.ts";
import { bindUdp } from "../../src/udp/index.ts";
import type { OnBatch, UdpEngine, UdpOptions, UdpReceiver } from "../../src/udp/index.ts";
import { missing, temporaryFolder } from "../cli/command.ts";
import { noIPv6 } from "../dgram/sockets.ts";
import { poolFor, until } from "../support/at-rest.ts";
import { isPattern, pattern } from "../support/pattern.ts";
import { Program, freePort, runPeer } from "./program.ts";

const ENGINES: readonly UdpEngine[] = loadLibc().libc === null ? ["dgram"] : ["recvmmsg", "dgram"];

async function receiverFor(t: TestContext, options: Partial<UdpOptions>, onBatch: OnBatch): Promise<UdpReceiver> {
  const pool = poolFor(t, { pageSizeBytes: 65_536, pagesMax: 64 });
  const receiver = await bindUdp({ pool, address: "127.0.0.1", recvBufferBytes: 4 << 20, ...options }, onBatch);
  t.after(() => receiver.close());
  return receiver;
}

const SIZES: readonly (readonly [datagramBytes: number, totalBytes: number])[] = [
  [1, 300],
  [1400, 700_000],
  [2049, 400_000],
  [60_000, 3_000_000],
];

for (const engine of ENGINES)
  for (const [datagramBytes, totalBytes] of SIZES)
    test(
      `socat sends a file to ${engine}, ${datagramBytes} bytes a datagram`,
      { skip: missing("socat") },
      async (t) => {
        let bytes = 0;
        let wrong = 0;
        const lengths = new Set<number>();
        const receiver = await receiverFor(t, { engine }, (batch) => {
          for (const datagram of batch) {
            if (!isPattern(datagram.bytes, bytes)) wrong++;
            if (datagram.address !== "127.0.0.1" || datagram.truncated) wrong++;
            bytes += datagram.length;
            if (bytes < totalBytes) lengths.add(datagram.length); // the last one may be shorter
          }
        });
        const file = path.join(temporaryFolder(t), "bytes");
        writeFileSync(file, pattern(0, totalBytes));
        const target = `UDP-SENDTO:127.0.0.1:${receiver.address().port},sndbuf=4000000`;
        await runPeer(t, "socat", ["-u", "-b", String(datagramBytes), `FILE:${file}`, target]);
        await until(
          () => bytes >= totalBytes,
          () => `${bytes} bytes, ${JSON.stringify(receiver.stats())}`,
        );
        assert.deepEqual(
          { bytes, wrong, lengths: [...lengths] },
          { bytes: totalBytes, wrong: 0, lengths: [datagramBytes] },
        );
        const { datagrams, kernelDrops, engine: used } = receiver.stats();
        assert.deepEqual(
          { datagrams, kernelDrops, used },
          { datagrams: Math.ceil(totalBytes / datagramBytes), kernelDrops: 0, used: engine },
        );
      },
    );

for (const engine of ENGINES) {
  test(`socat: an empty datagram is one for ${engine}`, { skip: missing("socat") }, async (t) => {
    const lengths: number[] = [];
    const receiver = await receiverFor(t, { engine }, (batch) => {
      for (const { length } of batch) lengths.push(length);
    });
    const to = (options: string): string => `UDP-SENDTO:127.0.0.1:${receiver.address().port}${options}`;
    await runPeer(t, "socat", ["-u", "-", to(",shut-null")], "text");
    await runPeer(t, "socat", ["-u", "-", to("")], "more");
    await until(
      () => lengths.length >= 3,
      () => `lengths ${lengths.join()}`,
    );
    assert.deepEqual(lengths, [4, 0, 4]);
  });

  test(
    `nc and socat get back from ${engine} what they have sent`,
    { skip: missing("socat") || missing("nc") },
    async (t) => {
      const receiver: UdpReceiver = await receiverFor(t, { engine }, (batch) => receiver.sendBatch(batch));
      const { port } = receiver.address();
      const socat = runPeer(t, "socat", ["-t", "0.5", "-", `UDP:127.0.0.1:${port}`], "hello, socat");
      const nc = runPeer(t, "nc", ["-u", "-W", "1", "127.0.0.1", String(port)], "hello, nc");
      assert.deepEqual([await socat, await nc], ["hello, socat", "hello, nc"]);
    },
  );

  test(`nc over IPv6 into ${engine}, and back`, { skip: missing("nc") || noIPv6 }, async (t) => {
    const receiver: UdpReceiver = await receiverFor(t, { engine, address: "::1" }, (batch) => {
      const [{ address, family } = { address: "", family: "" }] = batch;
      assert.deepEqual({ address, family }, { address: "::1", family: "IPv6" });
      return receiver.sendBatch(batch);
    });
    assert.equal(await runPeer(t, "nc", ["-u", "-W", "1", "::1", String(receiver.address().port)], "six"), "six");
  });

  test(
    `socat listens, ${engine} sends: datagrams keep their limits, also cut by the kernel`,
    { skip: missing("socat") },
    async (t) => {
      const receiver = await receiverFor(t, { engine }, () => {});
      const port = await freePort();
      const from = `UDP-RECV:${port},bind=127.0.0.1,rcvbuf=4000000`;
      const socat = new Program(t, "socat", ["-dd", "-u", "-b", "65536", from, "-"], "latin1");
      await socat.says(/starting data transfer loop/);
      const to = { address: "127.0.0.1", port };
      await receiver.sendBatch([
        { bytes: pattern(0, 100), ...to },
        { bytes: pattern(100, 60_000), ...to },
      ]);
      await receiver.sendBatch([{ bytes: pattern(60_100, 30_000), ...to }], { segmentBytes: 1400 });
      await until(
        () => socat.stdout.length >= 90_100,
        () => `${socat.stdout.length} bytes`,
      );
      assert.ok(Buffer.from(socat.stdout, "latin1").equals(pattern(0, 90_100)));
      const { datagrams, errors } = receiver.stats().sent;
      assert.deepEqual({ datagrams, errors }, { datagrams: 2 + Math.ceil(30_000 / 1400), errors: 0 });
    },
  );
}

test("socat and jumbo/dgram: messages, and replies", { skip: missing("socat") }, async (t) => {
  const socket = createSocket({ type: "udp4", recvBufferSize: 4 << 20 });
  t.after(() => socket.close());
  let bytes = 0;
  socket.on("message", (message, { address, port }) => {
    assert.ok(isPattern(message, bytes), `at ${bytes}`);
    bytes += message.length;
    socket.send(message, port, address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  const argv = ["-b", "1400", "-t", "0.5", "-", `UDP:127.0.0.1:${socket.address().port},rcvbuf=4000000`];
  const back = await runPeer(t, "socat", argv, pattern(0, 140_000), "latin1");
  assert.equal(bytes, 140_000);
  assert.ok(Buffer.from(back, "latin1").equals(pattern(0, 140_000)), `${back.length} bytes came back`);
});
