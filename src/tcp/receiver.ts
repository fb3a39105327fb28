import { finished } from "node:stream";
import type { Readable } from "node:stream";
import type { Mbuf } from "../mbuf/mbuf.ts";
import { PendingNext, isThenable, modeError } from "../iteration.ts";
import type { PageGate } from "../pool/page-gate.ts";
import type { Reader } from "./reader.ts";
import type { ReceiverStats } from "./receiver-stats.ts";

/** Takes one mbuf, borrowed until it returns, or until the promise it returns settles. `false` pauses the socket. */
export type OnMbuf = (mbuf: Mbuf) => unknown;

/**
 * What `receive()` returns: the consumer's end of one socket.
 *
 *     Reader ──push──▶ [ queue ] ──deliver──▶ callback, or next()
 *        ▲                                       │ busy until its promise settles, or until the next next()
 *        └──────── stop / start ◀────────────────┘
 *
 * Laws: delivered in order, one at a time. Reading goes on only while the queue is empty, so it holds what one read brought.
 * What is in the queue is never reached by `'end'` first.
 */
export class Receiver implements AsyncIterable<Mbuf, undefined> {
  readonly #stream: Readable;
  readonly #gate: PageGate;
  readonly #consume: OnMbuf | null;
  readonly #engineReason: string | null;
  #reader: Reader | null = null;
  #queue: Mbuf[] = [];
  /** The mbuf the consumer has now, when it keeps it beyond a call. */
  #current: Mbuf | null = null;
  /** A consumer is at work: its promise is pending, or it has not asked for the next one. */
  #isBusy: boolean;
  #isIterating = false;
  #isClosed = false;
  readonly #next = new PendingNext<Mbuf>();
  #hasEnded = false;
  #error: Error | null = null;
  #bytesReceived = 0;
  #bytesQueued = 0;
  #bytesDropped = 0;
  readonly #onEnd = (): void => {
    this.#hasEnded = true;
    this.#reader?.end();
    this.#answerEnd();
  };
  readonly #onClose = (): void => {
    this.#isClosed = true;
    this.#gate.leave(this);
    this.#reader?.close();
    this.#stream.off("end", this.#onEnd).off("close", this.#onClose);
    if (!this.#hasEnded) this.#dropQueue();
  };

  /** @internal Made by `receive()`. */
  constructor(stream: Readable, gate: PageGate, consume: OnMbuf | null, engineReason: string | null) {
    this.#stream = stream;
    this.#gate = gate;
    this.#consume = consume;
    this.#engineReason = engineReason;
    this.#isBusy = consume === null;
  }

  /** @internal */
  start(reader: Reader): void {
    this.#reader = reader;
    const stream = this.#stream;
    stream.on("end", this.#onEnd);
    stream.prependListener("close", this.#onClose); // before a user's listener can connect the socket anew
    if (this.#consume === null) finished(stream, { writable: false }, (error) => this.#onFinished(error ?? null));
    this.#gate.enter(this);
  }

  /** @internal True once the socket has closed: it is an ordinary socket again. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Counters of this socket; cheap. */
  stats(): ReceiverStats {
    const { engine = "data", reads = 0, copiedBytes = 0, pauses = 0 } = this.#reader ?? {};
    return {
      engine,
      engineReason: this.#engineReason,
      reads,
      bytesReceived: this.#bytesReceived,
      bytesDelivered: this.#bytesReceived - this.#bytesQueued - this.#bytesDropped,
      bytesQueued: this.#bytesQueued,
      bytesDropped: this.#bytesDropped,
      bytesCopied: copiedBytes,
      pauses,
    };
  }

  /**
   * Iterates the mbufs, once. Each is borrowed until the iteration moves on. Leaving the loop early destroys the socket, as with
   * any Node stream; an error of the socket is thrown into the loop.
   * @throws JumboError `ERR_JUMBO_RECEIVER_MODE` when there is a callback, or a second time
   */
  [Symbol.asyncIterator](): AsyncIterator<Mbuf, undefined> {
    if (this.#consume !== null) throw modeError("this receiver has a callback: give receive() none to iterate");
    if (this.#isIterating) throw modeError("this receiver is being iterated already");
    this.#isIterating = true;
    return {
      next: () => this.#askNext(),
      return: () => {
        this.#endCurrent();
        this.#next.end();
        this.#stream.destroy();
        return Promise.resolve({ value: undefined, done: true });
      },
    };
  }

  /** @internal From the reader: takes over a borrowed mbuf. */
  push(mbuf: Mbuf): void {
    this.#bytesReceived += mbuf.length;
    this.#bytesQueued += mbuf.length;
    this.#queue.push(mbuf);
    if (this.isReady()) this.#deliverQueue();
  }

  /** @internal From the reader, after each read. */
  wantsMore(): boolean {
    if (this.#stream.destroyed) return false;
    if (!this.#gate.isClosed) return this.#queue.length === 0;
    this.#gate.wait(this);
    return false;
  }

  /** @internal */
  resumed(): void {
    this.#pump();
  }

  /** @internal */
  waitForPages(): void {
    this.#gate.wait(this);
  }

  /** @internal */
  isReady(): boolean {
    if (this.#isBusy || this.#isGone()) return false;
    return this.#consume === null || this.#reader?.isPausedByUser === false;
  }

  /** @internal From the reader, and for a consumer that threw: the error surfaces as the socket's `'error'`. */
  fail(error: unknown): void {
    this.#stream.destroy(
      error instanceof Error ? error : new Error("the consumer of a receiver threw", { cause: error }),
    );
  }

  /** @internal From the gate. */
  stopForPages(): void {
    this.#reader?.stop();
  }

  /** @internal From the gate. */
  goOn(): void {
    this.#pump();
  }

  /** Gives one mbuf to the consumer, who is ready. */
  #deliver(mbuf: Mbuf): void {
    this.#bytesQueued -= mbuf.length;
    if (this.#consume === null) this.#answer(mbuf);
    else this.#call(this.#consume, mbuf);
  }

  #call(consume: OnMbuf, mbuf: Mbuf): void {
    let result: unknown;
    this.#isBusy = true; // what comes while the consumer is at work (a write may bring it, with TLS) has its turn after this
    try {
      result = consume(mbuf);
    } catch (error) {
      mbuf.endBorrow();
      this.fail(error);
      return;
    }
    if (isThenable(result)) {
      this.#current = mbuf;
      Promise.resolve(result).then(
        () => this.#settled(),
        (error: unknown) => (this.fail(error), this.#settled()),
      );
      return;
    }
    this.#isBusy = false;
    mbuf.endBorrow();
    if (result === false) this.#stream.pause();
  }

  /** The consumer's promise is settled. */
  #settled(): void {
    this.#isBusy = false;
    this.#endCurrent();
    this.#pump();
  }

  /** Delivers what waits, and reads on if the consumer is ready for more. */
  #pump(): void {
    this.#deliverQueue();
    if (this.#queue.length > 0 || !this.isReady()) return;
    if (this.#gate.isClosed) this.#gate.wait(this);
    else this.#reader?.start();
  }

  #deliverQueue(): void {
    while (this.#queue.length > 0 && this.isReady()) {
      const mbuf = this.#queue.shift();
      if (mbuf !== undefined) this.#deliver(mbuf);
    }
  }

  #askNext(): Promise<IteratorResult<Mbuf, undefined>> {
    if (this.#next.isWaiting) return Promise.reject(modeError("next() is pending already: ask for one mbuf at a time"));
    this.#endCurrent();
    const result = this.#next.wait();
    this.#isBusy = false;
    this.#pump();
    this.#answerEnd();
    return result;
  }

  #answer(mbuf: Mbuf): void {
    this.#isBusy = true;
    this.#current = mbuf;
    this.#next.answer(mbuf);
  }

  /** Ends the iteration, when somebody asks and nothing more can come. */
  #answerEnd(): void {
    if (this.#error !== null) this.#next.fail(this.#error);
    else if (this.#hasEnded) this.#next.end();
  }

  /** For an iteration: the socket's end, or why there is none (its error, or that it was destroyed before). */
  #onFinished(error: Error | null): void {
    if (!this.#hasEnded) this.#error = error ?? prematureClose(); // finished() takes an end that was never told for one
    this.#answerEnd();
  }

  #dropQueue(): void {
    for (const mbuf of this.#queue) {
      this.#bytesQueued -= mbuf.length;
      this.#bytesDropped += mbuf.length;
      mbuf.endBorrow();
    }
    this.#queue = [];
  }

  /** The socket was destroyed before its end: nothing more is delivered. */
  #isGone(): boolean {
    return this.#stream.destroyed && !this.#hasEnded;
  }

  #endCurrent(): void {
    this.#current?.endBorrow();
    this.#current = null;
  }
}

/** As Node's own iterators have it: what came must not be taken for all there was. */
function prematureClose(): Error {
  return Object.assign(new Error("Premature close"), { code: "ERR_STREAM_PREMATURE_CLOSE" });
}
