/**
 * Shows what happens when one read of the kernel's fills several pages: each is an mbuf of its own, in order and intact for as long as it
 * is held, whatever the consumer does in the middle of them.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { JumboPool } from "../../src/index.ts";
import { receive } from "../../src/tcp/index.ts";
import type { Mbuf, Receiver } from "../../src/tcp/index.ts";
import { poolFor, until } from "../support/at-rest.ts";
import { isPattern, pattern } from "../support/pattern.ts";
import { socketPair } from "../support/sockets.ts";

const BYTES = 8_000_000;

type Taking = { readonly near: Socket; readonly far: Socket; readonly receiver: Receiver; readonly pool: JumboPool };

/** A receiver of 8 MB, sent at once: the kernel has much to give at each read. */
async function taking(
  t: TestContext,
  consume: (mbuf: Mbuf, near: Socket) => unknown,
  readPagesMax?: number,
): Promise<Taking> {
  const pool = poolFor(t, { pagesMax: 4096, audit: false });
  let receiver: Receiver | undefined;
  const { near, far } = await socketPair(t, (socket) => {
    receiver = receive(socket, { pool, readPagesMax }, (mbuf) => consume(mbuf, socket));
  });
  assert(receiver !== undefined);
  far.end(pattern(0, BYTES));
  return { near, far, receiver, pool };
}

test("a read brings many pages, an mbuf for each; at most as many as are allowed", async (t) => {
  let offset = 0;
  const take = (mbuf: Mbuf): void => {
    assert(mbuf.length <= 4096 && isPattern(mbuf.bytes, offset));
    offset += mbuf.length;
  };
  const many = await taking(t, take);
  await once(many.near, "end");
  assert.equal(offset, BYTES);
  assert(many.receiver.stats().reads < BYTES / 4096 / 4, `${many.receiver.stats().reads} reads`);
  offset = 0;
  const one = await taking(t, take, 1);
  await once(one.near, "end");
  assert.equal(offset, BYTES);
  assert(one.receiver.stats().reads >= BYTES / 4096, "a page a read");
  assert(one.pool.stats().inUsePeak <= 2);
});

test("those that are held stay as they are, while the others' pages are filled again", async (t) => {
  const held: { readonly mbuf: Mbuf; readonly offset: number }[] = [];
  let offset = 0;
  const { near } = await taking(t, (mbuf) => {
    if (offset % 7 < 2) held.push({ mbuf: mbuf.hold(), offset });
    if (held.length > 900) {
      const first = held.shift();
      assert(first !== undefined && isPattern(first.mbuf.bytes, first.offset));
      first.mbuf.release();
    }
    offset += mbuf.length;
  });
  await once(near, "end");
  assert.equal(offset, BYTES);
  assert(held.length > 100);
  for (const { mbuf, offset: at } of held) {
    assert(isPattern(mbuf.bytes, at), `bytes at ${at}`);
    mbuf.release();
  }
});

test("a pause in the middle of a read holds the rest of it back, in order, and not for long it keeps pages", async (t) => {
  let offset = 0;
  let isPaused = false;
  const { near, pool } = await taking(t, (mbuf, socket) => {
    assert.equal(isPaused, false, "nothing comes while it is paused");
    assert(isPattern(mbuf.bytes, offset));
    offset += mbuf.length;
    if (offset % 5 !== 0) return;
    socket.pause();
    isPaused = true;
    setImmediate(() => {
      isPaused = false;
      socket.resume();
    });
  });
  await once(near, "end");
  assert.equal(offset, BYTES);
  await until(() => pool.stats().inUse === 0, "no page is pinned");
});

test("a socket that is destroyed in the middle of a read: nothing more comes, no page stays out", async (t) => {
  let calls = 0;
  const { near, pool, receiver } = await taking(t, (_, socket) => {
    if (++calls === 300) socket.destroy();
  });
  await once(near, "close");
  assert.equal(calls, 300);
  const { bytesReceived, bytesDelivered, bytesDropped } = receiver.stats();
  assert.equal(bytesReceived, bytesDelivered + bytesDropped);
  assert.equal(pool.stats().inUse, 0);
});

test("a consumer that throws in the middle of a read destroys the socket with its error", async (t) => {
  let calls = 0;
  const { near, pool } = await taking(t, () => {
    if (++calls === 300) throw new Error("enough");
  });
  const closed = new Promise((resolve) => near.once("close", resolve)); // once() would reject with the error
  const [error] = (await once(near, "error")) as [Error];
  assert.equal(error.message, "enough");
  await closed;
  assert.equal(calls, 300);
  assert.equal(pool.stats().inUse, 0);
});

test("a slow async consumer gets everything in order, and a stalled one pins no more than a read and what is armed", async (t) => {
  let offset = 0;
  let isStalled = false;
  let goOn: (value: void) => void = () => {};
  const { near, pool } = await taking(t, async (mbuf) => {
    assert(isPattern(mbuf.bytes, offset));
    offset += mbuf.length;
    if (offset > BYTES / 2 && !isStalled) {
      isStalled = true;
      await new Promise<void>((resolve) => (goOn = resolve));
    } else if (offset % 11 === 0) await delay(1);
  });
  await until(() => isStalled, "it stalls");
  assert(pool.stats().inUse <= 2 * 64 + 1, `${pool.stats().inUse} pages`);
  await delay(800); // longer than two sweeps of what is armed and quiet
  assert(pool.stats().inUse <= 64 + 1, `${pool.stats().inUse} pages`);
  goOn();
  await once(near, "end");
  assert.equal(offset, BYTES);
});

test("what makes no sense is refused", async (t) => {
  const pool = poolFor(t, { pagesMax: 8 });
  const { near } = await socketPair(t, () => {});
  for (const readPagesMax of [0, -1, 1.5, 9, Number.NaN])
    assert.throws(() => receive(near, { pool, readPagesMax }), { code: "ERR_JUMBO_OPTION_INVALID" });
});
