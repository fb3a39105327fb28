import type { Readable } from "node:stream";
import type { PageFiller } from "./page-filler.ts";
import type { Reader, Sink } from "./reader.ts";

/**
 * The portable engine: Node reads into a chunk of its own, and the chunk is copied into pages.
 *
 * For sockets that cannot be armed, for a Node whose internals are not as we know them, and for any other readable stream.
 */
export class ChunkReader implements Reader {
  readonly engine = "data";
  reads = 0;
  copiedBytes = 0;
  readonly #stream: Readable;
  readonly #filler: PageFiller;
  readonly #sink: Sink;
  /** True while the stream is paused in our name. */
  #isStopped = false;

  constructor(stream: Readable, filler: PageFiller, sink: Sink) {
    this.#stream = stream;
    this.#filler = filler;
    this.#sink = sink;
  }

  attach(): void {
    this.#stream.on("resume", () => (this.#isStopped = false));
    this.#stream.on("data", (chunk: Buffer) => this.#received(chunk));
  }

  get isPausedByUser(): boolean {
    return !this.#isStopped && this.#stream.isPaused();
  }

  pauseForUser(): void {
    this.#isStopped = false;
    this.#stream.pause();
  }

  stop(): void {
    if (this.#stream.isPaused()) return;
    this.#stream.pause();
    this.#isStopped = true;
  }

  start(): void {
    if (!this.#isStopped) return;
    this.#isStopped = false;
    this.#stream.resume();
  }

  close(): void {}

  #received(chunk: Buffer): void {
    try {
      this.reads++;
      this.copiedBytes += chunk.length;
      this.#filler.copy(chunk, (mbuf) => this.#sink.push(mbuf));
      if (!this.#sink.wantsMore()) this.stop();
    } catch (error) {
      this.#sink.fail(error);
    }
  }
}
