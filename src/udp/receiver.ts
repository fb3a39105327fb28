import type { Socket } from "node:dgram";
import { EventEmitter } from "node:events";
import type { AddressInfo } from "node:net";
import { PendingNext, isThenable, modeError } from "../iteration.ts";
import type { PageGate } from "../pool/page-gate.ts";
import { UdpBatch } from "./batch.ts";
import type { DatagramRows } from "./datagram.ts";
import { HeldLedger } from "./held-ledger.ts";
import type { UdpReader } from "./reader.ts";
import type { OutgoingDatagram, SendOptions, Sender } from "./sender.ts";
import type { GroStats, UdpStats } from "./stats.ts";

/** Takes one batch, borrowed until it returns, or until the promise it returns settles. */
export type OnBatch = (batch: UdpBatch) => unknown;

export type UdpEvents = { error: [error: Error]; close: [] };

/** What the receiver is made of; it is put together in `receive.ts`. */
export type ReceiverParts = {
  readonly reader: UdpReader;
  readonly sender: Sender;
  readonly engineReason: string | null;
  readonly gro: Omit<GroStats, "superDatagrams">;
};

/**
 * What `bindUdp()` and `receiveUdp()` return: the consumer's end of one UDP socket.
 *
 *     UdpReader ──rows──▶ batch ──▶ callback, or next()
 *         ▲                            │ busy until its promise settles, or until the next next()
 *         └───── stop / start ◀────────┘
 *
 * Emits `'error'` for what the system reports, an ICMP message for one, and for what a callback throws or rejects with: neither is the end, so
 * that no datagram of somebody's can end a service. Without a listener for it the process ends, as with any emitter. Emits `'close'` when the
 * socket has closed.
 *
 * Laws: one batch at a time, in order. While the consumer is busy, or the pool short of pages, nothing is read: the kernel's buffer
 * fills, and then drops, which {@link stats} shows.
 */
export class UdpReceiver extends EventEmitter<UdpEvents> implements AsyncIterable<UdpBatch, undefined> {
  /** The socket beneath: for `addMembership`, `connect`, `setTTL`, and whatever else is not receiving. */
  readonly socket: Socket;
  readonly #gate: PageGate;
  readonly #consume: OnBatch | null;
  readonly #ledger = new HeldLedger();
  #parts: ReceiverParts | null = null;
  /** What the consumer has now, when it keeps it beyond a call. */
  #current: { readonly batch: UdpBatch; readonly rows: DatagramRows } | null = null;
  /** The consumer's promise is pending, or it has not asked for the next batch. */
  #isBusy: boolean;
  /** In line at the gate. */
  #isGated = false;
  #isIterating = false;
  #isClosed = false;
  readonly #next = new PendingNext<UdpBatch>();
  /** What the iteration ends with. */
  #error: unknown = null;
  #errors = 0;
  #pauses = 0;

  /** @internal */
  constructor(socket: Socket, gate: PageGate, consume: OnBatch | null) {
    super();
    this.socket = socket;
    this.#gate = gate;
    this.#consume = consume;
    this.#isBusy = consume === null;
  }

