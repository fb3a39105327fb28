/**
 * Shows: the consumer may throw, reject, await, return false, pause, destroy the socket, or leave the loop; nothing leaks, the next
 * delivery waits, and errors surface on the socket as a Node user expects. With both engines.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { Readable } from "node:stream";
import { test } from "node:test";
import { setImmediate as turn, setTimeout as delay } from "node:timers/promises";
import { JumboPool } from "../../src/index.ts";
import { receive } from "../../src/tcp/index.ts";
import type { Mbuf, Receiver } from "../../src/tcp/index.ts";
import { poolFor, until } from "../support/at-rest.ts";
import { isPattern, pattern } from "../support/pattern.ts";
import { ENGINES, connect, listen, socketPair, write } from "../support/sockets.ts";

for (const engine of ENGINES) {
  test(`${engine}: a consumer that throws destroys the socket with its error`, async (t) => {
    const pool = poolFor(t);
    const mistake = new Error("the consumer's own");
    let calls = 0;
    const { near, far } = await socketPair(t, (socket) => {
      receive(socket, { pool, engine }, () => {
        calls++;
        throw mistake;
      });
    });
    far.on("error", () => {}); // it may see a reset
    far.write(pattern(0, 500_000));
    const [error] = (await once(near, "error")) as [Error];
    assert.equal(error, mistake);
    await until(() => near.closed, "closed");
    assert.equal(calls, 1);
  });

  test(`${engine}: a consumer whose promise rejects destroys the socket with its error; what throws no Error is wrapped`, async (t) => {
    const pool = poolFor(t);
    const { near, far } = await socketPair(t, (socket) => {
      receive(socket, { pool, engine }, async () => {
        await turn();
        throw "a string"; // oxlint-disable-line only-throw-error -- some consumers do
      });
    });
    far.on("error", () => {});
    far.write(pattern(0, 500_000));
    const [error] = (await once(near, "error")) as [Error];
    assert.equal(error.cause, "a string");
  });

  test(`${engine}: the next delivery waits for the promise, the mbuf stays good until then, and the sender is held back`, async (t) => {
    const pool = poolFor(t, { pagesMax: 64 });
    let offset = 0;
    let atWork = 0;
    const { near, far } = await socketPair(t, (socket) => {
      receive(socket, { pool, engine }, async (m) => {
        assert.equal(++atWork, 1);
        const start = offset;
        offset += m.length;
        await turn();
        assert.ok(isPattern(m.bytes, start));
        atWork--;
      });
    });
    far.end(pattern(0, 2_000_000));
    await once(near, "end");
    await until(() => offset === 2_000_000 && atWork === 0, "all delivered");
    assert.ok(pool.stats().inUsePeak <= 40, `${pool.stats().inUsePeak} pages at most`);
  });

  test(`${engine}: 'end' does not come before the last mbuf of a slow consumer`, async (t) => {
    const pool = poolFor(t);
    let receiver: Receiver | null = null;
    let taken = 0;
    const { near, far } = await socketPair(t, (socket) => {
      receiver = receive(socket, { pool, engine }, async (m) => {
        taken += m.length;
        await delay(1);
      });
    });
    far.end(pattern(0, 100_000));
    await once(near, "end");
    assert.equal(taken, 100_000);
    assert.equal((receiver as Receiver | null)?.stats().bytesQueued, 0);
  });

  test(`${engine}: return false pauses until resume(); so do pause() and resume() themselves`, async (t) => {
    const pool = poolFor(t);
    let bytes = 0;
    let answer: false | undefined = false;
    const { near, far } = await socketPair(t, (socket) => {
      receive(socket, { pool, engine }, (m) => {
        bytes += m.length;
        return answer;
      });
    });
    await write(far, pattern(0, 10));
    await until(() => bytes === 10, "the first");
    assert.ok(near.isPaused());
    await write(far, pattern(10, 10));
    await delay(30);
    assert.equal(bytes, 10, "nothing while paused");
    answer = undefined;
    near.resume();
    await until(() => bytes === 20, "after resume");
    near.pause();
    await write(far, pattern(20, 10));
    await delay(30);
    assert.equal(bytes, 20, "nothing while paused");
    near.resume();
    await until(() => bytes === 30, "after resume again");
  });

  test(`${engine}: we never resume what the user has paused, not even after a wait for pages`, async (t) => {
    const pool = poolFor(t, { pagesMax: 8 });
    const held: Mbuf[] = [];
    const { near, far } = await socketPair(
      t,
      (socket) => void receive(socket, { pool, engine: "onread" }, (m) => void held.push(m.hold())),
    );
    far.on("error", () => {});
    far.write(pattern(0, 1_000_000));
    await until(() => pool.isUnderPressure, "out of pages");
    near.pause();
    for (const m of held.splice(0)) m.release();
    await delay(30);
    assert.equal(held.length, 0);
    near.destroy();
  });

  test(`${engine}: the socket may be destroyed inside the callback, with mbufs held`, async (t) => {
    const pool = poolFor(t);
    const held: Mbuf[] = [];
    const { near, far } = await socketPair(t, (socket) => {
      receive(socket, { pool, engine }, (m) => {
        held.push(m.hold());
        socket.destroy();
      });
    });
    far.on("error", () => {});
    far.write(pattern(0, 300_000));
    await until(() => near.closed, "closed");
    assert.equal(held.length, 1);
    for (const m of held) {
      assert.ok(isPattern(m.bytes, 0));
      m.release();
    }
  });

  test(`${engine}: leaving a for await early destroys the socket; throwing in it surfaces there`, async (t) => {
    const pool = poolFor(t);
    const port = await listen(t, (socket) => {
      socket.on("error", () => {});
      socket.write(pattern(0, 1_000_000));
    });
    const first = connect(t, port);
    for await (const m of receive(first, { pool, engine })) {
      assert.ok(m.length > 0);
      break;
    }
    assert.ok(first.destroyed);

    const second = connect(t, port);
    await assert.rejects(async () => {
      for await (const m of receive(second, { pool, engine })) throw new Error(`after ${m.length > 0}`);
    }, /after true/);
    assert.ok(second.destroyed);
  });

  test(`${engine}: an iteration sees the socket's error, and a destroy from elsewhere, and is not mistaken for an end`, async (t) => {
    const pool = poolFor(t);
    const port = await listen(t, (socket) => void socket.write(pattern(0, 10)));
    for (const mistake of [new Error("from elsewhere"), undefined]) {
      const socket = connect(t, port);
      const iterate = async (): Promise<void> => {
        for await (const m of receive(socket, { pool, engine })) {
          assert.equal(m.length, 10);
          socket.destroy(mistake);
        }
      };
      await assert.rejects(iterate, mistake ?? { code: "ERR_STREAM_PREMATURE_CLOSE" });
    }
  });

  test(`${engine}: a stalled consumer pins at most what one read brought`, async (t) => {
    const pool = poolFor(t, { pagesMax: 256 });
    let release = (): void => {};
    const stalled = new Promise<void>((resolve) => (release = resolve));
    let receiver: Receiver | null = null;
    const { near, far } = await socketPair(t, (socket) => {
      receiver = receive(socket, { pool, engine }, () => stalled);
    });
    far.on("error", () => {});
    far.write(pattern(0, 4_000_000));
    await until(() => pool.stats().inUse > 0, "the first mbuf");
    await delay(50);
    assert.ok(pool.stats().inUse <= 33, `${pool.stats().inUse} pages pinned`);
    near.destroy();
    await once(near, "close");
    release();
    await turn();
    const { bytesReceived, bytesDelivered, bytesDropped, bytesQueued } = (receiver as Receiver | null)?.stats() ?? {};
    assert.equal(bytesReceived, (bytesDelivered ?? 0) + (bytesDropped ?? 0));
    assert.equal(bytesQueued, 0);
  });
}

test("data: a stream that is destroyed behind its end, with bytes put back, does not leave the iteration waiting", async (t) => {
  const pool = poolFor(t);
  const stream = new Readable({ read: () => {} });
  stream.push(pattern(0, 20_000));
  stream.push(null);
  let bytes = 0;
  const iterate = async (): Promise<void> => {
    for await (const m of receive(stream, { pool })) {
      bytes += m.length;
      if (bytes > 8000) process.nextTick(() => stream.destroy());
    }
  };
  await assert.rejects(iterate, { code: "ERR_STREAM_PREMATURE_CLOSE" });
});

for (const engine of ENGINES) {
  test(`${engine}: a sender of small messages is held back while the consumer stalls: nothing grows, not even in the stream`, async (t) => {
    const pool = poolFor(t, { pagesMax: 64 });
    let release = (): void => {};
    const stalled = new Promise<void>((resolve) => (release = resolve));
    let bytes = 0;
    const { near, far } = await socketPair(t, (socket) => {
      receive(socket, { pool, engine }, (m) => {
        bytes += m.length;
        return stalled;
      });
    });
    far.setNoDelay(true);
    far.resume();
    let sent = 0;
    // One small message a turn: each is a read of its own. Until the system takes no more, or for long enough.
    for (; sent < 20_000_000 && far.writableLength < 1_000_000; sent += 1000) {
      far.write(pattern(sent, 1000));
      await turn();
    }
    assert.ok(near.readableLength <= 131_072, `${near.readableLength} bytes wait in the stream`);
    release();
    await until(() => bytes === sent, "all of it arrives in the end");
  });
}

test("a thenable that settles twice lets the next mbuf go once", async (t) => {
  const pool = poolFor(t);
  let bytes = 0;
  const twice = { then: (settle: () => void): void => (settle(), setImmediate(settle), undefined) }; // oxlint-disable-line no-thenable -- the point
  const { near, far } = await socketPair(t, (socket) => {
    receive(socket, { pool }, (m) => {
      bytes += m.length;
      return twice;
    });
  });
  far.end(pattern(0, 300_000));
  await once(near, "end");
  assert.equal(bytes, 300_000);
});

test("misuse: each mistake is refused by its code, and the socket stays usable", async (t) => {
  const pool = poolFor(t);
  const port = await listen(t, (socket) => void socket.end("x"));
  const socket = connect(t, port);
  const wrong = (value: unknown): never => value as never; // what an untyped caller may pass
  assert.throws(() => receive(wrong({}), { pool }), { code: "ERR_JUMBO_SOCKET_INVALID" });
  assert.throws(() => receive(socket, wrong({ pool: {} })), { code: "ERR_JUMBO_OPTION_INVALID" });
  assert.throws(() => receive(socket, wrong(undefined)), { code: "ERR_JUMBO_OPTION_INVALID" });
  assert.throws(() => receive(socket, { pool, engine: wrong("fast") }), { code: "ERR_JUMBO_OPTION_INVALID" });
  assert.throws(() => receive(socket, { pool }, wrong("not a function")), { code: "ERR_JUMBO_OPTION_INVALID" });
  const closed = new JumboPool();
  closed.close();
  assert.throws(() => receive(socket, { pool: closed }), { code: "ERR_JUMBO_POOL_CLOSED" });

  const receiver = receive(socket, { pool });
  assert.throws(() => receive(socket, { pool }), { code: "ERR_JUMBO_RECEIVER_ACTIVE" });
  const iterator = receiver[Symbol.asyncIterator]();
  assert.throws(() => receiver[Symbol.asyncIterator](), { code: "ERR_JUMBO_RECEIVER_MODE" });
  const first = iterator.next();
  await assert.rejects(iterator.next(), { code: "ERR_JUMBO_RECEIVER_MODE" });
  assert.equal((await first).value?.bytes.toString(), "x");
  assert.equal((await iterator.next()).done, true);
  assert.throws(() => receive(socket, { pool }), { code: /ERR_JUMBO_(SOCKET_INVALID|RECEIVER_ACTIVE)/ });

  const called = receive(connect(t, port), { pool }, () => {});
  assert.throws(() => called[Symbol.asyncIterator](), { code: "ERR_JUMBO_RECEIVER_MODE" });
});

for (const engine of ENGINES) {
  test(`${engine}: a pool closed by force under a receiver destroys the socket with a typed error`, async (t) => {
    const pool = new JumboPool({ idleTrimMs: 0 });
    const held: Mbuf[] = [];
    const { near, far } = await socketPair(
      t,
      (socket) => void receive(socket, { pool, engine }, (m) => void held.push(m.hold())),
    );
    far.on("error", () => {});
    await write(far, pattern(0, 10_000));
    await until(() => held.length > 0, "something held");
    pool.close({ force: true });
    assert.throws(() => held[0]?.bytes, { code: "ERR_JUMBO_PAGE_RELEASED" });
    far.write(pattern(0, 10_000));
    const [error] = (await once(near, "error")) as [NodeJS.ErrnoException];
    assert.match(String(error.code), /ERR_JUMBO_(POOL_CLOSED|PAGE_RELEASED)/);
    pool.verify();
  });
}
