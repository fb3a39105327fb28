/**
 * Shows: whatever is sent, and whatever the consumers do with it (ignore, hold, release, wait, throw, iterate), in pools that are too small, every datagram is seen
 * once, in order, with its bytes; what is held keeps them; nothing is lost but what is counted as lost; and in the end every page is back.
 * Random sequences; a failure prints the seed that repeats it.
 */
import assert from "node:assert/strict";
import type { Socket } from "node:dgram";
import type { TestContext } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { JumboPool } from "../../src/index.ts";
import type { UdpEngine } from "../../src/udp/index.ts";
import { poolFor, until } from "../support/at-rest.ts";
import { Random } from "../support/random.ts";
import { noCalls, numbered, queuedBytes, portOf, receiverOn, segment, senderTo, withEngines } from "../support/udp.ts";
import { ModelReceiver } from "./model-receiver.ts";

const STEPS = 150;
/** What is under way to one receiver at most: the kernel's buffer has room for it, so that it never drops. */
const UNDER_WAY_MAX = 60;
const LENGTH_MAX = 5000;

type Line = { readonly model: ModelReceiver; readonly sender: Socket };

class Run {
  readonly #t: TestContext;
  readonly #engine: UdpEngine;
  readonly #random: Random;
  readonly #pool: JumboPool;
  readonly #pageSizeBytes: number;
  readonly #lines: Line[] = [];
  #next = 0;

  constructor(t: TestContext, engine: UdpEngine, random: Random) {
    this.#t = t;
    this.#engine = engine;
    this.#random = random;
    this.#pageSizeBytes = random.pick([4096, 16_384, 65_536]);
    this.#pool = poolFor(t, { pageSizeBytes: this.#pageSizeBytes, pagesMax: random.int(2, 24) });
  }

  async all(): Promise<void> {
    for (let count = this.#random.int(1, 3); count > 0; count--) await this.#addLine();
    for (let step = 0; step < STEPS; step++) await this.#step(this.#random.pick(this.#lines as [Line, ...Line[]])); // there is one
    await this.#finish();
  }

  async #addLine(): Promise<void> {
    const model = new ModelReceiver(this.#random.fork(), this.#pageSizeBytes);
    const isIterated = this.#random.chance(0.3);
    const options = { pool: this.#pool, engine: this.#engine, coalesceMicroseconds: this.#random.pick([0, 50]) };
    const receiver = await receiverOn(this.#t, options, isIterated ? undefined : model.take);
    model.receiver = receiver;
    receiver.on("error", (error) => {
      if (error.message !== "at random") throw error;
    });
    if (isIterated) void model.iterate();
    this.#lines.push({ model, sender: await senderTo(this.#t, receiver) });
  }

  async #step({ model, sender }: Line): Promise<void> {
    const random = this.#random;
    const what = random.int(0, 9);
    if (what <= 3) this.#send(model, sender);
    else if (what <= 5) model.settle();
    else if (what === 6) model.release(random.int(1, 20));
    else if (what === 7) model.verify();
    else for (let turns = random.int(1, 4); turns > 0; turns--) await turn();
  }

  #send(model: ModelReceiver, sender: Socket): void {
    const random = this.#random;
    if (noCalls === false && random.chance(0.3)) return this.#sendCut(model, sender);
    for (let count = random.int(1, 12); count > 0 && model.outstanding.length < UNDER_WAY_MAX; count--) {
      const length = random.chance(0.05) ? 0 : random.int(4, random.chance(0.2) ? LENGTH_MAX : 300);
      model.outstanding.push({ number: length === 0 ? -1 : this.#next, length });
      sender.send(length === 0 ? Buffer.alloc(0) : numbered(this.#next, length));
      this.#next++;
    }
  }

  /** One message that is cut into datagrams on its way, or when it is received. */
  #sendCut(model: ModelReceiver, sender: Socket): void {
    const size = this.#random.int(10, 700);
    const lengths = Array.from({ length: this.#random.int(2, 10) }, () => size);
    if (model.outstanding.length + lengths.length > UNDER_WAY_MAX) return;
    if (this.#random.chance(0.5)) lengths.push(this.#random.int(4, size)); // a short last one
    const datagrams = lengths.map((length, index) => numbered(this.#next + index, length));
    for (const [index, length] of lengths.entries()) model.outstanding.push({ number: this.#next + index, length });
    this.#next += lengths.length;
    segment(sender, size);
    sender.send(Buffer.concat(datagrams));
    segment(sender, 0);
  }

  /** Nobody keeps anything any more: all that was sent has to come, but what is counted as lost. */
  async #finish(): Promise<void> {
    const isDone = ({ model }: Line): boolean => {
      model.settle();
      model.release(model.held.length);
      const { dropped, kernelDrops } = model.receiver?.stats() ?? assert.fail();
      const lost = dropped + kernelDrops;
      return (
        queuedBytes(portOf(model.receiver ?? assert.fail())) === 0 && model.missed + model.outstanding.length <= lost
      );
    };
    await until(
      () => this.#lines.map(isDone).every(Boolean) && this.#pool.stats().inUse === 0, // each lets go of what it has
      () => JSON.stringify(this.#lines.map(({ model }) => [model.outstanding[0], model.receiver?.stats()])),
      5000,
    );
    for (const { model } of this.#lines) {
      model.verify();
      const { dropped, kernelDrops, batches } = model.receiver?.stats() ?? assert.fail();
      assert.equal(batches, model.batches);
      assert.equal(kernelDrops, 0, "the kernel had room");
      assert.equal(model.missed + model.outstanding.length, dropped, "nothing is lost but what is counted");
      if (this.#engine === "recvmmsg") assert.equal(dropped, 0);
      await model.receiver?.close();
    }
  }
}

const first = Number(process.env["JUMBO_TEST_SEED"] ?? 1);
const RUNS = 25;

withEngines(`${RUNS} random sequences`, async (t, engine) => {
  for (let seed = first; seed < first + RUNS; seed++) {
    await t.test(`seed ${seed}`, (t) => new Run(t, engine, new Random(seed)).all());
  }
});
