import type { Socket } from "node:net";
import { finished } from "node:stream";
import { JumboError } from "../errors.ts";
import type { RecvCall } from "../os/recv-call.ts";
import type { JumboPool } from "../pool/pool.ts";
import type { IntoEngine, IntoSource } from "./into-source.ts";
import { KernelSource } from "./kernel-source.ts";
import { PageSource } from "./page-source.ts";

type Call = {
  readonly target: Uint8Array;
  /** What it was asked for: a view over a memory that grows may become longer, and over one that shrinks or moves shorter. */
  readonly lengthBytes: number;
  filled: number;
  readonly resolve: (bytes: number) => void;
  readonly reject: (error: unknown) => void;
};

/**
 * The bytes of one socket on their way into one target after the other.
 *
 *     source ──putInto(what is left of the target)──▶ target: full, or the socket has ended ──▶ answer, source rests
 *        └──── more ───▶ #put, when it had not enough
 *
 * Law: no address and no view is kept from one step to the next, so what has become of the target is seen before each.
 */
export class IntoIntake {
  /** Why it is not `recv`; null when it is, or when the caller chose. */
  engineReason: string | null;
  readonly #socket: Socket;
  #source: IntoSource;
  #call: Call | null = null;
  #end: { readonly error: Error | null } | null = null;
  readonly #put = (): void => this.#step();

  /**
   * `call` null: with pages, for `engineReason`.
   * @throws JumboError as `receive()`
   */
  constructor(socket: Socket, pool: JumboPool, call: RecvCall | null, engineReason: string | null) {
    this.#socket = socket;
    this.engineReason = engineReason;
    const goOnWithPages = (reason: string): void => this.#replace(pool, reason);
    this.#source =
      call === null
        ? new PageSource(socket, pool, this.#put)
        : new KernelSource(socket, call, this.#put, goOnWithPages);
    finished(socket, { writable: false }, (error) => {
      this.#end = { error: error ?? null };
      this.#source.close(null);
      this.#step();
      if (this.#end.error !== null) this.#source.close(this.#end.error); // who asks later is told so
    });
  }

  get engine(): IntoEngine {
    return this.#source.engine;
  }

  take(target: Uint8Array): Promise<number> {
    if (this.#call !== null) return Promise.reject(active());
    return new Promise((resolve, reject) => {
      this.#call = { target, lengthBytes: target.length, filled: 0, resolve, reject };
      this.#step();
    });
  }

  #step(): void {
    const call = this.#call;
    if (call === null) return;
    const { target, lengthBytes, filled } = call;
    try {
      if (target.length < lengthBytes) throw targetLost(filled);
      if (filled < lengthBytes) call.filled += this.#source.putInto(target.subarray(filled, lengthBytes));
    } catch (error) {
      return this.#settle(() => call.reject(error));
    }
    const error = this.#end?.error ?? null;
    if (error !== null && call.filled === 0) this.#settle(() => call.reject(error));
    else if (call.filled === lengthBytes || this.#end !== null) this.#settle(() => call.resolve(call.filled));
  }

  #settle(answer: () => void): void {
    this.#call = null;
    this.#source.rest();
    answer();
  }

  /** The kernel's source cannot be woken: it has given the reading back, and its target is as it was. */
  #replace(pool: JumboPool, reason: string): void {
    this.engineReason = reason;
    try {
      this.#source = new PageSource(this.#socket, pool, this.#put);
      queueMicrotask(this.#put); // not now: it is in the middle of a step
    } catch (error) {
      this.#socket.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  }
}

function active(): JumboError {
  return new JumboError("ERR_JUMBO_RECEIVER_ACTIVE", "another receiveInto() is pending on this socket");
}

function targetLost(bytes: number): JumboError {
  const text = `the target was detached or has shrunk after ${bytes} bytes were received into it`;
  return new JumboError("ERR_JUMBO_TARGET_LOST", text);
}