  /** @internal */
  start(parts: ReceiverParts): void {
    this.#parts = parts;
    this.socket.on("error", (error) => this.failed(error));
    this.socket.prependListener("close", () => this.#onClose());
    this.#gate.enter(this);
    if (this.#isBusy) parts.reader.stop();
  }

  /** Where it is bound. @throws Error `ERR_SOCKET_DGRAM_NOT_RUNNING` when it is closed, as Node's */
  address(): AddressInfo {
    return this.socket.address();
  }

  /** Keeps the process alive while it is open, as it does at first. */
  ref(): this {
    this.socket.ref();
    return this;
  }

  /** Does not keep the process alive. */
  unref(): this {
    this.socket.unref();
    return this;
  }

  /** One consistent snapshot; one system call. */
  stats(): UdpStats {
    const { reader, sender, engineReason, gro } = this.#started();
    const { superDatagrams, ...counts } = reader.counts;
    return {
      engine: reader.engine,
      engineReason,
      gro: { ...gro, superDatagrams },
      ...counts,
      kernelDrops: reader.kernelDrops(),
      pauses: this.#pauses,
      errors: this.#errors,
      held: this.#ledger.stats(),
      sent: sender.stats(),
    };
  }

  /**
   * Sends one datagram. The bytes are taken during the call, and yours again when it returns.
   * @param to where to: a received datagram will do. Without it, to where the socket is connected
   * Rejects with Node's error codes, and with `ERR_JUMBO_OPTION_INVALID`.
   */
  send(bytes: Uint8Array, to: { readonly address?: string; readonly port?: number } = {}): Promise<void> {
    return this.#started().sender.send([{ bytes, address: to.address, port: to.port }]);
  }

  /**
   * Sends many datagrams with few system calls; a batch that was received will do, which echoes it. As with {@link send}, the bytes are taken during
   * the call. With `segmentBytes` each `bytes` may be long: it is sent as datagrams of that size, cut by the kernel where it can.
   * One that fails does not keep the others from being sent; rejects in the end with the first error.
   */
  sendBatch(datagrams: Iterable<OutgoingDatagram>, options: SendOptions = {}): Promise<void> {
    return this.#started().sender.send(datagrams, options);
  }

  /** Closes the socket; resolves when it has closed. What the kernel still had is lost, as with `dgram`. Again: nothing. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    const closed = new Promise((resolve) => this.socket.once("close", resolve)); // whatever error comes before it
    try {
      this.socket.close();
    } catch {} // it is closing already
    await closed;
  }

  /** {@link close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Iterates the batches, once. Each is borrowed until the iteration moves on. Leaving the loop closes the receiver; when it
   * closes the loop ends.
   * @throws JumboError `ERR_JUMBO_RECEIVER_MODE` when there is a callback, or a second time
   */
  [Symbol.asyncIterator](): AsyncIterator<UdpBatch, undefined> {
    if (this.#consume !== null) throw modeError("this receiver has a callback: give it none to iterate");
    if (this.#isIterating) throw modeError("this receiver is being iterated already");
    this.#isIterating = true;
    return {
      next: () => this.#askNext(),
      return: async () => {
        this.#endCurrent();
        await this.close();
        return { value: undefined, done: true };
      },
    };
  }

  /** @internal From the reader. */
  take(rows: DatagramRows): boolean {
    const batch = new UdpBatch(rows, this.#ledger);
    const isDone = this.#consume === null ? this.#answer(batch, rows) : this.#call(this.#consume, batch, rows);
    if (this.#gate.isClosed) this.waitForPages();
    return isDone;
  }

  /** @internal From the reader. */
  isReady(): boolean {
    return !this.#isBusy;
  }

  /** @internal From the reader, which lets no send of Node's wait: nothing is to be done. */
  connecting(): void {}

  /** @internal From the reader, and from the socket. */
  failed(error: unknown): void {
    this.#errors++;
    const known = error instanceof Error;
    this.emit("error", known ? error : new Error("the consumer of a receiver threw", { cause: error }));
  }

  /** @internal From the reader. */
  broke(error: unknown): void {
    this.#error ??= error;
    if (this.#isClosed) return;
    void this.close();
    if (this.#consume !== null) this.failed(error); // else the iteration throws it
  }

  /** @internal From the reader, and when the gate has closed. */
  waitForPages(): void {
    this.stopForPages();
    this.#gate.wait(this);
  }

  /** @internal From the gate. */
  stopForPages(): void {
    if (!this.#isGated) this.#pauses++;
    this.#isGated = true;
    this.#parts?.reader.stop();
  }

  /** @internal From the gate. */
  goOn(): void {
    this.#isGated = false;
    this.#readOn();
  }

  /** True when the consumer is done with the batch. */
  #call(consume: OnBatch, batch: UdpBatch, rows: DatagramRows): boolean {
    let result: unknown;
    try {
      result = consume(batch);
    } catch (error) {
      batch.endBorrow();
      this.failed(error);
      return true;
    }
    if (!isThenable(result)) {
      batch.endBorrow();
      return true;
    }
    this.#keep(batch, rows);
    Promise.resolve(result).then(
      () => this.#settled(),
      (error: unknown) => {
        this.#settled();
        this.failed(error);
      },
    );
    return false;
  }

  #settled(): void {
    this.#endCurrent();
    this.#isBusy = false;
    this.#readOn();
  }

  #answer(batch: UdpBatch, rows: DatagramRows): boolean {
    this.#keep(batch, rows);
    this.#next.answer(batch);
    return false;
  }

  #keep(batch: UdpBatch, rows: DatagramRows): void {
    this.#current = { batch, rows };
    this.#isBusy = true;
    this.#parts?.reader.stop();
  }

  #askNext(): Promise<IteratorResult<UdpBatch, undefined>> {
    if (this.#next.isWaiting)
      return Promise.reject(modeError("next() is pending already: ask for one batch at a time"));
    this.#endCurrent();
    const result = this.#next.wait();
    this.#isBusy = false;
    if (this.#isClosed) this.#answerEnd();
    else this.#readOn();
    return result;
  }

  #readOn(): void {
    if (!this.#isBusy && !this.#isClosed) this.#parts?.reader.start(!this.#isGated);
  }

  #onClose(): void {
    this.#isClosed = true;
    this.#gate.leave(this);
    this.#parts?.reader.close();
    this.#answerEnd();
    this.emit("close");
  }

  #answerEnd(): void {
    if (this.#error !== null) this.#next.fail(this.#error);
    else this.#next.end();
  }

  #endCurrent(): void {
    const current = this.#current;
    this.#current = null;
    current?.batch.endBorrow();
    current?.rows.giveBack();
  }

  #started(): ReceiverParts {
    if (this.#parts === null) throw new Error("a receiver is started before it is handed out");
    return this.#parts;
  }
}
