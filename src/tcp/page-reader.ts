import type { Socket } from "node:net";
import { invariant } from "../invariant.ts";
import { Mbuf } from "../mbuf/mbuf.ts";
import type { Page } from "../pool/page.ts";
import type { JumboPool } from "../pool/pool.ts";
import { handleOf } from "./node-internals.ts";
import type { OnreadKeys } from "./node-internals.ts";
import type { PageFiller } from "./page-filler.ts";
import type { Reader, Sink } from "./reader.ts";

/**
 * Where idle sockets land. Node wants a buffer armed on every socket, also on one that may never hear anything; so all of them
 * share this one, and what lands is copied out before the next read. One for each thread; never given back, never handed out.
 */
const LANDING_BYTES = 16_384;
const landingStrip: Buffer = Buffer.allocUnsafeSlow(LANDING_BYTES);

/** How many sockets of this thread may have a page armed at a time: the bound on what sockets that went quiet can pin. */
const ARMED_MAX = 32;
let armedPages = 0;

/**
 * The `onread` engine: the kernel writes into a page of the pool, and that page is what the consumer sees.
 *
 *     idle ── a read that fits the strip ──▶ copied into shared pages, idle again
 *       └──── a read that fills the strip ──▶ a page is armed ──▶ further reads go straight into pages
 *     armed ─ a read that fills the page ──▶ the next page (or the same, when nobody kept it)
 *       └──── a shorter read: all is read ──▶ idle; the page's rest goes to the filler
 *
 * Lifetimes: an armed page has one hold of ours, from before Node is given the view until Node has been given another one or
 * has closed the handle. Node's callback gets the view it filled and then asks for the next, synchronously, so between two
 * reads exactly one view is armed: `#region`. Neither function may throw: Node would go on filling what it handed over.
 */
export class PageReader implements Reader {
  readonly engine = "onread";
  reads = 0;
  copiedBytes = 0;
  readonly #socket: Socket;
  readonly #pool: JumboPool;
  readonly #filler: PageFiller;
  readonly #sink: Sink;
  readonly #landing: Buffer;
  readonly #push: (mbuf: Mbuf) => void;
  #region: Buffer;
  /** The armed page, or null while the landing strip is armed. */
  #page: Page | null = null;
  #offset = 0;
  #isStopped = false;

  constructor(socket: Socket, pool: JumboPool, filler: PageFiller, sink: Sink) {
    this.#socket = socket;
    this.#pool = pool;
    this.#filler = filler;
    this.#sink = sink;
    this.#push = (mbuf): void => sink.push(mbuf);
    this.#landing = landingStrip.subarray(0, Math.min(LANDING_BYTES, pool.pageSizeBytes));
    this.#region = this.#landing;
  }

  /** Arms the socket in place: at once, or when it gets its handle. */
  attach(keys: OnreadKeys): void {
    const socket = this.#socket;
    Reflect.set(socket, keys.buffer, this.#region);
    Reflect.set(socket, keys.callback, (lengthBytes: number, region: Uint8Array) => this.#received(lengthBytes, region));
    Reflect.set(socket, keys.generator, () => this.#region);
    handleOf(socket)?.useUserBuffer(this.#region); // once: each call costs Node ~100 bytes until the socket closes
    // Once armed, 'data' sees only what Node had buffered before. And should a future Node not heed the
    // symbols, everything comes this way: copied, counted, and not lost.
    socket.on("data", (chunk: Buffer) => this.#receivedChunk(chunk));
  }

  get isPausedByUser(): boolean {
    return this.#socket.isPaused();
  }

  pauseForUser(): void {
    this.#socket.pause();
  }

  stop(): void {
    this.#isStopped = true;
    const handle = handleOf(this.#socket);
    if (handle?.reading !== true || this.#socket.connecting) return;
    handle.reading = false; // what net.Socket does when a callback returns false
    handle.readStop();
  }

  start(): void {
    if (!this.#isStopped) return;
    this.#isStopped = false;
    if (!this.isPausedByUser && !this.#socket.destroyed) this.#socket.read(0); // starts the handle; with onread there is nothing to return
  }

  close(): void {
    this.#land();
  }

  /** Node has written `lengthBytes` to the armed region. */
  #received(lengthBytes: number, region: Uint8Array): boolean {
    try {
      invariant(region === this.#region && lengthBytes <= region.length, "Node fills the region that is armed");
      this.reads++;
      const page = this.#page;
      if (page === null) this.#copy(this.#landing.subarray(0, lengthBytes));
      else {
        const mbuf = new Mbuf(page.hold(), this.#offset, lengthBytes);
        this.#offset += lengthBytes;
        this.#sink.push(mbuf);
      }
      return this.#arm(lengthBytes === region.length);
    } catch (error) {
      this.#land(); // what was just filled may be held: Node must not fill it again, not even while it closes
      this.#sink.fail(error);
      return false;
    }
  }

  #receivedChunk(chunk: Buffer): void {
    try {
      this.reads++;
      this.#copy(chunk);
      if (!this.#sink.wantsMore()) this.stop();
    } catch (error) {
      this.#sink.fail(error);
    }
  }

  #copy(bytes: Uint8Array): void {
    this.copiedBytes += bytes.length;
    this.#filler.copy(bytes, this.#push);
  }

  /** Chooses the region for the next read. `isFull`: there is more to come. Returns whether to read on. */
  #arm(isFull: boolean): boolean {
    const isWanted = this.#sink.wantsMore();
    if (!isWanted) this.#isStopped = true;
    if (!isWanted || !isFull || !this.#armPage()) this.#land();
    return isWanted;
  }

  /** Arms a whole page. False when there is none to be had. */
  #armPage(): boolean {
    if (this.#page === null || this.#page.holdCount > 1) {
      if (this.#page === null && armedPages >= ARMED_MAX) return false;
      const page = this.#pool.alloc();
      if (page === null) return false;
      this.#disarm();
      this.#page = page;
      armedPages++;
    }
    this.#region = this.#page.bytes;
    this.#offset = 0;
    return true;
  }

  /** Arms the landing strip. */
  #land(): void {
    this.#disarm();
    this.#region = this.#landing;
  }

  #disarm(): void {
    const page = this.#page;
    if (page === null) return;
    this.#page = null;
    armedPages--;
    if (page.isReleased) return; // its pool was closed by force
    if (page.holdCount > 1) this.#filler.adopt(page, this.#offset);
    page.release();
  }
}
