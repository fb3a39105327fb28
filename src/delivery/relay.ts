import { Socket } from "node:net";
import { finished } from "node:stream";
import { JumboError } from "../errors.ts";
import { checkedInteger, optionInvalid } from "../option.ts";
import { loadSpliceCalls } from "../os/splice-calls.ts";
import type { SpliceCalls } from "../os/splice-calls.ts";
import { JumboPool } from "../pool/pool.ts";
import { assertReceivable } from "../tcp/receive.ts";
import { whyNoHandles } from "../udp/node-internals.ts";
import type { Mover, RelayEngine } from "./mover.ts";
import { PageMover } from "./page-mover.ts";
import { isTcp, whyNoKernelSocket } from "./socket-handle.ts";
import { SpliceMover } from "./splice-mover.ts";

/** What `relay()` takes beside the sockets. */
export type RelayOptions = {
  /** Where the pages come from, when pages are needed. Any number of relays share one pool. */
  readonly pool: JumboPool;
  /** Ends the relay, with its reason, and destroys both sockets. */
  readonly signal?: AbortSignal | undefined;
  /** `auto` (default): `splice` where the kernel can move the bytes by itself, else `pages`, with the reason in `stats()`. */
  readonly engine?: "auto" | RelayEngine;
  /** The most pages that wait for the target (default: 1 MiB of them, 16 at least): then the source waits. */
  readonly windowPages?: number;
};

/** What a relay has done. Law: `bytesRead ≥ bytesWritten`; at a good end they are equal. */
export type RelayStats = {
  readonly engine: RelayEngine;
  /** Why it is not `splice`; null when it is, or when the caller chose. */
  readonly engineReason: string | null;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Pages that wait for the target now, and the most that did; 0 with `splice`. */
  readonly pagesPinned: number;
  readonly pagesPinnedPeak: number;
  /** How often reading stopped because the target was behind. */
  readonly pauses: number;
};

const WINDOW_BYTES = 2 ** 20;
const WINDOW_PAGES_MIN = 16;
const WINDOW_PAGES_MAX = 65_536;

/** The sources of the relays that run. */
const relayed = new WeakSet<Socket>();

/**
 * Moves everything that `from` receives to `to`: one direction of a TCP proxy. No copy: with `splice` the kernel moves the bytes, with
 * `pages` they are written from the pages they were received into.
 *
 * ```ts
 * await Promise.all([relay(client, server, { pool }).done, relay(server, client, { pool }).done]);
 * ```
 *
 * When `from` has ended and all is written, `to` is ended: its other direction stays open. For two directions both sockets need
 * `allowHalfOpen: true`, or Node ends the second with the first.
 *
 * A failure of either (a reset, a socket that is destroyed before its end), or `signal`, destroys both, with a reset, so that no peer takes what
 * came for all there was (one that was not yet connected has nothing, and sees an end); pages that are being written are back with the
 * `'close'` of `to`. Until the end both sockets are the relay's: do not read from the one, write to the other, pause, or resume.
 *
 * At most `windowPages` pages wait for `to`; with `splice` none do, but what is in one pipe of the kernel's.
 * @throws JumboError `ERR_JUMBO_OPTION_INVALID`, `ERR_JUMBO_SOCKET_INVALID`, `ERR_JUMBO_RECEIVER_ACTIVE`, `ERR_JUMBO_POOL_CLOSED`
 */
export function relay(from: Socket, to: Socket, options: RelayOptions): Relay {
  return new Relay(from, to, checked(from, to, options));
}

type Checked = Required<Omit<RelayOptions, "signal">> & { readonly signal: AbortSignal | undefined };

/** What `relay()` returns. */
export class Relay {
  /** Settles once: when everything is written and `to` has been ended, or with what went wrong first. */
  readonly done: Promise<void>;
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #signal: AbortSignal | undefined;
  #mover: Mover;
  #engineReason: string | null = null;
  #endsMissing = 2;
  #isDone = false;
  #resolve: () => void = () => {};
  #reject: (error: unknown) => void = () => {};
  readonly #onAbort = (): void => this.#fail(this.#signal?.reason);

