import type { Socket } from "node:net";
import type { Mbuf } from "../mbuf/mbuf.ts";
import { letGoWith } from "../pool/let-go.ts";
import type { JumboPool } from "../pool/pool.ts";
import { receive } from "../tcp/receive.ts";
import type { IntoSource } from "./into-source.ts";
import { putSegments } from "./place-in.ts";

/** Mbufs that wait before the socket is paused; they rarely do, as each is put as soon as the receiver has let it go. */
const WAITING_MAX = 16;

/**
 * The source that works everywhere: what is received into pages is put into the target from there.
 *
 *     kernel ──▶ page ──▶ mbuf, held ──flip or copy──▶ target
 */
export class PageSource implements IntoSource {
  readonly engine = "pages";
  readonly #socket: Socket;
  readonly #more: () => void;
  /** Held, in order; of the first one `#skip` bytes have been put already. */
  readonly #waiting: Mbuf[] = [];
  #skip = 0;
  #isResting = true;
  #isScheduled = false;
  #isClosed = false;

  /** @throws JumboError as `receive()` */
  constructor(socket: Socket, pool: JumboPool, more: () => void) {
    this.#socket = socket;
    this.#more = more;
    receive(socket, { pool }, (mbuf) => this.#take(mbuf));
  }

  putInto(target: Uint8Array): number {
    this.#isResting = false;
    const put = putSegments(this.#segments(), target);
    this.#letGo(put);
    if (put < target.length && !this.#isClosed && this.#socket.isPaused()) this.#socket.resume();
    return put;
  }

  rest(): void {
    this.#isResting = true;
    if (!this.#isClosed && !this.#socket.destroyed) this.#socket.pause();
  }

  close(error: Error | null): void {
    this.#isClosed = true;
    if (error === null) return;
    for (const mbuf of this.#waiting.splice(0)) letGoWith(() => mbuf.release());
    this.#skip = 0;
  }

  #take(mbuf: Mbuf): boolean {
    this.#waiting.push(mbuf.hold());
    // Not now: until this returns the receiver has a hold on the page too, and nothing could be flipped.
    if (!this.#isScheduled) queueMicrotask(() => ((this.#isScheduled = false), this.#more()));
    this.#isScheduled = true;
    return !this.#isResting && this.#waiting.length < WAITING_MAX;
  }

  #segments(): ReturnType<Mbuf["segment"]>[] {
    const segments = this.#waiting.map((mbuf) => mbuf.segment());
    if (this.#skip > 0) segments[0]?.extendFront(-this.#skip); // shorter
    return segments;
  }

  /** Releases what has been put wholly. */
  #letGo(bytes: number): void {
    let left = bytes + this.#skip;
    let count = 0;
    for (const mbuf of this.#waiting) {
      if (mbuf.length > left) break;
      left -= mbuf.length;
      letGoWith(() => mbuf.release());
      count++;
    }
    this.#waiting.splice(0, count);
    this.#skip = left;
  }
}
