import type { Socket } from "node:net";
import { finished } from "node:stream";
import { JumboError } from "../errors.ts";
import type { Mbuf } from "../mbuf/mbuf.ts";
import { optionInvalid } from "../option.ts";
import { receive } from "../tcp/receive.ts";
import type { ReceiveOptions } from "../tcp/receive.ts";
import { letGoWith } from "../pool/let-go.ts";
import { placeOf, putMbufs } from "./place-in.ts";
import type { Place } from "./place-in.ts";

const intakes = new WeakMap<Socket, Intake>();

/**
 * Receives from `socket` into memory of yours, until it is full or the socket has ended: the zero_copy(9) read.
 *
 * Whole pages are **flipped** into the target where that pays: the target lies in a WebAssembly memory, both are page-aligned, nobody else holds the
 * page, the stretch is at least `zeroCopy.flipMinBytes` long. Anything else is **copied**, once. Either way the bytes are the same;
 * `zeroCopy` counts.
 *
 * One call after the other on one socket; the first one's `options` count. Between calls the socket is paused, and what has arrived already
 * waits in pages for the next call: read to the end, or destroy the socket before it.
 *
 * @returns how many bytes: `target.length`, or less at the end of the socket; 0 after it
 * @throws (as rejection) JumboError `ERR_JUMBO_OPTION_INVALID`, `ERR_JUMBO_RECEIVER_ACTIVE` while another call is pending, as `receive()`;
 *   the socket's error; what came before it is returned first
 */
export async function receiveInto(socket: Socket, target: Uint8Array, options: ReceiveOptions): Promise<number> {
  if (!(target instanceof Uint8Array)) throw optionInvalid("target", "a Uint8Array", target);
  let intake = intakes.get(socket);
  if (intake === undefined) intakes.set(socket, (intake = new Intake(socket, options)));
  return intake.fill(target);
}

type Call = {
  readonly place: Place;
  readonly resolve: (bytes: number) => void;
  readonly reject: (error: unknown) => void;
};

/** Mbufs that wait before the socket is paused; they rarely do, as each is put as soon as the receiver has let it go. */
const WAITING_MAX = 16;

/** The bytes of one socket on their way into one target after the other. */
class Intake {
  readonly #socket: Socket;
  /** Held, in order; of the first one `#skip` bytes have been put already. */
  readonly #waiting: Mbuf[] = [];
  #skip = 0;
  #call: Call | null = null;
  #filled = 0;
  #end: { readonly error: Error | null } | null = null;
  #isScheduled = false;

  /** @throws JumboError as `receive()` */
  constructor(socket: Socket, options: ReceiveOptions) {
    this.#socket = socket;
    receive(socket, options, (mbuf) => this.#take(mbuf));
    finished(socket, { writable: false }, (error) => {
      this.#end = { error: error ?? null };
      this.#put();
      if (this.#end.error !== null) this.#drop();
    });
  }

  fill(target: Uint8Array): Promise<number> {
    if (this.#call !== null)
      return Promise.reject(
        new JumboError("ERR_JUMBO_RECEIVER_ACTIVE", "another receiveInto() is pending on this socket"),
      );
    return new Promise((resolve, reject) => {
      this.#call = { place: placeOf(target), resolve, reject };
      this.#filled = 0;
      this.#put();
      if (this.#call !== null) this.#socket.resume();
    });
  }

  #take(mbuf: Mbuf): boolean {
    this.#waiting.push(mbuf.hold());
    // Not now: until this returns the receiver has a hold on the page too, and nothing could be flipped.
    if (!this.#isScheduled) queueMicrotask(() => this.#put());
    this.#isScheduled = true;
    return this.#call !== null && this.#waiting.length < WAITING_MAX;
  }

  #put(): void {
    this.#isScheduled = false;
    const call = this.#call;
    if (call === null) return;
    const put = putMbufs(this.#waiting, this.#skip, call.place, this.#filled);
    this.#filled += put;
    this.#letGo(put);
    const isFull = this.#filled === call.place.target.length;
    if (isFull || this.#end !== null) this.#answer(call);
    else if (this.#socket.isPaused()) this.#socket.resume();
  }

  #answer({ resolve, reject }: Call): void {
    this.#call = null;
    const error = this.#end?.error ?? null;
    if (error !== null && this.#filled === 0) reject(error);
    else resolve(this.#filled);
    if (!this.#socket.destroyed && this.#end === null) this.#socket.pause();
  }

  /** Releases what has been put wholly. */
  #letGo(bytes: number): void {
    let left = bytes + this.#skip;
    let count = 0;
    for (const mbuf of this.#waiting) {
      if (mbuf.length > left) break;
      left -= mbuf.length;
      letGoWith(() => mbuf.release());
      count++;
    }
    this.#waiting.splice(0, count);
    this.#skip = left;
  }

  /** The socket has failed: who asks later is told so. */
  #drop(): void {
    for (const mbuf of this.#waiting.splice(0)) letGoWith(() => mbuf.release());
    this.#skip = 0;
  }
}