  /** @internal Made by `relay()`. */
  constructor(from: Socket, to: Socket, options: Checked) {
    this.#from = from;
    this.#to = to;
    this.#signal = options.signal;
    this.#mover = this.#choose(options);
    this.#mover.start();
    relayed.add(from);
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    for (const socket of [from, to]) socket.on("error", ignore);
    finished(from, { writable: false }, (error) => this.#finished(error));
    finished(to, { readable: false }, (error) => this.#finished(error ?? this.#tooEarly()));
    if (options.signal?.aborted === true) this.#onAbort();
    else options.signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** Counters of this direction; cheap. */
  stats(): RelayStats {
    const { engine, bytesRead, bytesWritten, pagesPinned, pagesPinnedPeak, pauses } = this.#mover;
    return { engine, engineReason: this.#engineReason, bytesRead, bytesWritten, pagesPinned, pagesPinnedPeak, pauses };
  }

  /** @throws JumboError when the caller's choice cannot be had */
  #choose({ engine, pool, windowPages }: Checked): Mover {
    const [from, to] = [this.#from, this.#to];
    const pages = (): PageMover => new PageMover(from, to, pool, windowPages);
    if (engine === "pages") return pages();
    const found = spliceFor(from, to);
    if (found.calls !== null) {
      return new SpliceMover(from, to, found.calls, (reason) => {
        this.#engineReason = reason;
        this.#replace(pages());
      });
    }
    if (engine === "splice") throw optionInvalid("engine", `one that can be had (${found.reason})`, engine);
    this.#engineReason = found.reason;
    return pages();
  }

  /** Goes on with pages, when the kernel turns out not to move the bytes: before it has moved any. */
  #replace(mover: PageMover): void {
    mover.bytesRead = this.#mover.bytesRead;
    mover.bytesWritten = this.#mover.bytesWritten;
    this.#mover = mover;
    try {
      mover.start();
    } catch (error) {
      this.#fail(error);
    }
  }

  #finished(error: Error | null | undefined): void {
    if (error !== null && error !== undefined) this.#fail(error);
    else if (--this.#endsMissing === 0 && !this.#isDone) this.#succeed();
  }

  /** The target was ended, and not by us: what is still to come would be lost. */
  #tooEarly(): Error | null {
    if (this.#mover.hasEnded) return null;
    return Object.assign(new Error("the target of a relay was ended before its source"), {
      code: "ERR_STREAM_PREMATURE_CLOSE",
    });
  }

  #succeed(): void {
    for (const socket of [this.#from, this.#to]) socket.off("error", ignore);
    this.#settle(this.#resolve);
  }

  #fail(error: unknown): void {
    if (this.#isDone) return;
    this.#settle(() => this.#reject(error));
    reset(this.#from); // it is the target of the other direction
    reset(this.#to);
  }

  #settle(answer: () => void): void {
    this.#isDone = true;
    relayed.delete(this.#from);
    this.#mover.close();
    this.#signal?.removeEventListener("abort", this.#onAbort);
    answer();
  }
}

function ignore(): void {}

/** The system calls to move bytes with, or why the kernel cannot move them between these two. */
function spliceFor(from: Socket, to: Socket): { calls: SpliceCalls } | { calls: null; reason: string } {
  const reason = whyNoHandles() ?? whyNoKernelSocket(from) ?? whyNoKernelSocket(to);
  return reason === null ? loadSpliceCalls() : { calls: null, reason };
}

/**
 * Destroys `socket` so that its peer sees a failure and no end, where the protocol can tell them apart. A peer that was told the end has
 * all: it stays so. (And while Node is telling it, `resetAndDestroy()` fails with EINVAL and leaves the descriptor open.)
 */
function reset(socket: Socket): void {
  const hasEnded = socket.writableEnded && socket.writableLength === 0;
  if (isTcp(socket) && !socket.connecting && !socket.destroyed && !hasEnded) socket.resetAndDestroy();
  else socket.destroy();
}

function checked(from: Socket, to: Socket, options: RelayOptions): Checked {
  assertReceivable(from);
  if (!(from instanceof Socket) || !(to instanceof Socket)) throw socketError("relay() wants two net.Sockets");
  if (relayed.has(from))
    throw new JumboError("ERR_JUMBO_RECEIVER_ACTIVE", "this socket is relayed already, until that is done");
  if (to.destroyed || to.writableEnded)
    throw socketError("the target is destroyed or ended: nothing can be written to it");
  const { pool, signal, engine = "auto" } = options ?? {};
  if (!(pool instanceof JumboPool)) throw optionInvalid("pool", "a JumboPool", pool);
  if (pool.isClosed) throw new JumboError("ERR_JUMBO_POOL_CLOSED", "the pool has been closed");
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw optionInvalid("signal", "an AbortSignal", signal);
  if (engine !== "auto" && engine !== "pages" && engine !== "splice")
    throw optionInvalid("engine", '"auto", "pages" or "splice"', engine);
  const { windowPages = Math.max(WINDOW_PAGES_MIN, WINDOW_BYTES / pool.pageSizeBytes) } = options;
  return { pool, signal, engine, windowPages: checkedInteger("windowPages", windowPages, 1, WINDOW_PAGES_MAX) };
}

function socketError(text: string): JumboError {
  return new JumboError("ERR_JUMBO_SOCKET_INVALID", text);
}
