import type { Socket } from "node:dgram";
import { IPPROTO_UDP, SOL_SOCKET, SO_MEMINFO, UDP_GRO } from "../os/udp-calls.ts";
import type { UdpCalls } from "../os/udp-calls.ts";
import type { JumboPool } from "../pool/pool.ts";
import { Doorbell } from "./doorbell.ts";
import { followHandle } from "./handle-hooks.ts";
import { admitMessages, refuseMessages } from "./kernel-options.ts";
import { Linger } from "./linger.ts";
import { handleOf, isConnected } from "./node-internals.ts";
import type { UdpHandle } from "./node-internals.ts";
import { noCounts } from "./reader.ts";
import type { ReaderCounts, RowsSink, UdpReader } from "./reader.ts";
import { NO_PAGES, ROWS_MAX, ReceiveRows } from "./receive-rows.ts";
import { systemError } from "../os/system-error.ts";

/** What one socket gets of one turn of the event loop: then the others, and timers, have theirs. Looked at after each batch. */
const DATAGRAMS_PER_TURN = 512;
const MS_PER_TURN = 1;
const ROWS_MIN = 4;
/** What comes while a socket is retired is not waited for for ever. */
const RETIRING_READS_MAX = 1000;
const EAGAIN = 11;
const EINTR = 4;
/** Of the numbers that SO_MEMINFO tells: SK_MEMINFO_DROPS, <linux/sock_diag.h>. */
const MEMINFO_DROPS = 8;

export type MmsgParts = {
  readonly pool: JumboPool;
  readonly calls: UdpCalls;
  readonly sink: RowsSink;
  /** How long to linger; 0: not at all. */
  readonly coalesceMicroseconds: number;
};

/** Of {@link MmsgParts.coalesceMicroseconds}, when nobody says otherwise: measured, see docs/architecture.md. */
export const COALESCE_MICROSECONDS = 50;
export const COALESCE_MICROSECONDS_MAX = 1000;

/**
 * The Linux engine: many messages a system call, written by the kernel into pages of the pool.
 *
 *     doorbell rings ──▶ recvmmsg ──▶ rows ──▶ sink      again, until dry, or until its share of this turn is used up
 *
 * Under load it lingers when it runs dry (see `linger.ts`), and reads again.
 * How many rows it asks for follows what came, and is halved when the consumer needs more than its share for them.
 *
 * At rest it holds no page. Node's own reading of the socket is stopped; everything else of the socket is as before.
 * What is left in the kernel after a turn rings again, behind the other sockets and timers.
 */
export class MmsgReader implements UdpReader {
  readonly engine = "recvmmsg";
  readonly counts: ReaderCounts = noCounts();
  readonly #handle: UdpHandle;
  readonly #pool: JumboPool;
  readonly #calls: UdpCalls;
  readonly #sink: RowsSink;
  readonly #doorbell: Doorbell;
  readonly #linger: Linger;
  #isStopped = false;
  #isClosed = false;
  #isConnected: boolean;
  /** Node reads the socket again, itself. */
  isRetired = false;
  /** Rows to arm for the next read: follows what came. */
  #rowsWanted = ROWS_MIN;
  #kernelDrops = 0;
  readonly #meminfo = new Uint32Array(new ArrayBuffer(128), 0, MEMINFO_DROPS + 1);

  /** @throws Error when there is no descriptor for its doorbell; then nothing has changed */
  constructor(socket: Socket, { pool, calls, sink, coalesceMicroseconds }: MmsgParts) {
    const handle = handleOf(socket);
    if (handle === null || handle.fd < 0) throw new Error("the socket has no descriptor");
    this.#handle = handle;
    this.#isConnected = isConnected(socket);
    this.#pool = pool;
    this.#calls = calls;
    this.#sink = sink;
    this.#linger = new Linger(coalesceMicroseconds, (microseconds) => calls.sleep(microseconds));
    this.#doorbell = new Doorbell(() => this.#ring());
    const outcome = this.#doorbell.watch(handle.fd);
    if (outcome < 0) {
      this.#doorbell.close();
      throw systemError(outcome, "epoll_ctl");
    }
    this.#doorbell.setRef(handle.hasRef());
    handle.recvStop();
    followHandle(handle, {
      setRef: (isRef) => this.#doorbell.setRef(isRef),
      beforeClose: () => this.close(),
      beforeConnect: () => this.#connecting(),
      maySend: () => !this.#isConnected || this.isRetired || calls.isWritable(handle.fd),
    });
  }

