import { becomeBell } from "../os/epoll.ts";
import type { Bell } from "../os/epoll.ts";
import { makeHandle } from "./node-internals.ts";
import type { UdpHandle } from "./node-internals.ts";
import { systemError } from "../os/system-error.ts";

/**
 * Tells, from Node's own event loop, that a descriptor has something to read, without reading it.
 *
 *     packet ──▶ fd ──▶ epoll set (in the place of a UDP handle's descriptor) ──▶ Node's event loop
 *                                                                                       │
 *               ring() ◀── onmessage(−ENOTSOCK) ◀── Node tries to read the set, which fails and takes nothing
 *
 * Only what every Node has: a handle as `dgram` uses them. So it works in worker threads, keeps the process alive as a socket does, is closed with
 * its thread, and `ring` is called like any callback of Node's (ticks and microtasks run after it). It rings again as long as there
 * is something to read: whoever does not want that {@link mute}s it.
 *
 * Thread: its own. Costs at rest: one descriptor, no system call.
 */
export class Doorbell {
  readonly #handle: UdpHandle;
  readonly #bell: Bell;
  /** The descriptor that is watched now. */
  #fd = -1;
  #isClosed = false;

  /** Muted at first. @throws Error when there is no descriptor for it, or Node does not take it */
  constructor(ring: () => void) {
    ({ bell: this.#bell, handle: this.#handle } = hangBell(ring));
  }

  /** Rings while `fd` has something to read. 0 or −errno. */
  watch(fd: number): number {
    if (this.#isClosed || this.#fd === fd) return 0;
    this.mute();
    const outcome = this.#bell.add(fd);
    if (outcome === 0) this.#fd = fd;
    return outcome;
  }

  /** Does not ring. The event loop is kept alive all the same. */
  mute(): void {
    if (this.#fd >= 0) this.#bell.remove(this.#fd);
    this.#fd = -1;
  }

  /** Whether it keeps the process alive, as it does at first. */
  setRef(isRef: boolean): void {
    if (this.#isClosed) return;
    if (isRef) this.#handle.ref();
    else this.#handle.unref();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true; // the descriptor's number is somebody else's from here on
    this.#fd = -1;
    this.#handle.close();
  }
}

export type HungBell = {
  readonly bell: Bell;
  /** Whose descriptor is the epoll set now. Whoever closes it closes the set. */
  readonly handle: UdpHandle;
};

/**
 * Makes an epoll set that Node's event loop watches, and that calls `ring` whenever something in it is readable.
 * @throws Error when there is no descriptor for it, or Node does not take it
 */
export function hangBell(ring: () => void): HungBell {
  const handle = makeHandle();
  // A socket of Node's own, closed with its thread whatever happens: the descriptor that the set takes the place of.
  const bound = handle.bind("0.0.0.0", 0, 0);
  try {
    if (bound < 0) throw systemError(bound, "bind");
    const bell = becomeBell(handle.fd); // in the same turn: the event loop has not seen the descriptor yet
    handle.onmessage = ring; // oxlint-disable-line unicorn/prefer-add-event-listener -- a handle is no event target
    handle.recvStart();
    return { bell, handle };
  } catch (error) {
    handle.close();
    throw error;
  }
}
