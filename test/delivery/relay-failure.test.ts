/**
 * Shows: whatever goes wrong with a relay (a reset at either end, a socket that is destroyed, an aborted signal) surfaces once, the far peer is told
 * that it was no good end, both sockets close, every page is back, and no descriptor stays open. With both engines.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { relay } from "../../src/delivery/index.ts";
import type { Relay } from "../../src/delivery/index.ts";
import { JumboPool } from "../../src/index.ts";
import type { JumboErrorCode } from "../../src/index.ts";
import { poolFor, until } from "../support/at-rest.ts";
import { pattern } from "../support/pattern.ts";
import { Random } from "../support/random.ts";
import { listen, socketPair } from "../support/sockets.ts";
import { withCode } from "../pool/with-code.ts";
import { ENGINES, openDescriptors, skipFor, startProxy } from "./proxy.ts";
import type { Proxied } from "./proxy.ts";

type Ends = Record<"from" | "sender" | "to" | "taker", net.Socket>;

/** `sender ──▶ from ══relay══▶ to ──▶ taker`, with errors ignored where the test looks at `done`. */
async function ends(t: TestContext): Promise<Ends> {
  const { near: from, far: sender } = await socketPair(t, () => {}, { allowHalfOpen: true });
  const { near: to, far: taker } = await socketPair(t, () => {}, { allowHalfOpen: true });
  sender.on("error", () => {});
  taker.on("error", () => {});
  return { from, sender, to, taker };
}

/** How `socket` closes: `ECONNRESET`, or `end`. */
function ending(socket: net.Socket): Promise<string> {
  return new Promise((resolve) => {
    let how = "close";
    socket.on("error", (error: NodeJS.ErrnoException) => (how = error.code ?? error.message));
    socket.on("end", () => (how = "end"));
    socket.on("close", () => resolve(how));
    socket.resume();
  });
}