  kernelDrops(): number {
    const { fd } = this.#handle;
    if (this.#isClosed || fd < 0) return this.#kernelDrops;
    const bytes = new Uint8Array(this.#meminfo.buffer, 0, this.#meminfo.byteLength);
    const length = this.#calls.getOption(fd, SOL_SOCKET, SO_MEMINFO, bytes);
    if (length === bytes.length) this.#kernelDrops = this.#meminfo[MEMINFO_DROPS]!;
    return this.#kernelDrops;
  }

  /** Only a flag: a doorbell that rings all the same is muted then. A consumer that is back before that costs nothing. */
  stop(): void {
    this.#isStopped = true;
  }

  start(mayRead: boolean): void {
    if (!mayRead || this.#isClosed || this.#handle.fd < 0) return;
    this.#isStopped = false;
    if (this.isRetired) return void this.#handle.recvStart();
    const outcome = this.#doorbell.watch(this.#handle.fd);
    if (outcome < 0) this.#sink.failed(systemError(outcome, "epoll_ctl"));
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  close(): void {
    if (this.#isClosed) return;
    this.kernelDrops(); // the last time it can be asked for
    this.#isClosed = true;
    this.#linger.close();
    this.#doorbell.close();
  }

  /**
   * Gives the socket back to Node, with what the kernel has by now handed to the sink.
   * Node must be able to read a connected socket: see {@link RowsSink.connecting}.
   */
  retire(): void {
    if (this.isRetired || this.#isClosed) return;
    const { fd } = this.#handle;
    refuseMessages(this.#calls, fd); // what comes from here on is lost, as it may be; merged for a Node that cannot cut it must not be
    try {
      this.#readAll(fd);
      this.#calls.setOption(fd, IPPROTO_UDP, UDP_GRO, 0);
    } finally {
      admitMessages(this.#calls, fd);
    }
    this.isRetired = true;
    this.#linger.close();
    this.#doorbell.close();
    if (!this.#isStopped) this.#handle.recvStart();
  }

  /** Hands all that the kernel has to the sink, which takes it at once, whether we are stopped or not. */
  #readAll(fd: number): void {
    const rows = ReceiveRows.take(this.#pool, this.#calls);
    try {
      for (let reads = 0; reads < RETIRING_READS_MAX && rows.read(fd, ROWS_MAX) > 0; reads++) {
        this.#count(rows);
        this.#sink.take(rows);
      }
    } finally {
      rows.giveBack();
    }
  }

  /** From here on the kernel tells of ICMP errors. */
  #connecting(): void {
    this.#isConnected = true;
    this.#sink.connecting();
  }

  #ring(): void {
    if (this.#isStopped || this.#isClosed) return this.#doorbell.mute();
    this.counts.wakeups++;
    const rows = ReceiveRows.take(this.#pool, this.#calls);
    const before = this.counts.datagrams;
    let isLent = false;
    try {
      isLent = this.#drain(rows);
    } finally {
      this.#linger.endTurn(this.counts.datagrams - before);
      if (!isLent) rows.giveBack();
    }
  }

  /** Reads until dry, stopped, or out of time. True when the sink has kept the rows. */
  #drain(rows: ReceiveRows): boolean {
    let rest = DATAGRAMS_PER_TURN;
    const endMs = performance.now() + MS_PER_TURN;
    while (rest > 0 && !this.#isStopped) {
      const { fd } = this.#handle; // asked anew: the consumer may have closed the socket, and its number be another's
      if (fd < 0) return false;
      const count = this.#read(rows, fd);
      if (count < 0) {
        if (!this.#canGoOn(count)) return false;
        rest--;
        continue;
      }
      const { armed } = rows;
      this.#rowsWanted = count < armed ? Math.max(ROWS_MIN, count) : Math.min(ROWS_MAX, armed * 4);
      this.#count(rows);
      rest -= rows.datagramCount;
      if (!this.#sink.take(rows)) {
        rows.disarm(rows.rowCount);
        return true;
      }
      const isLate = performance.now() > endMs;
      if (count < armed) {
        if (isLate || !this.#linger.afterDry(rows.byteCount)) return false; // dry; if not, it rings again
      } else if (isLate) {
        this.#rowsWanted = Math.max(1, armed >> 1);
        return false;
      }
    }
    return false;
  }

  #read(rows: ReceiveRows, fd: number): number {
    this.counts.reads++;
    try {
      return rows.read(fd, this.#rowsWanted);
    } catch (error) {
      this.#sink.broke(error); // the pool has been closed
      return -EAGAIN;
    }
  }

  /** After a read that brought nothing: false, when there is nothing more to be had now. */
  #canGoOn(outcome: number): boolean {
    if (outcome === -EAGAIN || outcome === -EINTR) return false;
    if (outcome === NO_PAGES) {
      this.#sink.waitForPages();
      return false;
    }
    this.#sink.failed(systemError(outcome, "recvmmsg"));
    return true;
  }

  #count(rows: ReceiveRows): void {
    const { counts } = this;
    counts.batches++;
    counts.datagrams += rows.datagramCount;
    counts.bytes += rows.byteCount;
    counts.truncated += rows.truncatedCount;
    counts.superDatagrams += rows.superCount;
  }
}
