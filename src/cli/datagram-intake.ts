import { setImmediate as turn, setTimeout as delay } from "node:timers/promises";
import { InvariantError } from "../index.ts";
import type { JumboPool } from "../index.ts";
import type { OnBatch, UdpBatch, UdpEngine, UdpReceiveOptions, UdpReceiver } from "../udp/index.ts";
import type { DatagramSink } from "./datagram-sink.ts";
import type { LocalEnd } from "./framing.ts";
import { NO_COUNTS } from "./intake.ts";
import type { Counts, EngineInUse, GroState, Intake, IntakeEnd } from "./intake.ts";

/** Binds a socket, which from then on reads into pages. */
export type BindDatagrams = (options: UdpReceiveOptions, onBatch: OnBatch) => Promise<UdpReceiver>;

export type DatagramIntakeOptions = {
  readonly pool: JumboPool;
  readonly engine: "auto" | UdpEngine;
  readonly gro: boolean | undefined;
  /** Where they go; null, when they are only counted. */
  readonly sink: DatagramSink | null;
  /** The output tells addresses. */
  readonly wantsEverything: boolean;
  /** When one datagram is all that is wanted: true for whoever asks first. Null when all are. */
  readonly claimOnce: (() => boolean) | null;
  /** Settles when the output is ours to write to, or when that will never be. */
  readonly begun: Promise<void>;
  /** Called for each batch. */
  readonly onBytes: () => void;
  /** What the socket says, such as an ICMP message: not the end. */
  readonly onError: (error: Error) => void;
  /** Called once, when the socket is closed and the sink has taken everything. */
  readonly onEnd: (intake: DatagramIntake, end: IntakeEnd) => void;
};

/** Nothing has come for so long: the kernel has nothing left. */
const QUIET_MS = 10;

/**
 * One UDP socket: anybody may send to it, at any time, so it ends only when the session does.
 *
 * Slow output stops the reading: then the kernel's buffer fills, and the kernel drops, and counts, what finds no room in it.
 */
export class DatagramIntake implements Intake {
  readonly receiver: UdpReceiver;
  readonly #options: DatagramIntakeOptions;
  readonly #local: LocalEnd;
  #datagrams = 0;
  #bytes = 0;
  #batches = 0;
  #waits = 0;
  /** Changes whenever something has happened. */
  #steps = 0;
  /** A batch that waits for the output. */
  #pending: Promise<void> | null = null;
  #hasBegun = false;
  #isEnding = false;
  /** What comes now is given up. */
  #isOver = false;

  private constructor(receiver: UdpReceiver, options: DatagramIntakeOptions) {
    this.receiver = receiver;
    this.#options = options;
    this.#local = receiver.address();
    void options.begun.then(() => (this.#hasBegun = true));
    receiver.on("error", options.onError);
    receiver.on("close", () => void this.#end("failed")); // by itself: we have ended it before we close it
  }

  /** Rejects with what the system, or the receiver, has against it. */
  static async open(bind: BindDatagrams, options: DatagramIntakeOptions): Promise<DatagramIntake> {
    const { pool, engine, gro, wantsEverything } = options;
    const wishes = { localAddress: wantsEverything, ecn: wantsEverything, ...(gro === undefined ? {} : { gro }) };
    let intake: DatagramIntake | null = null;
    const receiver = await bind({ pool, engine, ...wishes }, (batch) => intake?.take(batch));
    return (intake = new DatagramIntake(receiver, options)); // still in the turn in which it was bound: nothing has come
  }

  counts(): Counts {
    const { bytes, datagrams, dropped, reads, pauses, truncated, kernelDrops, gro, engine } = this.receiver.stats();
    return {
      ...NO_COUNTS,
      bytes: this.#bytes,
      bytesCopied: engine === "dgram" ? this.#bytes : 0,
      bytesDropped: this.#isOver ? bytes - this.#bytes : 0,
      reads,
      pauses: pauses + this.#waits,
      datagrams: this.#datagrams,
      batches: this.#batches,
      truncated,
      kernelDrops,
      datagramsDropped: dropped + (this.#isOver ? datagrams - this.#datagrams : 0),
      superDatagrams: gro.superDatagrams,
    };
  }

  engineInUse(): EngineInUse {
    return this.receiver.stats();
  }

  gro(): GroState {
    const { isOn, reason } = this.receiver.stats().gro;
    return { isOn, reason };
  }

  /** What the kernel has by now is read first. */
  cut(): void {
    void this.#end("cut");
  }

  /** From the receiver: the batch is ours until the answer settles. */
  take(batch: UdpBatch): Promise<void> | undefined {
    const answer = this.#hasBegun ? this.#pass(batch) : this.#options.begun.then(() => this.#pass(batch));
    if (answer === undefined) return undefined;
    return (this.#pending = this.#waitFor(answer));
  }

  async #waitFor(answer: Promise<void>): Promise<void> {
    this.#waits++;
    await answer;
    this.#steps++;
    this.#pending = null;
  }

  #pass(batch: UdpBatch): Promise<void> | undefined {
    if (this.#isOver) return undefined;
    const { sink, claimOnce } = this.#options;
    this.#steps++;
    if (claimOnce !== null && !claimOnce()) return undefined;
    this.#options.onBytes();
    this.#batches++;
    if (claimOnce !== null) return this.#passFirst(batch);
    this.#datagrams += batch.length;
    this.#bytes += batch.byteCount;
    if (sink === null) return undefined;
    sink.beginBatch();
    for (const datagram of batch) sink.add(datagram, this.#local);
    return sink.flush();
  }

  #passFirst(batch: UdpBatch): Promise<void> | undefined {
    const { sink } = this.#options;
    sink?.beginBatch();
    for (const datagram of batch) {
      this.#datagrams = 1;
      this.#bytes = datagram.length;
      sink?.add(datagram, this.#local);
      break;
    }
    this.#isOver = true;
    void this.#end("complete");
    return sink?.flush();
  }

  async #end(how: IntakeEnd["how"]): Promise<void> {
    if (this.#isEnding) return;
    this.#isEnding = true;
    if (how === "cut" && this.#hasBegun) await this.#drain();
    this.#isOver = true;
    await this.receiver.close();
    await this.#pending;
    const error = how === "failed" ? new InvariantError("a UDP socket was closed, and not by us") : null;
    this.#options.onEnd(this, { how, error, isEmpty: this.#datagrams === 0, news: null, complaint: null });
  }

  /**
   * Goes on until the kernel has nothing more. A sender that does not stop is not waited for: when a buffer full of bytes has
   * come, all that was in the buffer has come.
   */
  async #drain(): Promise<void> {
    const bytesMax = this.#bytes + this.#datagrams + this.#kernelBytesMax();
    while (!(await this.#isQuiet())) {
      if (this.#bytes + this.#datagrams >= bytesMax) return; // an empty one takes room, too
    }
  }

  #kernelBytesMax(): number {
    try {
      return this.receiver.socket.getRecvBufferSize();
    } catch {
      return 0; // it is closed: something is broken, and will be told
    }
  }

  /** True when for a while reading was not held up, and nothing came. */
  async #isQuiet(): Promise<boolean> {
    const wasHeldUp = this.#isHeldUp;
    const before = this.#steps;
    await delay(QUIET_MS);
    // However late the timer was: one turn in which the event loop looks at the socket, and one in which what came is handed over.
    await turn();
    await turn();
    return !wasHeldUp && !this.#isHeldUp && this.#steps === before;
  }

  /** By the output, or for want of pages. */
  get #isHeldUp(): boolean {
    return this.#pending !== null || this.#options.pool.isUnderPressure;
  }
}
