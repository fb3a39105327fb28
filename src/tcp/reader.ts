import type { Mbuf } from "../mbuf/mbuf.ts";

/** Names of the engines that fill pages from a socket. */
export type TcpEngine = "onread" | "data";

/** Takes what a reader has read. Internal. */
export type Sink = {
  /** Takes over a borrowed mbuf. */
  push(mbuf: Mbuf): void;
  /** Asked after each read: false stops the reader until it is started again. */
  wantsMore(): boolean;
  /** True when an mbuf would reach the consumer at once, and not wait in the queue. */
  isReady(): boolean;
  /** There was no page for bytes that were read: they are kept aside, and the reader is started again when there is one. */
  waitForPages(): void;
  /** The user called `resume()`. */
  resumed(): void;
  /** Something threw: the consumer, or a pool that was closed under us. */
  fail(error: unknown): void;
};

/**
 * Gets bytes from a socket into pages. Internal.
 *
 * Pausing by the user (`socket.pause()`) and stopping by us are two things: we never start what the user has paused,
 * and the user's `resume()` does not start what we have stopped.
 */
export type Reader = {
  readonly engine: TcpEngine;
  readonly reads: number;
  /** Bytes that were copied once more on their way: from Node's chunk, or from the landing strip. */
  readonly copiedBytes: number;
  /** How often reading was stopped in our name. */
  readonly pauses: number;
  readonly isPausedByUser: boolean;
  /** Stops reading; at most one read more arrives (with TLS, what is decrypted already). */
  stop(): void;
  /** Reads again, unless the user has paused. */
  start(): void;
  /** The other side has ended: no byte comes any more, though the socket may stay open for writing. */
  end(): void;
  /** The socket is closed: the kernel writes no more. Gives back what was armed. */
  close(): void;
};
