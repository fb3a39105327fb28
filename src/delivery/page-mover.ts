import type { Socket } from "node:net";
import type { Writable } from "node:stream";
import { joinViews } from "../mbuf/join-views.ts";
import type { Mbuf } from "../mbuf/mbuf.ts";
import type { JumboPool } from "../pool/pool.ts";
import { receive } from "../tcp/receive.ts";
import { letGoWith } from "../pool/let-go.ts";
import type { Mover } from "./mover.ts";

/** How much is gathered at most before it is written: enough for the price of a system call to vanish beside that of the copy. */
const GATHER_BYTES = 524_288;

/** What is written next: mbufs with a hold of ours, and their bytes, taken while nobody could have closed their pool. */
type Gathered = { readonly mbufs: Mbuf[]; readonly views: Buffer[]; lengthBytes: number };

/**
 * The engine that works everywhere: what is received is written to the target from the pages it was received into.
 *
 *     kernel ──▶ page ──▶ mbuf ──write──▶ target       the page is held until the write's callback
 *                  └──────── window ───────┘           full: the source pauses; half empty: it goes on
 *
 * What one turn of the event loop brings is gathered and written with one system call; pages that lie side by side, as one piece.
 */
export class PageMover implements Mover {
  readonly engine = "pages";
  bytesRead = 0;
  bytesWritten = 0;
  pagesPinned = 0;
  pagesPinnedPeak = 0;
  pauses = 0;
  hasEnded = false;
  readonly #from: Socket;
  readonly #to: Writable;
  readonly #pool: JumboPool;
  readonly #windowPages: number;
  #isPaused = false;
  /** Held, in order; their writing has not begun. */
  #gathered: Gathered = { mbufs: [], views: [], lengthBytes: 0 };
  /** The end of the turn, when something is gathered. */
  #flushing: NodeJS.Immediate | null = null;
  readonly #flush = (): void => this.#writeGathered();
  readonly #onEnd = (): void => {
    this.hasEnded = true;
    this.#writeGathered();
    this.#to.end();
  };

  constructor(from: Socket, to: Writable, pool: JumboPool, windowPages: number) {
    this.#from = from;
    this.#to = to;
    this.#pool = pool;
    this.#windowPages = windowPages;
  }

  /** @throws JumboError as `receive()` */
  start(): void {
    const readPagesMax = Math.max(1, this.#windowPages >> 2);
    receive(this.#from, { pool: this.#pool, readPagesMax }, (mbuf) => this.#gather(mbuf));
    this.#from.once("end", this.#onEnd);
  }

  close(): void {
    this.#from.off("end", this.#onEnd);
    this.#letGo(this.#takeGathered().mbufs); // nothing unless it failed
  }

  /** Each mbuf is counted as a page: none is more, and small ones may share one. */
  #gather(mbuf: Mbuf): boolean {
    const gathered = this.#gathered;
    gathered.views.push(mbuf.bytes);
    gathered.mbufs.push(mbuf.hold());
    gathered.lengthBytes += mbuf.length;
    this.bytesRead += mbuf.length;
    this.pagesPinned++;
    this.pagesPinnedPeak = Math.max(this.pagesPinnedPeak, this.pagesPinned);
    if (gathered.lengthBytes >= GATHER_BYTES) this.#writeGathered();
    else this.#flushing ??= setImmediate(this.#flush);
    if (this.pagesPinned < this.#windowPages) return true;
    this.#isPaused = true;
    this.pauses++;
    return false;
  }

  #writeGathered(): void {
    const gathered = this.#takeGathered();
    const views = joinViews(gathered.views);
    const last = views.pop();
    if (last === undefined) return;
    this.#to.cork();
    for (const view of views) this.#to.write(view);
    this.#to.write(last, () => this.#written(gathered)); // called back in order, also when the target is destroyed
    this.#to.uncork();
  }

  #takeGathered(): Gathered {
    if (this.#flushing !== null) clearImmediate(this.#flushing);
    this.#flushing = null;
    const gathered = this.#gathered;
    this.#gathered = { mbufs: [], views: [], lengthBytes: 0 };
    return gathered;
  }

  #written({ mbufs, lengthBytes }: Gathered): void {
    this.#letGo(mbufs);
    this.bytesWritten += lengthBytes;
    this.#goOn();
  }

  #letGo(mbufs: readonly Mbuf[]): void {
    for (const mbuf of mbufs) letGoWith(() => mbuf.release());
    this.pagesPinned -= mbufs.length;
  }

  #goOn(): void {
    if (!this.#isPaused || this.pagesPinned > this.#windowPages / 2) return;
    this.#isPaused = false;
    this.#from.resume();
  }
}
