import type { RemoteInfo, Socket } from "node:dgram";
import type { Mbuf } from "../mbuf/mbuf.ts";
import type { PageFiller } from "../mbuf/page-filler.ts";
import { MessageRows } from "./message-rows.ts";
import { followHandle } from "./handle-hooks.ts";
import { handleOf, isConnected, whyNoHandles } from "./node-internals.ts";
import type { UdpHandle } from "./node-internals.ts";
import { noCounts } from "./reader.ts";
import type { ReaderCounts, RowsSink, UdpReader } from "./reader.ts";

/** As long as a timer can be. */
const ALIVE_MS = 2 ** 31 - 1;
/** Waiting for the consumer, when Node's reading cannot be stopped. */
const WAITING_MAX = 1024;

/**
 * The portable engine: Node reads each datagram into memory of its own, and it is copied into a page.
 *
 * What Node reads in one turn of the event loop becomes one batch. While the consumer is busy, or the pool dry, Node's reading is stopped
 * where its handle is as we know it and the socket is not connected; elsewhere what comes is kept up to 1,024 datagrams, then dropped and counted.
 */
export class MessageReader implements UdpReader {
  readonly engine = "dgram";
  readonly counts: ReaderCounts = noCounts();
  readonly #socket: Socket;
  readonly #pageSizeBytes: number;
  readonly #filler: PageFiller;
  readonly #sink: RowsSink;
  readonly #onMessage = (bytes: Buffer, rinfo: RemoteInfo): void => this.#receive(bytes, rinfo);
  #waiting: MessageRows;
  #isStopped = false;
  #isClosed = false;
  #isConnected: boolean;
  #isScheduled = false;
  /** While Node's reading is stopped. */
  #alive: NodeJS.Timeout | undefined;

  constructor(socket: Socket, pageSizeBytes: number, filler: PageFiller, sink: RowsSink) {
    this.#socket = socket;
    this.#isConnected = isConnected(socket);
    this.#pageSizeBytes = pageSizeBytes;
    this.#filler = filler;
    this.#sink = sink;
    this.#waiting = new MessageRows(pageSizeBytes);
    socket.on("message", this.#onMessage);
    const handle = whyNoHandles() === null ? handleOf(socket) : null;
    if (handle !== null)
      followHandle(handle, {
        beforeConnect: () => this.#connecting(handle),
        setRef: (isRef) => void (isRef ? this.#alive?.ref() : this.#alive?.unref()),
      });
  }

  /** Node does not tell. */
  kernelDrops(): number {
    return 0;
  }

  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    const handle = this.#isClosed || this.#isConnected || whyNoHandles() !== null ? null : handleOf(this.#socket);
    if (handle === null) return;
    handle.recvStop();
    this.#alive = setInterval(() => {}, ALIVE_MS); // a handle that does not read keeps no process alive, this socket does
    if (!handle.hasRef()) this.#alive.unref();
  }

  /** What waits is delivered also while nothing may be read: its pages may be all there are. */
  start(mayRead: boolean): void {
    if (this.#isClosed) return;
    if (this.#waiting.rowCount > 0) this.#schedule();
    if (!mayRead || !this.#isStopped) return;
    this.#isStopped = false;
    clearInterval(this.#alive);
    if (whyNoHandles() === null) handleOf(this.#socket)?.recvStart();
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#alive);
    this.#socket.off("message", this.#onMessage);
    this.counts.dropped += this.#waiting.datagramCount;
    this.#waiting.giveBack();
  }

  /** Node's reading must not be stopped any more: see {@link RowsSink.connecting}. */
  #connecting(handle: UdpHandle): void {
    this.#isConnected = true;
    clearInterval(this.#alive);
    handle.recvStart();
  }

  #receive(bytes: Buffer, rinfo: RemoteInfo): void {
    this.counts.reads++;
    let mbuf: Mbuf | null = null;
    try {
      if (this.#waiting.rowCount < WAITING_MAX) mbuf = this.#filler.copy(bytes.subarray(0, this.#pageSizeBytes));
    } catch (error) {
      this.#sink.broke(error);
    }
    if (mbuf === null) {
      this.counts.dropped++;
      this.#sink.waitForPages();
      return;
    }
    this.#waiting.add(mbuf, rinfo, bytes.length);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#deliver();
    });
  }

  #deliver(): void {
    const rows = this.#waiting;
    if (this.#isClosed || rows.rowCount === 0 || !this.#sink.isReady()) return; // start() comes when it is ready
    this.#waiting = new MessageRows(this.#pageSizeBytes);
    const { counts } = this;
    counts.wakeups++;
    counts.batches++;
    counts.datagrams += rows.datagramCount;
    counts.bytes += rows.byteCount;
    counts.truncated += rows.truncatedCount;
    let isDone = true;
    try {
      isDone = this.#sink.take(rows);
    } finally {
      if (isDone) rows.giveBack();
    }
  }
}
