import { writev } from "node:fs";
import { codeOf } from "./failure.ts";

/** Bytes that must stay where they are until they are written: a held mbuf, or a copy with nothing to let go. */
export type Piece = { readonly bytes: Buffer; release(): void };

export type PageWriterOptions = {
  /** Reading should stop when so much is unwritten; it goes on at half of it. */
  readonly unwrittenBytesMax: number;
  /** Called once. What was not written is let go, and so is everything that comes later. */
  readonly onFailure: (error: NodeJS.ErrnoException) => void;
};

/** The system takes at most so many pieces at a time (IOV_MAX on Linux and the BSDs). */
const PIECES_MAX = 1024;
/** One system call writes about so much: enough to be worth the call, and pages come back while a slow reader is served. */
const CALL_BYTES_MAX = 1 << 20;
/** Less than that is waited with, for a moment: a call costs tens of microseconds, however little it writes. */
const CALL_BYTES_MIN = 1 << 18;
const LINGER_MS = 1;
/** Small pieces share a page, but each costs an object: so they are counted too. */
const QUEUED_PIECES_MAX = 4 * PIECES_MAX;
const RETRY_MS_MIN = 1;
const RETRY_MS_MAX = 50;

/**
 * Writes pages to a file descriptor in the order they come, without copying: `writev` takes them where the kernel put them.
 *
 *     add ──▶ [ waiting ] ──▶ [ in one writev ] ──▶ release
 *              gathers while one writev is at work, or for a millisecond; full ──▶ the reader waits for room()
 *
 * One call at a time, on a thread of the pool that Node keeps for files, so receiving goes on meanwhile. Each piece is held
 * until all of it is written: the kernel reads from the page itself. Law: added = written + unwritten, until a failure.
 */
export class PageWriter {
  readonly #fd: number;
  readonly #options: PageWriterOptions;
  /** In order; the first `#calledPieces` are with the system. */
  #queue: Piece[] = [];
  /** How much of the first piece is written already. */
  #firstOffset = 0;
  #isCalling = false;
  #lingering: NodeJS.Timeout | null = null;
  #unwrittenBytes = 0;
  #writtenBytes = 0;
  #failure: NodeJS.ErrnoException | null = null;
  #retryMs = RETRY_MS_MIN;
  readonly #roomWaiters: (() => void)[] = [];
  readonly #drainWaiters: (() => void)[] = [];

  constructor(fd: number, options: PageWriterOptions) {
    this.#fd = fd;
    this.#options = options;
  }

  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  get unwrittenBytes(): number {
    return this.#unwrittenBytes;
  }

  get failure(): NodeJS.ErrnoException | null {
    return this.#failure;
  }

  /** Too much is unwritten: whoever adds should wait for {@link room}. */
  get isFull(): boolean {
    return this.#unwrittenBytes >= this.#options.unwrittenBytesMax || this.#queue.length >= QUEUED_PIECES_MAX;
  }

  /** Takes over one hold on `piece`. */
  add(piece: Piece): void {
    if (this.#failure !== null) return piece.release();
    this.#queue.push(piece);
    this.#unwrittenBytes += piece.bytes.length;
    this.#callSoon();
  }

  /** Resolves when half of what may wait is written, or when writing has failed. */
  room(): Promise<void> {
    if (!this.isFull) return Promise.resolve();
    return new Promise((resolve) => this.#roomWaiters.push(resolve));
  }

  /** Resolves when everything is written, or when writing has failed. */
  drained(): Promise<void> {
    if (this.#queue.length === 0) return Promise.resolve();
    this.#call();
    return new Promise((resolve) => this.#drainWaiters.push(resolve));
  }

  #callSoon(): void {
    const isEnough = this.isFull || this.#unwrittenBytes >= CALL_BYTES_MIN || this.#drainWaiters.length > 0;
    if (isEnough) this.#call();
    else if (!this.#isCalling && this.#queue.length > 0) this.#lingering ??= setTimeout(() => this.#call(), LINGER_MS);
  }

  #call(): void {
    if (this.#lingering !== null) clearTimeout(this.#lingering);
    this.#lingering = null;
    if (this.#isCalling || this.#queue.length === 0) return;
    this.#isCalling = true;
    writev(this.#fd, this.#nextBuffers(), null, (error, writtenBytes) => {
      this.#isCalling = false;
      if (error !== null) this.#onError(error);
      else this.#onWritten(writtenBytes);
    });
  }

  #nextBuffers(): Buffer[] {
    const buffers: Buffer[] = [];
    let bytes = 0;
    for (const piece of this.#queue) {
      if (buffers.length === PIECES_MAX || bytes >= CALL_BYTES_MAX) break;
      const rest = buffers.length === 0 ? piece.bytes.subarray(this.#firstOffset) : piece.bytes;
      buffers.push(rest);
      bytes += rest.length;
    }
    return buffers;
  }

  /** The system may have taken less than it was given: the rest of a piece stays first in line. */
  #onWritten(writtenBytes: number): void {
    this.#retryMs = RETRY_MS_MIN;
    this.#unwrittenBytes -= writtenBytes;
    this.#writtenBytes += writtenBytes;
    let doneBytes = this.#firstOffset + writtenBytes;
    let done = 0;
    for (const piece of this.#queue) {
      if (doneBytes < piece.bytes.length) break;
      doneBytes -= piece.bytes.length;
      piece.release();
      done++;
    }
    this.#firstOffset = doneBytes;
    this.#queue.splice(0, done);
    this.#wake();
    if (writtenBytes === 0) this.#retryLater();
    else this.#callSoon();
  }

  /** A pipe that somebody else has made non-blocking says EAGAIN when it is full; that is no error. */
  #onError(error: NodeJS.ErrnoException): void {
    const code = codeOf(error);
    if (code === "EAGAIN" || code === "EINTR") return this.#retryLater();
    this.#failure = error;
    for (const piece of this.#queue) piece.release();
    this.#queue = [];
    this.#unwrittenBytes = 0;
    this.#options.onFailure(error);
    this.#wake();
  }

  #retryLater(): void {
    this.#isCalling = true;
    setTimeout(() => {
      this.#isCalling = false;
      this.#call();
    }, this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS_MAX);
  }

  #wake(): void {
    if (this.#queue.length === 0) for (const resolve of this.#drainWaiters.splice(0)) resolve();
    const isHalfEmpty =
      this.#unwrittenBytes <= this.#options.unwrittenBytesMax / 2 && this.#queue.length <= QUEUED_PIECES_MAX / 2;
    if (isHalfEmpty || this.#failure !== null) for (const resolve of this.#roomWaiters.splice(0)) resolve();
  }
}
