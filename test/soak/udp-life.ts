/** One life in the UDP stress: a socket of some kind is opened, takes what comes, checks it, and is closed in some way. */
import nodeDgram from "node:dgram";
import type { Socket } from "node:dgram";
import { once } from "node:events";
import { setImmediate as turn, setTimeout as delay } from "node:timers/promises";
import type { JumboPool } from "../../src/index.ts";
import { accelerate, createSocket } from "../../src/dgram/index.ts";
import { bindUdp, receiveUdp } from "../../src/udp/index.ts";
import type { HeldDatagram, OnBatch, UdpBatch, UdpOptions, UdpReceiver } from "../../src/udp/index.ts";
import type { Random } from "../support/random.ts";
import { isWhole } from "./udp-datagram.ts";

export const KINDS = [
  "callback",
  "promise",
  "iteration",
  "hold",
  "portable",
  "taken over",
  "jumbo/dgram",
  "accelerated",
] as const;
export type Kind = (typeof KINDS)[number];

/** How a life ends: from outside, from within the consumer, by an error of the consumer's, or because its pool is closed under it. */
const ENDS = ["close", "socket", "abort", "inside", "throw", "pool"] as const;
type End = (typeof ENDS)[number];

/** All datagrams of the stress have it. */
export const PHASE_ID = 0x5eed_f00d;
const LIFE_MS_MAX = 300;
/** Discard; nobody has it. */
const DEAD_PORT = 9;
const INSIDE_MS_MAX = 50;
const HOLD_MS_MAX = 60;
/** Nothing takes as long, on the busiest machine. */
const STUCK_MS = 30_000;

/** What consumers throw on purpose. */
export class Intended extends Error {}

/** What all lives of one thread share. */
export type Surroundings = {
  readonly random: Random;
  readonly pickPool: () => JumboPool;
  /** A pool that is this life's alone. */
  readonly makePool: () => JumboPool;
  /** Resolves when all are to end. */
  readonly stopping: Promise<void>;
  readonly problem: (text: string) => void;
  readonly arrived: (datagrams: number) => void;
};

export class Life {
  readonly kind: Kind;
  readonly #end: End;
  readonly #around: Surroundings;
  readonly #random: Random;
  readonly #pool: JumboPool;
  readonly #abort = new AbortController();
  readonly #isIPv6: boolean;
  readonly #held = new Set<HeldDatagram>();
  #copies: Buffer[] = [];
  #lastBatch: UdpBatch | null = null;
  /** The consumer is to end it. */
  #isEnding = false;
  #isClosed = false;
  #wasConnected = false;
  #step = "begins";

  constructor(around: Surroundings) {
    const random = around.random.fork();
    this.#around = around;
    this.#random = random;
    this.kind = random.pick(KINDS);
    this.#end = random.chance(0.03) ? "pool" : random.pick(["close", "socket", "abort", "inside", "throw"]);
    this.#isIPv6 = random.chance(0.2);
    this.#pool = this.#end === "pool" ? around.makePool() : around.pickPool();
  }

  /** What it is doing, for when it gets stuck. */
  get description(): string {
    return `${this.kind}, to end by ${this.#end}: ${this.#step}, ${this.#held.size} held`;
  }

