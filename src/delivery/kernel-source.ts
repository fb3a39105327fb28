import type { Socket } from "node:net";
import { copyBytes } from "../memory/copy-bytes.ts";
import type { RecvCall } from "../os/recv-call.ts";
import { systemError } from "../os/system-error.ts";
import type { IntoSource } from "./into-source.ts";
import { readiness } from "./readiness.ts";
import type { WatchedSocket } from "./readiness.ts";
import { handleOf } from "./socket-handle.ts";
import { giveReadingBack, keepAwake, takeReading } from "./socket-reading.ts";
import { zeroCopy } from "./zero-copy.ts";

/** Bytes in a turn before the rest of the event loop has its turn. */
const TURN_BYTES_MAX = 2 ** 20;
const EAGAIN = -11;

/**
 * The source without a page: the kernel writes into the target itself.
 *
 *     kernel ──recv──▶ target          EAGAIN: sleep until readable; a full target: what comes waits in the kernel, and with it the sender
 *
 * Node makes and closes the socket, writes to it, and reads its end, so that `'end'`, half-close and `autoDestroy` are its own; only what it
 * had read before we came is copied. Errors surface as the socket's `'error'`, once. Thread: its own.
 */
export class KernelSource implements IntoSource {
  readonly engine = "recv";
  readonly #socket: Socket;
  readonly #call: RecvCall;
  readonly #more: () => void;
  /** Called when another source has to go on; nothing is lost. */
  readonly #giveUp: (reason: string) => void;
  /** What Node had read before we came, and nobody has yet. */
  #ahead: Buffer[] = [];
  #state: "new" | "taken" | "over" = "new";
  /** Null until it was found unreadable for the first time. */
  #watched: WatchedSocket | null = null;
  #turn: NodeJS.Immediate | null = null;
  readonly #goOn = (): void => {
    this.#turn = null;
    this.#more();
  };

  constructor(socket: Socket, call: RecvCall, more: () => void, giveUp: (reason: string) => void) {
    this.#socket = socket;
    this.#call = call;
    this.#more = more;
    this.#giveUp = giveUp;
  }

  putInto(target: Uint8Array): number {
    if (this.#state === "new" && !this.#take()) return 0;
    let put = this.#putAhead(target);
    if (this.#watched !== null && put < target.length) this.#enter(); // it has rested
    const end = Math.min(target.length, put + TURN_BYTES_MAX);
    while (this.#state === "taken" && put < end && this.#watched?.isReadable !== false) {
      const count = this.#recv(target.subarray(put, end));
      if (count <= 0) break;
      put += count;
    }
    if (put > 0) keepAwake(this.#socket);
    if (put === end && put < target.length && this.#turn === null) this.#turn = setImmediate(this.#goOn);
    return put;
  }

  rest(): void {
    if (this.#turn !== null) clearImmediate(this.#turn);
    this.#turn = null;
    readiness.rest(this.#socket, this.#more);
  }

  close(error: Error | null): void {
    this.#state = "over";
    if (error !== null) this.#ahead = [];
    this.#socket.off("connect", this.#more);
    this.#leave();
  }

  /** Takes the reading from Node. False when the socket is not connected yet, or closing. */
  #take(): boolean {
    if (this.#socket.connecting) this.#socket.off("connect", this.#more).once("connect", this.#more);
    if (this.#socket.connecting || handleOf(this.#socket) === null) return false;
    this.#ahead = takeReading(this.#socket);
    this.#state = "taken";
    return true;
  }

  #putAhead(target: Uint8Array): number {
    let put = 0;
    for (let chunk = this.#ahead[0]; chunk !== undefined && put < target.length; chunk = this.#ahead[0]) {
      const bytes = chunk.subarray(0, target.length - put);
      copyBytes(bytes, target, put);
      put += bytes.length;
      if (bytes.length === chunk.length) this.#ahead.shift();
      else this.#ahead[0] = chunk.subarray(bytes.length);
    }
    zeroCopy.copied += put;
    return put;
  }

  /** How many bytes came; 0 when this is all for now, or for ever. */
  #recv(room: Uint8Array): number {
    const fd = handleOf(this.#socket)?.fd ?? -1;
    if (fd < 0) return 0; // closing: we are told of it
    const count = this.#call.recv(fd, room);
    if (count > 0) zeroCopy.received += count;
    else if (count === EAGAIN) this.#sleep();
    else if (count === 0) this.#end();
    else this.#socket.destroy(systemError(count, "read"));
    return count;
  }

  #sleep(): void {
    if (this.#watched === null) this.#enter();
    else this.#watched.isReadable = false;
  }

  /** From here on we are woken when the socket becomes readable; when we cannot be, another source goes on. */
  #enter(): void {
    try {
      this.#watched = readiness.enter(this.#socket, this.#more);
    } catch (error) {
      this.#state = "over";
      this.#leave();
      giveReadingBack(this.#socket);
      this.#giveUp(error instanceof Error ? error.message : String(error));
    }
  }

  #end(): void {
    this.#state = "over";
    this.#leave();
    giveReadingBack(this.#socket);
    this.#socket.resume();
  }

  #leave(): void {
    this.rest();
    readiness.leave(this.#socket, this.#more);
    this.#watched = null;
  }
}
