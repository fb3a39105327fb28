import type { DatagramRows } from "./datagram.ts";

/** Names of the engines that get datagrams into pages. */
export type UdpEngine = "recvmmsg" | "dgram";

/** Takes what a reader has read. Internal. */
export type RowsSink = {
  /**
   * Takes rows, in order of arrival. True when it is done with them on return; else it calls their `giveBack()` later, and
   * has stopped the reader.
   */
  take(rows: DatagramRows): boolean;
  /** True when the consumer is not at work on other rows. */
  isReady(): boolean;
  /** Reading failed, as it does after an ICMP message: there may be more to read all the same. */
  failed(error: Error): void;
  /** There is no page: starts the reader again when there are some. */
  waitForPages(): void;
  /**
   * The socket is about to be connected. Then ICMP errors arrive, and libuv, while a send of its own waits for room, reads them itself, on the
   * assumption that it is reading (libuv 1.52, udp.c: it aborts otherwise). So either Node reads it from now on, or no send of its own ever waits.
   */
  connecting(): void;
  /** Something broke that must not: the pool was closed under us. */
  broke(error: unknown): void;
};

/** Gets datagrams from a bound socket into pages. Internal. */
export type UdpReader = {
  readonly engine: UdpEngine;
  readonly counts: ReaderCounts;
  /** What the kernel has dropped because its buffer was full, as far as can be known. */
  kernelDrops(): number;
  /** Takes nothing more from the kernel; for the portable engine on an unknown Node: drops and counts it. */
  stop(): void;
  /** The consumer is ready: what is at hand is delivered, and reading goes on if it may. */
  start(mayRead: boolean): void;
  readonly isClosed: boolean;
  /** The socket is about to close, or has closed. Again: nothing. */
  close(): void;
};

/** Law: `datagrams` were handed to the sink; `bytes` are their payload. */
export type ReaderCounts = {
  /** System calls (of the portable engine: messages of Node's). */
  reads: number;
  /** Times the event loop woke it. */
  wakeups: number;
  batches: number;
  datagrams: number;
  bytes: number;
  truncated: number;
  superDatagrams: number;
  /** Read, and given up for want of a page: only the portable engine, when it cannot stop Node's reading. */
  dropped: number;
};

export function noCounts(): ReaderCounts {
  return {
    reads: 0,
    wakeups: 0,
    batches: 0,
    datagrams: 0,
    bytes: 0,
    truncated: 0,
    superDatagrams: 0,
    dropped: 0,
  };
}
