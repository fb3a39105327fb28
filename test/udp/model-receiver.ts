/** Not a test: a receiver of the model test, with a consumer that does at random all that a consumer may do, and a ledger of everything. */
import assert from "node:assert/strict";
import type { HeldDatagram, UdpBatch, UdpDatagram, UdpReceiver } from "../../src/udp/index.ts";
import type { Random } from "../support/random.ts";
import { numberOf } from "../support/udp.ts";

/** A datagram without bytes has no number: then −1. */
type Sent = { readonly number: number; readonly length: number };
type Kept = Sent & { readonly datagram: HeldDatagram };

/** What has been sent to one receiver and what came of it; every datagram is looked at as it comes. */
export class ModelReceiver {
  readonly held: Kept[] = [];
  /** Sent, and not seen yet: in their order. */
  readonly outstanding: Sent[] = [];
  seen = 0;
  missed = 0;
  batches = 0;
  receiver: UdpReceiver | null = null;
  readonly #random: Random;
  readonly #pageSizeBytes: number;
  #settle: (() => void) | null = null;

  constructor(random: Random, pageSizeBytes: number) {
    this.#random = random;
    this.#pageSizeBytes = pageSizeBytes;
  }

  /** The callback: it ignores, copies or holds, at once, in its promise, or after it; it throws or rejects now and then. */
  readonly take = (batch: UdpBatch): unknown => {
    this.#look(batch);
    if (this.#random.chance(0.5)) return this.#mayFail();
    return this.#later(batch).then(() => this.#mayFail());
  };

  /** The same with an iteration, until the receiver closes. */
  async iterate(): Promise<void> {
    for await (const batch of this.receiver ?? assert.fail()) {
      this.#look(batch);
      if (this.#random.chance(0.5)) await this.#later(batch);
    }
  }

  /** Lets the promise that is pending, if there is one, settle. */
  settle(): void {
    this.#settle?.();
    this.#settle = null;
  }

  release(count: number): void {
    for (let i = 0; i < count && this.held.length > 0; i++) {
      const one = this.held.splice(this.#random.int(0, this.held.length - 1), 1)[0] ?? assert.fail();
      this.#check(one, one.datagram);
      one.datagram.release();
      assert.throws(() => one.datagram.bytes, { code: "ERR_JUMBO_MBUF_RELEASED" });
    }
  }

  /** What is held is as it was; and the ledger of the receiver says the same as ours. */
  verify(): void {
    for (const one of this.held) this.#check(one, one.datagram);
    const { held, datagrams } = this.receiver?.stats() ?? assert.fail();
    const bytes = this.held.reduce((sum, { datagram }) => sum + datagram.length, 0);
    assert.deepEqual([held.datagrams, held.bytes], [this.held.length, bytes]);
    assert.ok(held.pages <= this.held.length && held.pages > 0 === this.held.length > 0);
    assert.equal(datagrams, this.seen);
  }

  #mayFail(): void {
    if (this.#random.chance(0.05)) throw new Error("at random");
  }

  #look(batch: UdpBatch): void {
    this.batches++;
    let count = 0;
    for (const datagram of batch) {
      count++;
      const sent = this.#find(datagram);
      this.#check(sent, datagram);
      this.seen++;
      if (this.#random.chance(0.3)) this.held.push({ ...sent, datagram: datagram.hold() });
    }
    assert.equal(count, batch.length);
  }

  /** Which one it is: they come in order, and some may be missing. */
  #find({ bytes, length }: UdpDatagram): Sent {
    const number = length === 0 ? -1 : bytes.readUInt32LE();
    const index = this.outstanding.findIndex((sent) => sent.number === number);
    assert.ok(index >= 0, `datagram ${number} was sent, and has not been seen before`);
    this.missed += index;
    const [found] = this.outstanding.splice(0, index + 1).slice(-1);
    return found ?? assert.fail();
  }

  #check({ number, length }: Sent, datagram: UdpDatagram | HeldDatagram): void {
    assert.deepEqual([datagram.fullLength, datagram.truncated], [length, length > this.#pageSizeBytes]);
    assert.equal(datagram.length, Math.min(length, this.#pageSizeBytes));
    assert.equal(datagram.bytes.length, datagram.length);
    if (length > 0) assert.equal(numberOf(datagram.bytes), number);
  }

  /** Resolves when the test says so; the batch is as good then as it was. */
  async #later(batch: UdpBatch): Promise<void> {
    const numbers = (): number[] => Array.from(batch, ({ bytes, length }) => (length === 0 ? -1 : numberOf(bytes)));
    const before = numbers();
    await new Promise<void>((resolve) => (this.#settle = resolve));
    assert.deepEqual(numbers(), before);
    if (this.#random.chance(0.3)) {
      for (const datagram of batch) {
        const number = datagram.length === 0 ? -1 : numberOf(datagram.bytes);
        if (this.#random.chance(0.2))
          this.held.push({ number, length: datagram.fullLength, datagram: datagram.hold() });
      }
    }
  }
}
