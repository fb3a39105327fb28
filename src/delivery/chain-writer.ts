import { MbufChain } from "../mbuf/chain.ts";
import type { Mbuf } from "../mbuf/mbuf.ts";
import { checkedInteger, optionInvalid } from "../option.ts";
import { letGoWith } from "../pool/let-go.ts";
import { isFileTarget, writeFront } from "./file-target.ts";
import type { FileTarget } from "./file-target.ts";

/** What a `ChainWriter` takes beside the file. */
export type ChainWriterOptions = {
  /** So much is unwritten at most, but for what is appended in spite of it (default: 8 MiB). */
  readonly unwrittenBytesMax?: number;
  /** Called once, with what the system says. What was not written is let go, and so is all that comes later. */
  readonly onFailure: (error: unknown) => void;
};

const UNWRITTEN_BYTES_MAX = 8 << 20;
/** Small segments share a page, but each costs an object: so they are limited, too. */
const SEGMENTS_MAX = 4096;
/** Less than that is waited with, for a moment: a call costs tens of microseconds, however little it writes. */
const CALL_BYTES_MIN = 1 << 18;
const LINGER_MS = 1;

/**
 * Writes to a file what comes bit by bit, in order, from where it lies: no copy. What comes while one write is at work gathers for the next.
 *
 *     append ──▶ [ gathers: while one write is at work, or for a millisecond ] ──▶ [ in one writev ] ──▶ page goes back
 *                  full: append() returns a promise, for half of it to be written
 *
 * ```ts
 * const writer = new ChainWriter(handle, { onFailure: (error) => socket.destroy(error) });
 * receive(socket, { pool }, (mbuf) => writer.append(mbuf));
 * await once(socket, "end");
 * await writer.drained();
 * ```
 *
 * Law: appended = written + unwritten, until a failure. It writes at the file's own position, and closes nothing. Thread: that of the storages.
 */
export class ChainWriter {
  readonly #target: FileTarget;
  readonly #unwrittenBytesMax: number;
  readonly #onFailure: (error: unknown) => void;
  /** In order; its front is with the system while one writes. */
  readonly #chain = new MbufChain();
  #isWriting = false;
  #lingering: NodeJS.Timeout | null = null;
  #writtenBytes = 0;
  #hasFailed = false;
  readonly #roomWaiters: (() => void)[] = [];
  readonly #drainWaiters: (() => void)[] = [];

  /** @throws JumboError `ERR_JUMBO_OPTION_INVALID` */
  constructor(target: FileTarget, options: ChainWriterOptions) {
    const { unwrittenBytesMax = UNWRITTEN_BYTES_MAX, onFailure } = options ?? {};
    if (!isFileTarget(target)) throw optionInvalid("target", "a FileHandle or a descriptor", target);
    if (typeof onFailure !== "function") throw optionInvalid("onFailure", "a function", onFailure);
    this.#target = target;
    this.#unwrittenBytesMax = checkedInteger("unwrittenBytesMax", unwrittenBytesMax, 1, Number.MAX_SAFE_INTEGER);
    this.#onFailure = onFailure;
  }

  /** By the system. */
  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  /** Appended, and not written yet. */
  get unwrittenBytes(): number {
    return this.#chain.lengthBytes;
  }

  /**
   * Puts `part` behind: an mbuf by sharing it, bytes by copying them.
   * @returns what `receive()` should be told by its callback: undefined, or, when too much is unwritten, a promise that resolves when half of
   *   that is written, or when writing has failed
   * @throws JumboError as `MbufChain.append`
   */
  append(part: Mbuf | Uint8Array): Promise<void> | undefined {
    if (this.#hasFailed) return undefined;
    this.#chain.append(part);
    this.#writeSoon();
    return this.#isFull ? new Promise((resolve) => this.#roomWaiters.push(resolve)) : undefined;
  }

  /** Resolves when everything is written, or when writing has failed. */
  drained(): Promise<void> {
    if (this.#chain.lengthBytes === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#drainWaiters.push(resolve);
      this.#writeSoon();
    });
  }

  get #isFull(): boolean {
    return this.#chain.lengthBytes >= this.#unwrittenBytesMax || this.#chain.segmentCount >= SEGMENTS_MAX;
  }

  get #isHalfEmpty(): boolean {
    return this.#chain.lengthBytes <= this.#unwrittenBytesMax / 2 && this.#chain.segmentCount <= SEGMENTS_MAX / 2;
  }

  #writeSoon(): void {
    if (this.#isWriting || this.#chain.lengthBytes === 0) return;
    const isEnough = this.#isFull || this.#chain.lengthBytes >= CALL_BYTES_MIN || this.#drainWaiters.length > 0;
    if (isEnough) void this.#write();
    else this.#lingering ??= setTimeout(() => void this.#write(), LINGER_MS);
  }

  async #write(): Promise<void> {
    if (this.#lingering !== null) clearTimeout(this.#lingering);
    this.#lingering = null;
    this.#isWriting = true;
    try {
      this.#writtenBytes += await writeFront(this.#target, this.#chain);
    } catch (error) {
      this.#fail(error);
    }
    this.#isWriting = false;
    this.#wake();
    this.#writeSoon();
  }

  #fail(error: unknown): void {
    this.#hasFailed = true;
    letGoWith(() => this.#chain.trimStart(this.#chain.lengthBytes));
    this.#onFailure(error);
  }

  #wake(): void {
    if (this.#chain.lengthBytes === 0) for (const resolve of this.#drainWaiters.splice(0)) resolve();
    if (this.#isHalfEmpty) for (const resolve of this.#roomWaiters.splice(0)) resolve();
  }
}