  /** From opening to the last release. `setPort` is told where to send to, and null when no more. */
  async run(setPort: (port: number | null, isIPv6: boolean) => void): Promise<void> {
    try {
      this.#step = "opening";
      const { socket, close } =
        this.kind === "jumbo/dgram" || this.kind === "accelerated"
          ? await this.#openSocket()
          : await this.#openReceiver();
      if (this.#isClosed) return;
      const closed = new Promise<void>((resolve) => socket.once("close", resolve));
      setPort(socket.address().port, this.#isIPv6);
      this.#step = "open";
      if (this.#random.chance(0.15)) this.#connect(socket);
      await Promise.race([delay(this.#random.int(0, LIFE_MS_MAX)), closed, this.#around.stopping]);
      this.#step = "closing";
      await this.#close(socket, closed, close);
      setPort(null, this.#isIPv6);
      await this.#letGo();
      this.#step = "over";
    } catch (error) {
      if (!this.#isExpected(error))
        this.#problem(error instanceof Error ? (error.stack ?? error.message) : String(error));
    } finally {
      if (this.#end === "pool") this.#pool.close({ force: true });
    }
  }

  async #close(socket: Socket, closed: Promise<void>, close: () => Promise<void>): Promise<void> {
    const isInside = this.#end === "inside" || this.#end === "throw";
    if (isInside) {
      this.#isEnding = true;
      await Promise.race([delay(INSIDE_MS_MAX), closed]);
    }
    if (this.#end === "abort") this.#abort.abort();
    else if (this.#end === "pool") this.#pool.close({ force: true });
    if (!this.#isClosed && this.#end !== "abort") await (this.#random.chance(0.5) ? close() : closeSocket(socket));
    const isStuck = await Promise.race([closed.then(() => false), delay(STUCK_MS, true)]);
    if (isStuck) this.#problem(`no 'close' after ${STUCK_MS} ms`);
  }

  /** For a while it is connected to where nobody is: nothing comes then, and what it sends comes back as errors. */
  #connect(socket: Socket): void {
    this.#wasConnected = true;
    const random = this.#random;
    socket.connect(DEAD_PORT, this.#isIPv6 ? "::1" : "127.0.0.1", ((error?: Error) => {
      if (error !== undefined || this.#isClosed) return;
      for (let i = random.int(0, 5); i > 0; i--) socket.send("into the void", () => {});
      if (random.chance(0.7)) setTimeout(() => this.#isClosed || socket.disconnect(), random.int(0, 30));
    }) as () => void); // Node's types forget the error
  }

  /** Some are let go only after the socket is gone. */
  async #letGo(): Promise<void> {
    await turn();
    for (const held of this.#held) this.#release(held);
    for (const copy of this.#copies) this.#check(copy, "a kept message");
    this.#copies = [];
  }

  async #openReceiver(): Promise<{ socket: Socket; close: () => Promise<void> }> {
    const options = this.#options();
    const onBatch: OnBatch | undefined =
      this.kind === "iteration" ? undefined : (batch) => this.#onBatch(batch, receiver);
    const receiver: UdpReceiver =
      this.kind === "taken over"
        ? receiveUdp(await this.#bound(nodeDgram.createSocket({ type: this.#type })), options, onBatch)
        : await bindUdp(options, onBatch);
    receiver.on("error", (error) => this.#isExpected(error) || this.#problem(`'error': ${error.stack}`));
    receiver.once("close", () => (this.#isClosed = true));
    if (this.kind === "taken over") options.signal?.addEventListener("abort", () => void receiver.close());
    if (options.signal?.aborted === true) await receiver.close();
    if (this.kind === "iteration") void this.#iterate(receiver);
    if (this.#random.chance(0.2)) receiver.unref();
    if (this.#random.chance(0.1)) receiver.ref();
    return { socket: receiver.socket, close: () => receiver.close() };
  }

  #options(): UdpOptions {
    const random = this.#random;
    return {
      pool: this.#pool,
      address: this.#isIPv6 ? "::1" : "127.0.0.1",
      engine: this.kind === "portable" ? "dgram" : "auto",
      gro: random.chance(0.8),
      ecn: random.chance(0.2),
      localAddress: random.chance(0.2),
      coalesceMicroseconds: random.pick([0, 50, 50, 300]),
      signal: this.#abort.signal,
      ...(random.chance(0.3) ? { recvBufferBytes: random.pick([4096, 65_536, 1 << 20]) } : {}),
    };
  }

  #onBatch(batch: UdpBatch, receiver: UdpReceiver): unknown {
    if (this.#isClosed) this.#problem("a batch after 'close'");
    this.#take(batch, receiver);
    if (this.#isEnding && this.#end === "throw") throw new Intended("thrown by a consumer");
    if (this.#isEnding && this.#end === "inside") void receiver.close();
    if (this.kind !== "promise" && !this.#random.chance(0.05)) return undefined;
    return this.#later(batch);
  }

  /** The borrow lasts until it is settled. */
  async #later(batch: UdpBatch): Promise<void> {
    const way = this.#random.int(0, 3);
    if (way === 0) await Promise.resolve();
    else if (way === 1) await turn();
    else if (way === 2) await delay(this.#random.int(0, 5));
    for (const { bytes, truncated } of batch) if (!truncated) this.#check(bytes, "later");
    if (this.#random.chance(0.002)) throw new Intended("a consumer's promise is rejected");
  }

  async #iterate(receiver: UdpReceiver): Promise<void> {
    try {
      for await (const batch of receiver) {
        this.#take(batch, receiver);
        if (this.#isEnding && this.#end === "throw") throw new Intended("thrown in a loop");
        if (this.#isEnding && this.#end === "inside") break;
        if (this.#random.chance(0.3)) await this.#later(batch);
      }
    } catch (error) {
      if (!this.#isExpected(error)) this.#problem(`the iteration threw ${String(error)}`);
    }
  }

  #take(batch: UdpBatch, receiver: UdpReceiver): void {
    const random = this.#random;
    if (this.#lastBatch?.isReleased === false) this.#problem("the batch before is still borrowed");
    this.#lastBatch = batch;
    this.#around.arrived(batch.length);
    const holdChance = this.kind === "hold" ? 0.1 : 0.001;
    let count = 0;
    for (const datagram of batch) {
      count++;
      if (datagram.truncated) continue;
      this.#check(datagram.bytes, "on arrival");
      if (random.chance(holdChance)) this.#hold(datagram.hold());
      if (random.chance(0.0005)) globalThis.gc?.();
    }
    if (count !== batch.length) this.#problem(`${count} datagrams in a batch of ${batch.length}`);
    if (random.chance(0.05)) receiver.sendBatch(batch).catch(() => {}); // the receiver may have been closed by now
    if (random.chance(0.02)) receiver.stats();
  }

  #hold(held: HeldDatagram): void {
    this.#held.add(held);
    if (this.#random.chance(0.1)) return; // until the end
    setTimeout(() => this.#held.has(held) && this.#release(held), this.#random.int(0, HOLD_MS_MAX));
  }

  #release(held: HeldDatagram): void {
    this.#held.delete(held);
    if (this.#end === "pool" && this.#pool.isClosed) return; // its page has been taken away
    this.#check(held.bytes, "held");
    held.release();
  }

  async #openSocket(): Promise<{ socket: Socket; close: () => Promise<void> }> {
    const options = { type: this.#type, signal: this.#abort.signal };
    const socket = this.kind === "jumbo/dgram" ? createSocket(options) : nodeDgram.createSocket(options);
    socket.on("error", (error) => this.#isExpected(error) || this.#problem(`'error': ${error.stack}`));
    socket.once("close", () => (this.#isClosed = true));
    socket.on("message", (message) => this.#onMessage(message, socket));
    await this.#bound(socket);
    if (this.kind === "accelerated") accelerate(socket);
    if (this.#random.chance(0.2)) socket.unref();
    return { socket, close: () => closeSocket(socket) };
  }

  #onMessage(message: Buffer, socket: Socket): void {
    if (this.#isClosed) this.#problem("a message after 'close'");
    this.#around.arrived(1);
    this.#check(message, "a message");
    if (this.#random.chance(0.02) && this.#copies.length < 100) this.#copies.push(message);
    if (this.#isEnding && this.#end === "inside") void closeSocket(socket);
    const isThrowing = this.#end === "throw" && (this.#isEnding || this.#random.chance(0.001));
    if (isThrowing) throw new Intended("thrown by a listener");
  }

  get #type(): "udp4" | "udp6" {
    return this.#isIPv6 ? "udp6" : "udp4";
  }

  async #bound(socket: Socket): Promise<Socket> {
    socket.bind(0, this.#isIPv6 ? "::1" : "127.0.0.1");
    await once(socket, "listening");
    return socket;
  }

  #check(bytes: Buffer, when: string): void {
    if (bytes.length === 0 || isWhole(bytes, PHASE_ID)) return;
    this.#problem(`wrong bytes ${when}: ${bytes.length}, ${bytes.toString("hex", 0, 24)}`);
  }

  #isExpected(error: unknown): boolean {
    if (error instanceof Intended) return true;
    const { name, code } = error as NodeJS.ErrnoException; // every error here is one
    if (name === "AbortError") return this.#end === "abort";
    if (code === "ECONNREFUSED") return this.#wasConnected;
    return this.#end === "pool" && code === "ERR_JUMBO_POOL_CLOSED";
  }

  #problem(text: string): void {
    this.#around.problem(`${this.description}: ${text}`);
  }
}

/** As often as you like. */
async function closeSocket(socket: Socket): Promise<void> {
  try {
    socket.close();
  } catch {} // it is closed
}
