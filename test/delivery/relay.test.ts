/**
 * Shows that `relay()` moves every byte in order, in both directions, with half-close, whatever sizes they come in; that a target which
 * stalls holds the source back; and that a relay ends when it should. With both engines.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { relay } from "../../src/delivery/index.ts";
import type { Relay } from "../../src/delivery/index.ts";
import { poolFor, until } from "../support/at-rest.ts";
import { isPattern, pattern } from "../support/pattern.ts";
import { Random } from "../support/random.ts";
import { connect, listen, socketPair, write } from "../support/sockets.ts";
import { ENGINES, openDescriptors, receiveAll, skipFor, startProxy } from "./proxy.ts";
import type { Proxied } from "./proxy.ts";

/** Checks that what `socket` receives is the pattern from `offset` on. Resolves at its end with how many bytes came. */
async function receivePattern(socket: net.Socket, offset = 0): Promise<number> {
  let bytes = 0;
  for await (const chunk of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    assert.ok(isPattern(chunk, offset + bytes), `the bytes from ${offset + bytes} on are the sender's`);
    bytes += chunk.length;
  }
  return bytes;
}

for (const engine of ENGINES) {
  const options = { skip: skipFor(engine) };

  test(`${engine}: both directions at once, and each ends by itself`, options, async (t) => {
    const pool = poolFor(t);
    const [upBytes, downBytes] = [20_000_000, 15_000_000];
    const received: Promise<number>[] = [];
    const target = await listen(
      t,
      (socket) => {
        received.push(receivePattern(socket));
        socket.end(pattern(7, downBytes));
      },
      { allowHalfOpen: true },
    );
    const proxied: Proxied[] = [];
    const port = await startProxy(t, target, { pool, engine, onProxied: (one) => proxied.push(one) });
    const client = connect(t, port, { allowHalfOpen: true });
    received.push(receivePattern(client, 7));
    client.write(pattern(0, upBytes));
    assert.equal(await received[0], downBytes, "down, while up is open");
    client.end();
    await until(() => received.length === 2, "accepted");
    assert.equal(await received[1], upBytes, "up");
    const [one] = proxied;
    assert.ok(one);
    assert.deepEqual(await one.outcomes, [undefined, undefined]);
    assert.deepEqual([one.up.stats().bytesRead, one.up.stats().bytesWritten], [upBytes, upBytes]);
    assert.deepEqual([one.down.stats().bytesRead, one.down.stats().bytesWritten], [downBytes, downBytes]);
    assert.deepEqual([one.up.stats().engine, one.up.stats().engineReason], [engine, null]);
    await until(() => one.client.closed && one.server.closed, "Node closes both sockets by itself");
  });

  test(`${engine}: messages of any size go on at once, in order`, options, async (t) => {
    const pool = poolFor(t);
    const target = await listen(t, (socket) => void socket.pipe(socket));
    const client = connect(t, await startProxy(t, target, { pool, engine }));
    const random = new Random(4);
    let offset = 0;
    for (let message = 0; message < 200; message++) {
      const length = random.int(1, random.pick([10, 2_000, 200_000]));
      const answer = readExactly(client, length);
      client.write(pattern(offset, length));
      assert.ok(isPattern(await answer, offset), `message ${message} of ${length} bytes`);
      offset += length;
    }
  });

  test(`${engine}: what came before the relay began, also the end, is not lost`, options, async (t) => {
    const pool = poolFor(t);
    const { near: from, far: sender } = await socketPair(t, () => {}, { allowHalfOpen: true });
    const { near: to, far: taker } = await socketPair(t, () => {});
    sender.end(pattern(0, 1_000));
    to.write(pattern(0, 500));
    await until(() => from.readableLength === 1_000, "Node has read it");
    const result = receiveAll(taker);
    const leg = relay(from, to, { pool, engine });
    await leg.done;
    assert.deepEqual(await result, Buffer.concat([pattern(0, 500), pattern(0, 1_000)]));
  });

  test(
    `${engine}: a target that stalls pins no more than the window, and holds the source back`,
    options,
    async (t) => {
      const pool = poolFor(t, { pageSizeBytes: 65_536, pagesMax: 64 });
      const { near: from, far: sender } = await socketPair(t, () => {});
      const { near: to, far: taker } = await socketPair(t, () => {});
      taker.pause();
      const leg = relay(from, to, { pool, engine, windowPages: 4 });
      const bytes = 40_000_000;
      let isSent = false;
      sender.end(pattern(0, bytes), () => (isSent = true));
      await until(() => leg.stats().pauses > 0, "the relay stops reading");
      // The system's own buffers fill up; then nothing moves.
      for (let before = -1; before !== leg.stats().bytesRead; await delay(100)) before = leg.stats().bytesRead;
      const { pagesPinned, pagesPinnedPeak } = leg.stats();
      assert.ok(pagesPinned <= 4 && pagesPinnedPeak <= 4, `${pagesPinnedPeak} pages pinned`);
      assert.ok(pool.stats().inUsePeak <= 6, `${pool.stats().inUsePeak} pages: the window, and what is armed`);
      assert.equal(isSent, false, "the sender waits");
      assert.equal(await receivePattern(taker), bytes);
      await leg.done;
    },
  );

  test(`${engine}: an idle timeout counts what is relayed as activity`, options, async (t) => {
    const pool = poolFor(t);
    const { near: from, far: sender } = await socketPair(t, () => {});
    const { near: to, far: taker } = await socketPair(t, () => {});
    taker.resume();
    from.setTimeout(400);
    to.setTimeout(400);
    const leg = relay(from, to, { pool, engine });
    let timeouts = 0;
    from.on("timeout", () => timeouts++);
    to.on("timeout", () => timeouts++);
    for (let i = 0; i < 8; i++) {
      await write(sender, pattern(0, 100));
      await delay(100);
    }
    assert.equal(timeouts, 0, "while bytes come");
    await once(from, "timeout"); // when they come no more
    sender.end();
    await leg.done;
  });

  test(
    `${engine}: sockets that are still connecting, Unix sockets, and a socket relayed to itself`,
    options,
    async (t) => {
      const pool = poolFor(t);
      const path = `/tmp/jumbo-relay-${process.pid}-${engine}.sock`;
      const unix = net.createServer((socket) => void relay(socket, socket, { pool, engine }).done);
      unix.listen(path);
      await once(unix, "listening");
      t.after(() => unix.close());
      const target = await listen(t, (socket) => {
        const onward = net.connect(path);
        socket.pipe(onward).pipe(socket);
      });
      const client = connect(t, await startProxy(t, target, { pool, engine }));
      client.write(pattern(0, 300_000));
      assert.ok(isPattern(await readExactly(client, 300_000), 0));
      client.end();
      await once(client.resume(), "end");
    },
  );

  test(`${engine}: nothing is left open when all is done`, options, async (t) => {
    const pool = poolFor(t);
    const legs: Relay[] = [];
    const before = openDescriptors();
    if (before === null) return t.skip("this system does not list descriptors");
    const target = net.createServer((socket) => void socket.pipe(socket)).listen(0, "127.0.0.1");
    await once(target, "listening");
    const proxy = net.createServer({ allowHalfOpen: true }, (client) => {
      const server = net.connect({
        port: (target.address() as net.AddressInfo).port,
        host: "127.0.0.1",
        allowHalfOpen: true,
      });
      legs.push(relay(client, server, { pool, engine }), relay(server, client, { pool, engine }));
    });
    proxy.listen(0, "127.0.0.1");
    await once(proxy, "listening");
    for (let i = 0; i < 20; i++) {
      const client = net.connect((proxy.address() as net.AddressInfo).port, "127.0.0.1");
      client.end(pattern(0, 100_000));
      assert.equal(await receivePattern(client), 100_000);
    }
    await Promise.all(legs.map((leg) => leg.done));
    proxy.close();
    target.close();
    await Promise.all([once(proxy, "close"), once(target, "close")]);
    const stillOpen = (): string[] => openDescriptors()?.filter((one) => !before.includes(one)) ?? [];
    await until(
      () => stillOpen().length === 0,
      () => `still open: ${stillOpen().join(", ")}`,
    );
  });
}

/** The next `length` bytes. */
function readExactly(socket: net.Socket, length: number): Promise<Buffer> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const onData = (chunk: Buffer): void => {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes < length) return;
      socket.off("data", onData);
      resolve(Buffer.concat(chunks));
    };
    socket.on("data", onData);
  });
}
