import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { InvariantError, invariant } from "../invariant.ts";
import type { JumboPool } from "../pool/pool.ts";
import { giveUpOnread, handleOf, isFilledByKernel, isWrapped } from "./node-internals.ts";
import type { OnreadKeys } from "./node-internals.ts";
import { ChunkReader } from "./chunk-reader.ts";
import { ArmedRun } from "./armed-run.ts";
import type { ReadInto } from "./armed-run.ts";
import { enterArmed, leaveArmed } from "./armed-pages.ts";
import type { Armed } from "./armed-pages.ts";
import type { PageFiller } from "../mbuf/page-filler.ts";
import type { Reader, Sink } from "./reader.ts";

/**
 * Where idle sockets land. Node wants a buffer armed on every socket, also on one that may never hear anything; so all of them
 * share this one, and what lands is copied out before the next read. One for each thread; never given back, never handed out.
 */
const LANDING_BYTES = 16_384;
const landingStrip: Buffer = Buffer.allocUnsafeSlow(LANDING_BYTES);
/** Views of its first n bytes for the short reads that come again and again; making one costs more than copying what it shows. */
const landedViews: Buffer[] = Array.from({ length: 1025 }, (_, lengthBytes) => landingStrip.subarray(0, lengthBytes));

/** How often one socket may be put back on the strip by the sweep: each time costs Node about 100 bytes until the socket closes. */
const LAND_NOW_MAX = 4096;

/**
 * The `onread` engine: the kernel writes into pages of the pool, and those are what the consumer sees.
 *
 *     idle ── a read that fits the strip ───▶ copied into shared pages; idle again
 *       └──── a read that fills the strip ──▶ copied, there is more: armed
 *     armed ─ a read ──▶ an mbuf over each page that was filled; armed: the same pages when nobody kept an mbuf, their rest, or others
 *       └──── quiet for a while, or no page to be had ──▶ idle; what is left of a page goes to the filler
 *
 * Lifetimes: an armed page has one hold of ours, from before Node is given the view until Node has been given another one or
 * has closed the handle. Node's callback gets the view it filled and then asks for the next, synchronously, so between two
 * reads exactly one view is armed: `#region`. Neither function may throw: Node would go on filling what it handed over.
 */
export class PageReader implements Reader, Armed {
  readonly engine = "onread";
  /** Takes what comes as `'data'`: what Node had buffered before we came, and what was parked. Pausing in the user's sense is its business too. */
  readonly #chunks: ChunkReader;
  readonly #socket: Socket;
  readonly #pool: JumboPool;
  readonly #filler: PageFiller;
  readonly #sink: Sink;
  readonly #landing: Buffer;
  readonly #keys: OnreadKeys;
  #region: Buffer;
  /** The armed pages; none while the landing strip is armed. */
  readonly #run: ArmedRun;
  /** An async consumer has had its turn, in microtasks: it may have taken all that was read. Still before the next read. */
  readonly #afterConsumer = (): void => process.nextTick(this.#stopIfBehind);
  readonly #stopIfBehind = (): void => {
    if (!this.#sink.wantsMore()) this.stop();
  };
  #reads = 0;
  #copiedBytes = 0;
  /** Law, checked at the end: what the socket says it has read since we came = what came to the armed region. */
  #armedBytes = 0;
  readonly #bytesReadBefore: number;
  #readsAtSweep = 0;
  #landNowLeft = LAND_NOW_MAX;

  constructor(socket: Socket, keys: OnreadKeys, into: ReadInto, sink: Sink) {
    const { pool, filler } = into;
    this.#keys = keys;
    this.#bytesReadBefore = socket.bytesRead;
    this.#socket = socket;
    this.#pool = pool;
    this.#filler = filler;
    this.#sink = sink;
    this.#chunks = new ChunkReader(socket, pool.pageSizeBytes, filler, sink);
    // TLS must get room for a whole record: it would deliver the pieces of one around those of the next (see isFilledByKernel).
    this.#landing = isTls(socket)
      ? landingStrip
      : landingStrip.subarray(0, Math.min(LANDING_BYTES, pool.pageSizeBytes));
    this.#region = this.#landing;
    this.#run = new ArmedRun(into);
  }

