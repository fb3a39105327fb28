import { Socket } from "node:net";
import type { Readable } from "node:stream";
import type { Mbuf } from "../mbuf/mbuf.ts";
import type { PageFiller } from "../mbuf/page-filler.ts";
import type { Reader, Sink } from "./reader.ts";
import { watchEnd } from "./true-end.ts";

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
  readonly #onData = (chunk: Buffer): void => this.take(chunk);
  /** The stream's own methods; the user's calls go through ours, so that we know who paused. */
  readonly #pause: Readable["pause"];
  readonly #resume: Readable["resume"];
  #unwatchEnd: () => void = () => {};
  #isStopped = false;
  #isPausedByUser = false;

  constructor(stream: Readable, pageSizeBytes: number, filler: PageFiller, sink: Sink) {
    this.#stream = stream;
    this.#pageSizeBytes = pageSizeBytes;
    this.#filler = filler;
    this.#sink = sink;
    this.#pause = stream.pause.bind(stream);
    this.#resume = stream.resume.bind(stream);
  }

  attach(): void {
    const stream = this.#stream;
    this.#isPausedByUser = stream.isPaused();
    stream.on("data", this.#onData);
    if (stream instanceof Socket) this.#unwatchEnd = watchEnd(stream);
    stream.pause = () => {
      this.#isPausedByUser = true;
      return this.#pause();
    };
    stream.resume = () => {
      this.#isPausedByUser = false;
      if (!this.#isStopped) this.#resume(); // else when we go on: not past what waits, or the end would come first
      this.#sink.resumed();
      return stream;
    };
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  get isPausedByUser(): boolean {
    return this.#isPausedByUser;
  }

  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.pauses++;
    if (!this.#isPausedByUser) this.#pause();
  }

  start(): void {
    if (!this.#isStopped) return;
    this.#isStopped = false;
    if (!this.#isPausedByUser) this.#resume();
  }

  end(): void {}

  close(): void {
    this.#stream.off("data", this.#onData);
    this.#unwatchEnd();
    Reflect.deleteProperty(this.#stream, "pause");
    Reflect.deleteProperty(this.#stream, "resume");
  }

  /** Takes bytes that are the reader's own: they wait in the stream, behind what is there, and come back as `'data'`. */
  park(bytes: Buffer): void {
    this.stop();
    this.#stream.push(bytes);
  }

  /** Copies a chunk, which it may keep, into pages, one after the other, and hands them on. */
  take(chunk: Buffer): void {
    try {
      this.reads++;
      for (let start = 0; start < chunk.length; start += this.#pageSizeBytes) {
        const mbuf = this.#nextMbuf(chunk.subarray(start, start + this.#pageSizeBytes));
        if (mbuf === null) return this.#putBack(chunk.subarray(start));
        this.#sink.push(mbuf);
      }
      // Another chunk may have come while the consumer was looking at this one (TLS does that) and been put back.
      if (this.#isStopped && this.#sink.isReady() && this.#sink.wantsMore()) this.start();
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
