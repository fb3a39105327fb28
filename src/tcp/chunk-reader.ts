import type { Readable } from "node:stream";
import type { Mbuf } from "../mbuf/mbuf.ts";
import type { PageFiller } from "./page-filler.ts";
import type { Reader, Sink } from "./reader.ts";

/**
 * The portable engine: Node reads into a chunk of its own, and the chunk is copied into pages.
 *
 * For sockets that cannot be armed, for a Node whose internals are not as we know them, and for any other readable stream.
 * Pages are filled one at a time: what the consumer does not want yet is put back into the stream, where it takes no page
 * and where `'end'` cannot overtake it. So nothing ever waits in the receiver's queue.
 */
export class ChunkReader implements Reader {
  readonly engine = "data";
  reads = 0;
  copiedBytes = 0;
  pauses = 0;
  readonly #stream: Readable;
  readonly #pageSizeBytes: number;
  readonly #filler: PageFiller;
  readonly #sink: Sink;
  /** True while the stream is paused in our name. */
  #isStopped = false;

  constructor(stream: Readable, pageSizeBytes: number, filler: PageFiller, sink: Sink) {
    this.#stream = stream;
    this.#pageSizeBytes = pageSizeBytes;
    this.#filler = filler;
    this.#sink = sink;
  }

  attach(): void {
    this.#stream.on("resume", () => (this.#isStopped &&= this.#stream.isPaused())); // a late 'resume' may follow a newer pause
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
    this.pauses++;
  }

  start(): void {
    if (!this.#isStopped) return;
    this.#isStopped = false;
    this.#stream.resume();
  }

  end(): void {}

  close(): void {}

  /** Takes bytes that are the reader's own: they wait in the stream, behind what is there, and come back as `'data'`. */
  park(bytes: Buffer): void {
    this.stop();
    this.#stream.push(bytes);
  }

  #received(chunk: Buffer): void {
    try {
      this.reads++;
      for (let start = 0; start < chunk.length; start += this.#pageSizeBytes) {
        const mbuf = this.#nextMbuf(chunk.subarray(start, start + this.#pageSizeBytes));
        if (mbuf === null) return this.#putBack(chunk.subarray(start));
        this.#sink.push(mbuf);
      }
    } catch (error) {
      this.#sink.fail(error);
    }
  }

  /** `piece` in a page; null when the consumer does not want it now, or when there is no page. */
  #nextMbuf(piece: Buffer): Mbuf | null {
    if (!this.#sink.wantsMore() || !this.#sink.isReady()) return null;
    const mbuf = this.#filler.copy(piece);
    if (mbuf === null) this.#sink.waitForPages();
    else this.copiedBytes += piece.length;
    return mbuf;
  }

  #putBack(rest: Buffer): void {
    this.stop();
    if (!this.#stream.destroyed) this.#stream.unshift(rest);
  }
}
