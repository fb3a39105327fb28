import type { Socket } from "node:net";
import type { JumboPool } from "../index.ts";
import { receive } from "../tcp/index.ts";
import type { Mbuf, OnMbuf, Receiver, ReceiverStats } from "../tcp/index.ts";
import type { Failure } from "./failure.ts";
import type { EngineName } from "./engines.ts";
import type { Output, Sink } from "./output.ts";

/** How a connection has ended. */
export type ConnectionEnd = {
  readonly peer: string;
  readonly stats: ReceiverStats;
  /** `complete`: the sender has ended it. `cut`: we have, because the session ends. */
  readonly how: "complete" | "cut" | "failed";
  /** Why it failed: what the socket said, or a {@link Failure} of the output. */
  readonly error: Error | null;
  /** The file of this connection alone. */
  readonly file: { readonly path: string; readonly bytes: number } | null;
  /** It was waiting for its turn: what it had sent is in no file. */
  readonly wasWaiting: boolean;
};

export type ConnectionOptions = {
  readonly pool: JumboPool;
  readonly engine: EngineName;
  readonly output: Output;
  /** Called for each mbuf. */
  readonly onBytes: () => void;
  /** Called once, when the socket is closed and everything that came is written. */
  readonly onEnd: (connection: Connection, end: ConnectionEnd) => void;
};

/** One sender: its socket, the receiver that fills pages from it, and the sink that takes them. */
export class Connection {
  readonly peer: string;
  readonly #socket: Socket;
  readonly #receiver: Receiver;
  readonly #sink: Sink;
  readonly #options: ConnectionOptions;
  #error: Error | null = null;
  #hasEnded = false;
  #isCut = false;

  /** To be made in the handler that is given `socket`, before any byte is read. */
  constructor(socket: Socket, peer: string, options: ConnectionOptions) {
    this.peer = peer;
    this.#socket = socket;
    this.#options = options;
    this.#sink = options.output.sinkFor({
      peer,
      goOn: () => void socket.resume(),
      stop: (failure) => this.#stop(failure),
    });
    this.#receiver = receive(socket, { pool: options.pool, engine: options.engine }, (mbuf) => this.#take(mbuf));
    socket.on("end", () => (this.#hasEnded = true));
    socket.on("error", (error: Error) => (this.#error ??= error));
    socket.on("close", () => void this.#onClose());
  }

  stats(): ReceiverStats {
    return this.#receiver.stats();
  }

  /** Ends it from our side: what has been received is written, what is still on its way is not read. */
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
    if (this.#sink.isWaiting || this.stats().bytesQueued === 0) this.#socket.destroy();
  }

  #stop(failure: Failure): void {
    this.#error ??= failure;
    this.#socket.destroy();
  }

  async #onClose(): Promise<void> {
    const wasWaiting = this.#sink.isWaiting;
    await this.#sink.end();
    const isComplete = this.#hasEnded && this.#error === null;
    this.#options.onEnd(this, {
      peer: this.peer,
      stats: this.stats(),
      how: isComplete ? "complete" : this.#error === null ? "cut" : "failed",
      error: this.#error,
      file: this.#sink.ownFile(),
      wasWaiting,
    });
  }
}
