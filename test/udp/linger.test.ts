/** Shows: a reader waits for more only under load, only when the last read brought little, only if its turn was the last one of the thread, and only if told to. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Linger } from "../../src/udp/linger.ts";

/** More in a turn than a machine can receive: load, however long the turn took. */
const MANY = 1e9;

function make(t: TestContext, microseconds: number): { readonly linger: Linger; readonly slept: number[] } {
  const slept: number[] = [];
  const linger = new Linger(microseconds, (each) => void slept.push(each));
  t.after(() => linger.close());
  return { linger, slept };
}

test("under load it sleeps, for as long as told", (t) => {
  const { linger, slept } = make(t, 70);
  linger.endTurn(MANY);
  assert.ok(linger.afterDry(10));
  assert.ok(linger.afterDry(65_536));
  assert.deepEqual(slept, [70, 70]);
});

test("not before the first turn, not when little came, not when it is told 0", async (t) => {
  const { linger, slept } = make(t, 70);
  assert.ok(!linger.afterDry(10), "nobody knows yet");
  linger.endTurn(MANY);
  await delay(2);
  linger.endTurn(50);
  assert.ok(!linger.afterDry(10), "50 in more than a millisecond");
  const never = make(t, 0);
  never.linger.endTurn(MANY);
  assert.ok(!never.linger.afterDry(10));
  assert.deepEqual([slept, never.slept], [[], []]);
});

test("not after a read that brought much: the kernel's buffer would run over", (t) => {
  const { linger, slept } = make(t, 70);
  linger.endTurn(MANY);
  assert.ok(!linger.afterDry(65_537));
  assert.deepEqual(slept, []);
});

test("of two that take turns neither sleeps; the only one that is left does", (t) => {
  const [one, other] = [make(t, 70), make(t, 70)];
  for (let turn = 0; turn < 5; turn++)
    for (const { linger } of [one, other]) {
      assert.ok(!linger.afterDry(10));
      linger.endTurn(MANY);
    }
  assert.ok(!one.linger.afterDry(10), "the other one was the last one");
  other.linger.close();
  assert.ok(!one.linger.afterDry(10));
  one.linger.endTurn(MANY);
  assert.ok(one.linger.afterDry(10));
  one.linger.close();
  assert.ok(!one.linger.afterDry(10), "it will have no turn any more");
});
