/** The receiving half of one phase of the counting UDP soak: looks at every datagram. */
import type { HeldDatagram, UdpBatch, UdpReceiver } from "../../src/udp/index.ts";
import { ACK_BYTES, ACK_EVERY } from "./udp-count-phase.ts";
import { isWhole, numberOf, placeOf } from "./udp-datagram.ts";

/** Numbers are remembered for so many: none is overtaken by more. */
const REMEMBERED = 65_536;
/** One of so many is held, until so many more are, and looked at again. */
const HOLD_EVERY = 4099;
const HELD_MAX = 64;
/** Enough to see what is wrong. */
const PROBLEMS_MAX = 10;

export class Arrivals {
  readonly problems: string[] = [];
  /** That came, each counted once. */
  datagrams = 0;
  /** Of which the first datagram came, and how many datagrams those have. */
  messages = 0;
  expected = 0;
  duplicates = 0;
  overtaken = 0;
  heldChecked = 0;
  readonly #phaseId: number;
  readonly #ackEvery: number;
  /** At number % REMEMBERED: the last number that came, and one more. */
  readonly #seen = new Uint32Array(REMEMBERED);
  readonly #held: HeldDatagram[] = [];
  readonly #ack = Buffer.alloc(ACK_BYTES);
  #next = 0;
  #acknowledged = 0;

  constructor(phaseId: number, isGso: boolean) {
    this.#phaseId = phaseId;
    this.#ackEvery = ACK_EVERY[isGso ? "gso" : "plain"];
  }

  take(batch: UdpBatch, receiver: UdpReceiver): void {
    for (const datagram of batch) {
      const { bytes } = datagram;
      if (!isWhole(bytes, this.#phaseId)) {
        this.#problem(`after ${this.#next}: ${bytes.length} bytes are wrong: ${bytes.toString("hex", 0, 24)}`);
        continue;
      }
      this.#count(bytes);
      if (this.datagrams % HOLD_EVERY === 0) this.#hold(datagram.hold());
      if (this.#next - this.#acknowledged >= this.#ackEvery) this.#acknowledge(receiver, datagram);
    }
  }

  /** Lets go of what is held. */
  end(): void {
    while (this.#held.length > 0) this.#letGo();
  }

  #count(bytes: Buffer): void {
    const number = numberOf(bytes);
    const slot = number % REMEMBERED;
    const seen = this.#seen[slot]!;
    if (seen === number + 1) {
      this.duplicates++;
      return this.#problem(`number ${number} came twice`);
    }
    if (seen > number + 1)
      return this.#problem(`number ${number} came after ${seen - 1}: too late to tell whether twice`);
    this.#seen[slot] = number + 1;
    if (number < this.#next) this.overtaken++;
    else this.#next = number + 1;
    this.datagrams++;
    const { index, count } = placeOf(bytes);
    if (index > 0) return;
    this.messages++;
    this.expected += count;
  }

  #acknowledge(receiver: UdpReceiver, to: { readonly address: string; readonly port: number }): void {
    this.#acknowledged = this.#next;
    this.#ack.writeUInt32LE(this.#next);
    receiver
      .send(this.#ack, to)
      .catch((error: unknown) => this.#problem(`an acknowledgement failed: ${String(error)}`));
  }

  #hold(held: HeldDatagram): void {
    this.#held.push(held);
    if (this.#held.length > HELD_MAX) this.#letGo();
  }

  /** Nothing may have been written over it meanwhile. */
  #letGo(): void {
    const held = this.#held.shift();
    if (held === undefined) return;
    if (!isWhole(held.bytes, this.#phaseId))
      this.#problem(`a held datagram has changed: ${held.bytes.toString("hex", 0, 24)}`);
    this.heldChecked++;
    held.release();
  }

  #problem(text: string): void {
    if (this.problems.length < PROBLEMS_MAX) this.problems.push(text);
  }
}
