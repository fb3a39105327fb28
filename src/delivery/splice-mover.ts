import type { Socket } from "node:net";
import type { KernelPipe, SpliceCalls } from "../os/splice-calls.ts";
import { takeSocketError } from "../os/socket-error.ts";
import { systemError } from "../os/system-error.ts";
import { PIPE_BYTES, discardPipe, putBackPipe, takePipe } from "./kernel-pipes.ts";
import type { Mover } from "./mover.ts";
import { readiness } from "./readiness.ts";
import type { WatchedSocket } from "./readiness.ts";
import { handleOf } from "./socket-handle.ts";
import { giveReadingBack, keepAwake, takeReading } from "./socket-reading.ts";

/** Splices in a turn before the rest of the event loop has its turn. */
const ROUNDS_MAX = 16;
/** A slot of a pipe may hold more than its 4 KiB. */
const SPLICE_BYTES_MAX = PIPE_BYTES * 4;
const [EINTR, EAGAIN, EINVAL] = [-4, -11, -22];

/**
 * The engine for bytes that nobody looks at: the kernel moves them, through a pipe, and this process never sees them.
 *
 *     from ──splice──▶ pipe ──splice──▶ to
 *       │ EAGAIN: sleep until readable     │ EAGAIN: sleep until writable; nothing is read meanwhile
 *
 * Node makes, ends and closes both sockets, and reads what came before we did; only while this runs it neither reads from the one nor
 * writes to the other. So the bytes are not in `bytesRead` and `bytesWritten` of the sockets, and idle timeouts are kept going here.
 * At the end Node reads the end of `from` itself, and tells of it as ever.
 *
 * Law: the pipe is empty whenever something is read into it; a pipe is kept only while something is in it. Thread: its own.
 */
export class SpliceMover implements Mover {
  readonly engine = "splice";
  bytesRead = 0;
  bytesWritten = 0;
  readonly pagesPinned = 0;
  readonly pagesPinnedPeak = 0;
  pauses = 0;
  hasEnded = false;
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #calls: SpliceCalls;
  /** Called when another engine has to go on; nothing is lost. */
  readonly #giveUp: (reason: string) => void;
  #source: WatchedSocket | null = null;
  #target: WatchedSocket | null = null;
  #pipe: KernelPipe | null = null;
  #turn: NodeJS.Immediate | null = null;
  #isClosed = false;
  readonly #onConnect = (): void => this.start();
  readonly #wake = (): void => {
    if (this.#turn === null) this.#run();
  };

  constructor(from: Socket, to: Socket, calls: SpliceCalls, giveUp: (reason: string) => void) {
    this.#from = from;
    this.#to = to;
    this.#calls = calls;
    this.#giveUp = giveUp;
  }

  /** Waits until both are connected and Node has done with what it had to read and to write; then begins. */
  start(): void {
    if (this.#isClosed) return;
    const connecting = [this.#from, this.#to].find((socket) => socket.connecting);
    if (connecting !== undefined) return void connecting.once("connect", this.#onConnect);
    for (const chunk of takeReading(this.#from)) {
      this.bytesRead += chunk.length;
      this.#to.write(chunk);
    }
    this.#to.write("", () => {
      this.bytesWritten = this.bytesRead;
      if (this.#isClosed) return;
      // Not at once: a write of Node's that failed in this turn has taken the socket's error away, and Node destroys the socket a tick
      // later only. Until then a reset looks like an end to whoever reads.
      this.#turn = setImmediate(() => this.#begin());
    });
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const socket of [this.#from, this.#to]) {
      socket.off("connect", this.#onConnect);
      readiness.leave(socket, this.#wake);
    }
    if (this.#turn !== null) clearImmediate(this.#turn);
    if (this.#pipe !== null) discardPipe(this.#calls, this.#pipe);
    this.#pipe = null;
  }

  #begin(): void {
    this.#turn = null;
    if (this.#isClosed || this.#from.destroyed || this.#to.destroyed) return;
    try {
      this.#source = readiness.enter(this.#from, this.#wake);
      this.#target = readiness.enter(this.#to, this.#wake);
    } catch (error) {
      return this.#fallBack(error instanceof Error ? error.message : String(error));
    }
    this.#run();
  }

  /** Moves what there is to move, as far as it goes. */
  #run(): void {
    this.#turn = null;
    for (let round = 0; round < ROUNDS_MAX; round++) {
      if (this.#isClosed || (this.#pipe === null && !this.#fill()) || !this.#drain()) return this.#checkTarget();
    }
    this.#turn = setImmediate(() => this.#run());
  }

  /** Reads into an empty pipe. True when there is something in it. */
  #fill(): boolean {
    const [source, from] = [this.#source, handleOf(this.#from)];
    if (source === null || from === null || !source.isReadable) return false;
    const pipe = takePipe(this.#calls);
    if (typeof pipe === "number") {
      this.#fallBack(systemError(pipe, "pipe2").message);
      return false;
    }
    const moved = this.#splice(from.fd, pipe.input, SPLICE_BYTES_MAX);
    if (moved > 0) {
      this.#pipe = pipe;
      this.bytesRead += moved;
      keepAwake(this.#from);
      return true;
    }
    putBackPipe(this.#calls, pipe);
    if (moved === EAGAIN) source.isReadable = false;
    else if (moved === 0) this.#end();
    else if (moved === EINVAL && this.bytesWritten === 0) this.#fallBack("the kernel splices nothing from this socket");
    else this.#from.destroy(systemError(moved, "splice"));
    return false;
  }

  /** Writes from the pipe. True when it is empty. */
  #drain(): boolean {
    const [pipe, target, to] = [this.#pipe, this.#target, handleOf(this.#to)];
    if (pipe === null || target === null || to === null) return false;
    while (this.bytesWritten < this.bytesRead) {
      const moved = target.isWritable ? this.#splice(pipe.output, to.fd, this.bytesRead - this.bytesWritten) : EAGAIN;
      if (moved > 0) this.bytesWritten += moved;
      else if (moved === EAGAIN) {
        if (target.isWritable) this.pauses++;
        target.isWritable = false;
        return false;
      } else {
        this.#to.destroy(systemError(moved, "splice"));
        return false;
      }
    }
    keepAwake(this.#to);
    this.#pipe = null;
    putBackPipe(this.#calls, pipe);
    return true;
  }

  #splice(from: number, to: number, lengthBytes: number): number {
    for (;;) {
      const moved = this.#calls.splice(from, to, lengthBytes);
      if (moved !== EINTR) return moved;
    }
  }

  /** A target to which nothing is written now may have failed all the same. */
  #checkTarget(): void {
    const target = this.#target;
    if (this.#isClosed || target === null || !target.hasFailed) return;
    target.hasFailed = false;
    const to = handleOf(this.#to);
    const errno = to === null ? 0 : takeSocketError(to.fd);
    if (errno < 0) this.#to.destroy(systemError(errno, "splice"));
  }

  /** The source has ended, and nothing is in the pipe. */
  #end(): void {
    this.close();
    this.hasEnded = true;
    this.#to.end();
    giveReadingBack(this.#from);
    this.#from.resume();
  }

  #fallBack(reason: string): void {
    this.close();
    giveReadingBack(this.#from);
    this.#giveUp(reason);
  }
}