for (const engine of ENGINES) {
  const options = { skip: skipFor(engine) };

  test(
    `${engine}: a sender's reset rejects done and resets the far peer, which must not take it for an end`,
    options,
    async (t) => {
      const pool = poolFor(t);
      const { from, sender, to, taker } = await ends(t);
      const leg = relay(from, to, { pool, engine });
      const how = ending(taker);
      sender.write(pattern(0, 1_000));
      await until(() => taker.bytesRead === 1_000, "all have come");
      sender.resetAndDestroy();
      await assert.rejects(leg.done, { code: "ECONNRESET" });
      assert.equal(await how, "ECONNRESET");
      await until(() => from.closed && to.closed, "both are closed");
    },
  );

  test(
    `${engine}: a reset that arrives together with the last bytes is no end`,
    { skip: skipFor("splice") },
    async (t) => {
      const pool = poolFor(t);
      const { from, sender, to, taker } = await ends(t);
      const leg = relay(from, to, { pool, engine });
      taker.resume();
      sender.write(pattern(0, 1_000));
      sender.resetAndDestroy(); // in the same turn, before anybody reads
      await assert.rejects(leg.done, { code: "ECONNRESET" });
    },
  );

  test(`${engine}: a taker's reset rejects done, in mid-transfer and when nothing is under way`, options, async (t) => {
    const pool = poolFor(t);
    for (const isIdle of [false, true]) {
      const { from, sender, to, taker } = await ends(t);
      const leg = relay(from, to, { pool, engine });
      taker.resume();
      sender.write(pattern(0, isIdle ? 1_000 : 30_000_000));
      await once(taker, "data");
      if (isIdle) await until(() => leg.stats().bytesWritten === 1_000, "idle");
      taker.resetAndDestroy();
      if (isIdle && engine === "pages") sender.write("more"); // Node hears of it when it writes (nobody reads from the target)
      await assert.rejects(leg.done, (error: NodeJS.ErrnoException) => /^(?:ECONNRESET|EPIPE)$/.test(error.code ?? ""));
      await until(() => from.closed && to.closed, "both are closed");
    }
  });

  test(
    `${engine}: whoever resets, and whichever direction was begun first, the other peer is reset`,
    options,
    async (t) => {
      const pool = poolFor(t);
      for (const [bad, isUpFirst] of [
        [0, true],
        [0, false],
        [1, true],
        [1, false],
      ] as const) {
        const { from: client, sender, to: server, taker } = await ends(t);
        const peers = [sender, taker] as const;
        const up = (): Relay => relay(client, server, { pool, engine });
        const down = (): Relay => relay(server, client, { pool, engine });
        const legs = isUpFirst ? [up(), down()] : [down(), up()];
        const settled = Promise.allSettled(legs.map(({ done }) => done));
        const how = ending(peers[1 - bad] ?? taker);
        peers[bad]?.write(pattern(0, 1_000));
        await until(() => peers[1 - bad]?.bytesRead === 1_000, "all have come");
        peers[bad]?.resetAndDestroy();
        assert.equal(await how, "ECONNRESET");
        assert.ok((await settled).every(({ status }) => status === "rejected"));
      }
    },
  );

  test(
    `${engine}: a client that is reset while its target connects was no end to the target`,
    { skip: skipFor("splice") },
    async (t) => {
      const pool = poolFor(t);
      const target = await listen(t, (socket) => void socket.on("error", () => {}), { allowHalfOpen: true });
      const { near: client, far: sender } = await socketPair(t, () => {}, { allowHalfOpen: true });
      sender.on("error", () => {});
      sender.write(pattern(0, 100_000)); // more than Node reads of its own accord
      await until(() => client.readableLength >= client.readableHighWaterMark, "Node has read what it would");
      const server = net.connect({ port: target, host: "127.0.0.1", allowHalfOpen: true });
      const legs = [relay(client, server, { pool, engine }), relay(server, client, { pool, engine })];
      sender.resetAndDestroy();
      for (const outcome of await Promise.allSettled(legs.map(({ done }) => done)))
        assert.equal(outcome.status, "rejected");
      assert.equal(server.writableEnded, false);
      await until(() => client.closed && server.closed, "both are closed");
    },
  );

  test(`${engine}: an abort while the target is being told the end leaves nothing open`, options, async (t) => {
    const pool = poolFor(t);
    const { from, sender, to, taker } = await ends(t);
    const controller = new AbortController();
    const leg = relay(from, to, { pool, engine, signal: controller.signal });
    taker.resume();
    const asked = new Promise<void>((resolve) => {
      const shutdown = to._final.bind(to);
      to._final = (callback) => {
        shutdown(callback); // Node asks for shutdown(2), and has the answer a turn later
        controller.abort();
        resolve();
      };
    });
    sender.end(pattern(0, 1_000));
    await Promise.all([asked, assert.rejects(leg.done, { name: "AbortError" })]);
    await until(() => from.closed && to.closed, "both are closed");
  });

  test(
    `${engine}: a socket that is destroyed is a premature close; with an error of its own, that error`,
    options,
    async (t) => {
      const pool = poolFor(t);
      for (const which of ["from", "to"] as const) {
        for (const mistake of [undefined, new Error("the user's own")]) {
          const all = await ends(t);
          const leg = relay(all.from, all.to, { pool, engine });
          all.taker.pause();
          all.sender.write(pattern(0, 20_000_000));
          await until(() => leg.stats().pauses > 0, "stalled, with pages pinned");
          all[which].destroy(mistake);
          const isPremature = ({ code }: NodeJS.ErrnoException): boolean =>
            code === "ERR_STREAM_PREMATURE_CLOSE" || code === "ECANCELED"; // Node 22 tells of the write that it gave up
          await assert.rejects(leg.done, mistake ?? isPremature);
          await until(() => all.from.closed && all.to.closed, "both are closed");
          await until(() => leg.stats().pagesPinned === 0, "no page is pinned");
        }
      }
    },
  );

  test(`${engine}: an aborted signal ends it with its reason, also one that was aborted before`, options, async (t) => {
    const pool = poolFor(t);
    for (const isBefore of [false, true]) {
      const { from, sender, to } = await ends(t);
      const controller = new AbortController();
      const reason = new Error("enough");
      if (isBefore) controller.abort(reason);
      const leg = relay(from, to, { pool, engine, signal: controller.signal });
      sender.write(pattern(0, 10_000_000));
      if (!isBefore) {
        await until(() => leg.stats().pauses > 0, "under way");
        controller.abort(reason);
      }
      await assert.rejects(leg.done, reason);
      await until(() => from.closed && to.closed, "both are closed");
    }
  });

  test(`${engine}: a pool that is closed by force in mid-transfer harms nobody but the relay`, options, async (t) => {
    const pool = new JumboPool();
    const { from, sender, to, taker } = await ends(t);
    const leg = relay(from, to, { pool, engine });
    taker.pause();
    sender.write(pattern(0, 20_000_000));
    await until(() => leg.stats().pauses > 0, "stalled, with pages pinned");
    pool.close({ force: true });
    to.destroy();
    await assert.rejects(leg.done);
    await until(() => from.closed && to.closed && leg.stats().pagesPinned === 0, "both are closed");
  });

  test(`${engine}: a target that somebody ends too early is an error, not a lost rest`, options, async (t) => {
    const pool = poolFor(t);
    const { from, sender, to, taker } = await ends(t);
    taker.resume();
    const leg = relay(from, to, { pool, engine });
    sender.write(pattern(0, 100_000));
    await until(() => leg.stats().bytesWritten === 100_000, "under way");
    to.end();
    await assert.rejects(leg.done, { code: "ERR_STREAM_PREMATURE_CLOSE" });
  });

  test(`${engine}: a connection that is refused rejects both directions, and closes the client`, options, async (t) => {
    const pool = poolFor(t);
    const unused = await freePort();
    const proxied: Proxied[] = [];
    const port = await startProxy(t, unused, { pool, engine, onProxied: (one) => proxied.push(one) });
    const client = net.connect(port, "127.0.0.1");
    client.write("hello");
    await ending(client);
    const outcomes = (await proxied[0]?.outcomes) as NodeJS.ErrnoException[];
    assert.equal(outcomes.length, 2);
    assert.ok(outcomes.some((error) => error.code === "ECONNREFUSED"));
    assert.ok(outcomes.every((error) => error instanceof Error));
  });

  test(
    `${engine}: 1,000 connections that are reset in mid-transfer leave no page out and no descriptor open`,
    options,
    async (t) => {
      const pool = poolFor(t, { audit: false });
      const before = openDescriptors();
      const random = new Random(1_000);
      const target = await listen(t, (socket) => {
        socket.on("error", () => {}).pipe(socket);
        if (random.chance(0.5)) resetAfter(socket, random.int(0, 150_000));
      });
      const outcomes: (readonly unknown[])[] = [];
      const onProxied = (one: Proxied): void => void one.outcomes.then((both) => outcomes.push(both));
      const port = await startProxy(t, target, { pool, engine, onProxied });
      for (let batch = 0; batch < 50; batch++) {
        await Promise.all(
          Array.from({ length: 20 }, () => {
            const client = net.connect(port, "127.0.0.1");
            client.write(pattern(0, 200_000));
            resetAfter(client, random.int(0, 150_000)); // unless the target was first
            return ending(client);
          }),
        );
      }
      await until(
        () => outcomes.length === 1_000,
        () => `all are over, but for ${1_000 - outcomes.length}`,
        30_000,
      );
      assert.ok(
        outcomes.every(([up, down]) => up instanceof Error || down instanceof Error),
        "each surfaced",
      );
      const stillOpen = (): string[] => openDescriptors()?.filter((one) => before?.includes(one) === false) ?? [];
      // Two listening sockets are the test's own.
      await until(
        () => stillOpen().length <= 2,
        () => `still open: ${stillOpen().join(", ")}`,
      );
    },
  );
}

