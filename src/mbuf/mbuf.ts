import { JumboError } from "../errors.ts";
import { letGoWith } from "../pool/let-go.ts";
import { Segment } from "./segment.ts";
import { ExternalStorage, viewOf } from "./storage.ts";
import type { Storage } from "./storage.ts";

/**
 * Received bytes: a view over storage, at most one page long.
 *
 *     storage  ┌───────────────┬──────────────────┬──────────────┐
 *              │ another mbuf  │ this mbuf's bytes│ not yet used │
 *              └───────────────┴──────────────────┴──────────────┘
 *                              offset ──length──▶
 *
 * What a receiver hands you is **borrowed**: good until your callback returns, until the promise it returned settles, or until
 * your `for await` moves on. {@link hold} keeps it longer, {@link release} lets it go. Forgetting costs nothing: what you did
 * not hold goes back by itself. After the end every use throws `ERR_JUMBO_MBUF_RELEASED`; a `Buffer` taken from {@link bytes}
 * cannot be revoked, so do not use it then.
 *
 * What you make yourself with {@link external} is yours until you let it go.
 *
 * Law: it has one hold on its storage for as long as it is borrowed or held.
 */
export class Mbuf {
  /** How many bytes. */
  readonly length: number;
  readonly #storage: Storage;
  readonly #offset: number;
  #bytes: Buffer | null = null;
  #holds = 0;
  #isBorrowed = true;

  /** @internal Receivers make mbufs, borrowed, each with one hold on `storage` that it takes over. */
  constructor(storage: Storage, offset: number, length: number) {
    this.#storage = storage;
    this.#offset = offset;
    this.length = length;
  }

  /**
   * An mbuf over bytes from elsewhere, yours until you {@link release} it; no copy.
   *
   * When the last mbuf or chain that shows any of them has let go, `freeRoutine(bytes, args)` runs, once, with the very object
   * that was given here, however the views over it were trimmed and split. Until then the bytes are the mbufs': a chain that
   * is their only holder may write to what was trimmed off. mbuf(9), m_extadd()
   *
   * ```ts
   * const m = Mbuf.external(kva_bytes(kva), jumbo_freem, null);
   * ```
   *
   * What the routine throws surfaces from the release; the bytes count as freed.
   * @throws JumboError `ERR_JUMBO_OPTION_INVALID`
   */
  static external<Bytes extends Uint8Array>(bytes: Bytes, freeRoutine: (storage: Bytes) => void): Mbuf;
  /** The same with `args` for the routine. */
  static external<Bytes extends Uint8Array, Args>(
    bytes: Bytes,
    freeRoutine: (storage: Bytes, args: Args) => void,
    args: Args,
  ): Mbuf;
  static external<Bytes extends Uint8Array>(
    bytes: Bytes,
    freeRoutine: (storage: Bytes, args?: unknown) => void,
    args?: unknown,
  ): Mbuf {
    if (!(bytes instanceof Uint8Array))
      throw new JumboError("ERR_JUMBO_OPTION_INVALID", `bytes must be a Uint8Array, not ${String(bytes)}`);
    if (typeof freeRoutine !== "function")
      throw new JumboError("ERR_JUMBO_OPTION_INVALID", `freeRoutine must be a function, not ${String(freeRoutine)}`);
    const storage = new ExternalStorage(bytes, () => freeRoutine(bytes, args));
    return new Mbuf(storage, 0, bytes.length);
  }

  /**
   * Exactly the received bytes, where they are: no copy.
   * @throws JumboError `ERR_JUMBO_MBUF_RELEASED`
   */
  get bytes(): Buffer {
    if (this.isReleased) throw this.#released();
    return (this.#bytes ??= viewOf(this.#storage, this.#offset, this.length));
  }

  /** True once the borrow is over and every hold released; every other use throws then. */
  get isReleased(): boolean {
    return this.#holds === 0 && !this.#isBorrowed;
  }

  /**
   * Keeps the bytes beyond the borrow, until one {@link release} more.
   * @returns this mbuf
   * @throws JumboError `ERR_JUMBO_MBUF_RELEASED`
   */
  hold(): this {
    if (this.isReleased) throw this.#released();
    this.#holds++;
    return this;
  }

  /**
   * Lets one hold go; without a hold, ends the borrow early.
   * @throws JumboError `ERR_JUMBO_MBUF_RELEASED` when nothing is left to let go
   */
  release(): void {
    if (this.isReleased) throw this.#released();
    if (this.#holds > 0) this.#holds--;
    else this.#isBorrowed = false;
    if (this.isReleased) this.#letGo();
  }

  /** Same as {@link release}, but nothing when it was let go inside the block: for `using held = m.hold()`. */
  [Symbol.dispose](): void {
    if (!this.isReleased) this.release();
  }

  /**
   * A copy in memory of your own: for small pieces that are kept long (a held mbuf pins its whole page), and for the APIs
   * that refuse shared memory. The mbuf is as before.
   * @throws JumboError `ERR_JUMBO_MBUF_RELEASED`
   */
  copy(): Buffer<ArrayBuffer> {
    const target = Buffer.allocUnsafeSlow(this.length);
    this.bytes.copy(target);
    return target;
  }

  /**
   * @internal The same bytes for a chain, which takes a hold of its own on their storage.
   * @throws JumboError `ERR_JUMBO_MBUF_RELEASED`
   */
  segment(): Segment {
    if (this.isReleased) throw this.#released();
    const end = this.#offset + this.length;
    return new Segment(this.#storage, this.#offset, this.length, this.#offset, end);
  }

  /** @internal The receiver's end of the borrow. Nothing when the consumer ended it early, or a pool closed by force has taken the page. */
  endBorrow(): void {
    if (!this.#isBorrowed) return;
    this.#isBorrowed = false;
    if (this.#holds === 0) letGoWith(() => this.#letGo());
  }

  #letGo(): void {
    this.#bytes = null;
    this.#storage.release();
  }

  #released(): JumboError {
    const text =
      "this mbuf has been let go: its bytes may belong to somebody else; hold() it for as long as you need it";
    return new JumboError("ERR_JUMBO_MBUF_RELEASED", text);
  }
}