  /** Arms the socket in place: at once, or when it gets its handle. */
  attach(): void {
    const socket = this.#socket;
    const keys = this.#keys;
    Reflect.set(socket, keys.buffer, this.#region);
    Reflect.set(socket, keys.callback, (lengthBytes: number, region: Uint8Array) =>
      this.#received(lengthBytes, region),
    );
    Reflect.set(socket, keys.generator, () => this.#region);
    handleOf(socket)?.useUserBuffer(this.#region);
    this.#chunks.attach();
  }

  get reads(): number {
    return this.#reads + this.#chunks.reads;
  }

  get copiedBytes(): number {
    return this.#copiedBytes + this.#chunks.copiedBytes;
  }

  get pauses(): number {
    return this.#chunks.pauses;
  }

  get isPausedByUser(): boolean {
    return this.#chunks.isPausedByUser;
  }

  stop(): void {
    if (Reflect.get(this.#socket, "secureConnecting") === true) return; // the handshake must go on; it brings no bytes of the peer's
    this.#chunks.stop(); // with onread, pausing a socket stops its handle at once
  }

  start(): void {
    this.#chunks.start();
  }

  end(): void {
    const handle = handleOf(this.#socket);
    if (handle && isWrapped(handle)) return;
    if (this.#run.isArmed) this.landNow();
    const missedBytes = this.#socket.bytesRead - this.#bytesReadBefore - this.#armedBytes;
    if (missedBytes === 0) return;
    // Seen on no Node so far. It would mean that bytes were read which nobody was given.
    const reason = `Node ${process.version} read ${missedBytes} bytes past the armed buffer`;
    giveUpOnread(reason);
    this.#sink.fail(new InvariantError(`${reason}; the "data" engine is used from now on`));
  }

  close(): void {
    this.#land();
    this.#chunks.close();
    for (const key of Object.values(this.#keys)) Reflect.set(this.#socket, key, null); // as net.Socket has them without onread
  }

  wasQuiet(): boolean {
    const wasQuiet = this.#reads === this.#readsAtSweep;
    this.#readsAtSweep = this.#reads;
    return wasQuiet;
  }

  landNow(): void {
    const handle = handleOf(this.#socket);
    if (!handle || isWrapped(handle)) return; // closing, or not ours to arm: close() comes
    this.#landNowLeft--;
    Reflect.set(this.#socket, this.#keys.buffer, this.#landing);
    handle.useUserBuffer(this.#landing); // before the page is let go
    this.#land();
  }

  /** Node has written `lengthBytes` to the armed region. */
  #received(lengthBytes: number, region: Uint8Array): boolean {
    try {
      invariant(region === this.#region && lengthBytes <= region.length, "Node fills the region that is armed");
      this.#reads++;
      this.#armedBytes += lengthBytes;
      if (!this.#run.isArmed) this.#takeLanded(landedViews[lengthBytes] ?? landingStrip.subarray(0, lengthBytes));
      else if (this.#isBehind()) this.#park(this.#region.subarray(0, lengthBytes));
      else for (const mbuf of this.#run.cut(lengthBytes)) this.#sink.push(mbuf); // all cut first: the consumer of one may destroy the socket
      this.#arm(lengthBytes === region.length);
    } catch (error) {
      this.#land(); // what was just filled may be held: Node must not fill it again, not even while it closes
      this.#sink.fail(error);
    }
    return !this.#chunks.isStopped; // pushing parked bytes makes Node start the handle again: this stops it
  }

  /** Law: while anything waits in the stream's own buffer, everything goes through it; so nothing overtakes. */
  #isBehind(): boolean {
    return this.#chunks.isStopped || this.#socket.readableLength > 0;
  }

  /** Copies what landed into pages, if the consumer can have it now. */
  #takeLanded(bytes: Buffer): void {
    if (this.#isBehind() || !this.#sink.isReady()) return this.#park(bytes);
    // The consumer's work on one page of it may bring the next read onto the strip.
    if (bytes.length > this.#pool.pageSizeBytes) return this.#chunks.take(Buffer.from(bytes));
    const mbuf = this.#filler.copy(bytes);
    if (mbuf === null) {
      this.#sink.waitForPages();
      return this.#park(bytes);
    }
    this.#copiedBytes += bytes.length;
    this.#sink.push(mbuf);
  }

  /**
   * Keeps bytes for which there is no page, or no consumer now, where they would be without us: in the stream's own buffer, so
   * that `'end'` cannot overtake them. Bounded by what Node reads after a stop. They come back through `#chunks`.
   */
  #park(bytes: Buffer): void {
    this.#chunks.park(Buffer.from(bytes));
  }

  /** Chooses the region for the next read, or stops reading. `isFull`: there is more to come. */
  #arm(isFull: boolean): void {
    const isWanted = this.#sink.wantsMore();
    if (this.#isBehind()) {
      this.#land();
      if (isWanted && this.#sink.isReady()) this.start(); // parked while the consumer was looking at this read
      return;
    }
    if (this.#run.isArmed ? this.#armAgain() : isWanted && isFull && this.#armFirst()) this.#region = this.#run.region;
    else this.#land();
    if (isWanted) return;
    if (this.#pool.isUnderPressure) this.stop();
    else queueMicrotask(this.#afterConsumer);
  }

  /** From the strip to a page, while there are plenty. */
  #armFirst(): boolean {
    const handle = handleOf(this.#socket);
    if (!handle || !isFilledByKernel(handle) || this.#landNowLeft === 0) return false;
    return this.#pool.availablePages > this.#pool.highPages && enterArmed(this) && this.#run.take();
  }

  /** The same pages again if nobody kept what was in them; else their rest, if that is a good part of them; else others. */
  #armAgain(): boolean {
    if (this.#pool.isUnderPressure) return false;
    if (this.#run.rewind()) return true;
    this.#run.letGo(); // first: its pages may be part of the next run
    return this.#run.take();
  }

  /** Arms the landing strip. */
  #land(): void {
    this.#region = this.#landing;
    leaveArmed(this);
    this.#run.letGo();
  }
}

function isTls(socket: Socket): boolean {
  const handle = handleOf(socket);
  return handle ? !isFilledByKernel(handle) : socket instanceof TLSSocket;
}
