import type { Socket } from "node:net";
import type { JumboPool } from "../index.ts";
import { receive } from "../tcp/index.ts";
import type { Mbuf, OnMbuf, Receiver, TcpEngine } from "../tcp/index.ts";
import { reasonOf } from "./failure.ts";
import type { Failure } from "./failure.ts";
import { NO_COUNTS } from "./intake.ts";
import type { Counts, EngineInUse, Intake, IntakeEnd } from "./intake.ts";
import type { Output, Sink } from "./output.ts";
import { formatCount } from "./quantities.ts";

export type ConnectionOptions = {
  readonly pool: JumboPool;
  readonly engine: "auto" | TcpEngine;
  readonly output: Output;
  /** Called for each mbuf. */
  readonly onBytes: () => void;
  /** Called once, when the socket is closed and everything that came is written. */
  readonly onEnd: (connection: Connection, end: IntakeEnd) => void;
};

/** One sender: its socket, the receiver that fills pages from it, and the sink that takes them. */
export class Connection implements Intake {
  readonly #peer: string;
  readonly #socket: Socket;
  readonly #receiver: Receiver;
  readonly #sink: Sink;
  readonly #options: ConnectionOptions;
  #error: Error | null = null;
  #hasEnded = false;
  #isCut = false;

  /** To be made in the handler that is given `socket`, before any byte is read. */
  constructor(socket: Socket, peer: string, options: ConnectionOptions) {
    this.#peer = peer;
    this.#socket = socket;
    this.#options = options;
    this.#sink = options.output.sinkFor({
      peer,
      fileName: { stem: "connection", extension: "bin" },
      goOn: () => void socket.resume(),
      stop: (failure) => this.#stop(failure),
    });
    this.#receiver = receive(socket, { pool: options.pool, engine: options.engine }, (mbuf) => this.#take(mbuf));
    socket.on("end", () => (this.#hasEnded = true));
    socket.on("error", (error: Error) => (this.#error ??= error));
    socket.on("close", () => void this.#onClose());
  }

  counts(): Counts {
    const { bytesDelivered, bytesCopied, bytesDropped, reads, pauses } = this.#receiver.stats();
    return { ...NO_COUNTS, connections: 1, bytes: bytesDelivered, bytesCopied, bytesDropped, reads, pauses };
  }

  engineInUse(): EngineInUse {
    return this.#receiver.stats();
  }

  gro(): null {
    return null;
  }

  /** What is still on its way is not read. */
  cut(): void {
    this.#isCut = true;
    this.#destroyWhenEmpty();
  }

  #take(mbuf: Mbuf): ReturnType<OnMbuf> {
    this.#options.onBytes();
    const answer = this.#sink.take(mbuf);
    if (this.#isCut) this.#destroyWhenEmpty();
    return answer;
  }

  /** Destroying drops what the receiver has queued, so it is delivered first; who waits for a turn would wait for ever. */
  #destroyWhenEmpty(): void {
    if (this.#sink.isWaiting || this.#receiver.stats().bytesQueued === 0) this.#socket.destroy();
  }

  #stop(failure: Failure): void {
    this.#error ??= failure;
    this.#socket.destroy();
  }

  async #onClose(): Promise<void> {
    const wasWaiting = this.#sink.isWaiting;
    await this.#sink.end();
    const { bytesReceived } = this.#receiver.stats();
    const isComplete = this.#hasEnded && this.#error === null;
    const how = isComplete ? "complete" : this.#error === null ? "cut" : "failed";
    this.#options.onEnd(this, {
      how,
      error: this.#error,
      isEmpty: bytesReceived === 0,
      news: how === "complete" ? this.#describeArrival(bytesReceived) : null,
      complaint: how === "complete" ? null : this.#describeFailure(bytesReceived, wasWaiting),
    });
  }

  /** What has come well; null when that is nothing. */
  #describeArrival(bytesReceived: number): string | null {
    if (bytesReceived === 0) return null;
    const file = this.#sink.ownFile();
    return `${this.#peer} sent ${file === null ? "" : `${file.path}, `}${formatCount(bytesReceived)} bytes`;
  }

  /** What has not come, or not to its end; null when it was open and had sent nothing. */
  #describeFailure(bytesReceived: number, wasWaiting: boolean): string | null {
    const size = `${formatCount(bytesReceived)} bytes`;
    const file = this.#sink.ownFile();
    const place = file === null ? "" : `; ${file.path} holds ${formatCount(file.bytes)} bytes and is incomplete`;
    if (wasWaiting) return `${this.#peer} was waiting for its turn: the ${size} it had sent are not written`;
    if (this.#error !== null) return `${this.#peer} failed after ${size}: ${reasonOf(this.#error)}${place}`;
    return bytesReceived === 0 ? null : `${this.#peer} was still open after ${size} and was closed${place}`;
  }
}