/** Resets `socket` as soon as more than so many bytes have come. */
function resetAfter(socket: net.Socket, bytesLeft: number): void {
  socket.on("data", (chunk: Buffer) => {
    if ((bytesLeft -= chunk.length) < 0) socket.resetAndDestroy();
  });
}

/** A port on which nobody listens. */
async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo; // it listens on TCP
  server.close();
  await once(server, "close");
  return port;
}

test("what makes no sense is refused, with nothing changed", async (t) => {
  const pool = poolFor(t);
  const { from, to } = await ends(t);
  const refused = (code: JumboErrorCode, attempt: () => unknown): void => assert.throws(attempt, withCode(code));
  refused("ERR_JUMBO_OPTION_INVALID", () => relay(from, to, {} as never));
  refused("ERR_JUMBO_OPTION_INVALID", () => relay(from, to, { pool, engine: "sendfile" as never }));
  refused("ERR_JUMBO_OPTION_INVALID", () => relay(from, to, { pool, windowPages: 0 }));
  refused("ERR_JUMBO_OPTION_INVALID", () => relay(from, to, { pool, signal: {} as never }));
  refused("ERR_JUMBO_SOCKET_INVALID", () => relay({} as never, to, { pool }));
  refused("ERR_JUMBO_SOCKET_INVALID", () => relay(from, {} as never, { pool }));
  const closed = new JumboPool();
  closed.close();
  refused("ERR_JUMBO_POOL_CLOSED", () => relay(from, to, { pool: closed }));
  void relay(from, to, { pool }).done.catch(() => {});
  refused("ERR_JUMBO_RECEIVER_ACTIVE", () => relay(from, to, { pool }));
  to.destroy();
  await once(to, "close");
  const { from: another } = await ends(t);
  refused("ERR_JUMBO_SOCKET_INVALID", () => relay(another, to, { pool }));
});
