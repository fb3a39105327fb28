import type { Socket } from "node:net";
import type { Writable } from "node:stream";
import type { Mbuf } from "../mbuf/mbuf.ts";
import { loadSpliceCalls } from "../os/splice-calls.ts";
import type { JumboPool } from "../pool/pool.ts";
import { receive } from "../tcp/receive.ts";
import { systemError } from "../os/system-error.ts";
import { letGoWith } from "../pool/let-go.ts";
import type { Mover } from "./mover.ts";
import { descriptorOf } from "./socket-handle.ts";

/** Pages that are gathered at most before they are written: enough for one system call to be worth its price. */
const GATHER_PAGES = 8;

/**
 * The engine that works everywhere: what is received is written to the target from the pages it was received into.
 *
 *     kernel ──▶ page ──▶ mbuf ──write──▶ target       the page is held until the write's callback
 *                  └──────── window ───────┘           full: the source pauses; half empty: it goes on
 *
 * What one turn of the event loop brings is gathered and written with one system call.
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
  #gathered = 0;
  /** The end of the turn, when something is gathered. */
  #flushing: NodeJS.Immediate | null = null;
  readonly #flush = (): void => {
    if (this.#flushing !== null) clearImmediate(this.#flushing);
    this.#flushing = null;
    this.#gathered = 0;
    this.#to.uncork();
  };
  readonly #fail: (error: Error) => void;
  readonly #onEnd = (): void => {
    const error = errorBehindEnd(this.#from);
    if (error !== null) return this.#fail(error);
    this.hasEnded = true;
    this.#to.end(); // everything was handed to write() before
  };

  constructor(from: Socket, to: Writable, pool: JumboPool, windowPages: number, fail: (error: Error) => void) {
    this.#fail = fail;
    this.#from = from;
    this.#to = to;
    this.#pool = pool;
    this.#windowPages = windowPages;
  }

  /** @throws JumboError as `receive()` */
  start(): void {
    receive(this.#from, { pool: this.#pool }, (mbuf) => this.#write(mbuf));
    this.#from.once("end", this.#onEnd);
  }

  close(): void {
    this.#from.off("end", this.#onEnd);
  }

  /** Each mbuf is counted as a page: none is more, and small ones may share one. */
  #write(mbuf: Mbuf): boolean {
    this.#gather();
    mbuf.hold();
    const { length } = mbuf;
    this.bytesRead += length;
    this.pagesPinned++;
    if (this.pagesPinned > this.pagesPinnedPeak) this.pagesPinnedPeak = this.pagesPinned;
    this.#to.write(mbuf.bytes, () => {
      letGoWith(() => mbuf.release());
      this.bytesWritten += length;
      this.pagesPinned--;
      this.#goOn();
    });
    if (++this.#gathered === GATHER_PAGES) this.#flush();
    if (this.pagesPinned < this.#windowPages) return true;
    this.#isPaused = true;
    this.pauses++;
    return false;
  }

  /** Corks the target until the end of this turn, or until enough is gathered. */
  #gather(): void {
    if (this.#flushing !== null) return;
    this.#to.cork();
    this.#flushing = setImmediate(this.#flush);
  }

  #goOn(): void {
    if (!this.#isPaused || this.pagesPinned > this.#windowPages / 2) return;
    this.#isPaused = false;
    this.#from.resume();
  }
}

/**
 * Node 20 and 22 tell of an end when a reset arrives together with the last bytes (libuv takes a hang-up after a short read for one), though the
 * system still has the error. Asked for where there are system calls; null when it was an end.
 */
function errorBehindEnd(socket: Socket): Error | null {
  const fd = descriptorOf(socket);
  const errno = fd < 0 ? 0 : (loadSpliceCalls().calls?.takeError(fd) ?? 0);
  return errno > 0 ? systemError(-errno, "read") : null;
}
