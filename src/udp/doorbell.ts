import { createSocket } from "node:dgram";
import type { Socket } from "node:dgram";
import { makeBell } from "../os/epoll.ts";
import type { Bell } from "../os/epoll.ts";
import { errorName } from "../os/udp-calls.ts";
import { handleOf } from "./node-internals.ts";

/**
 * Tells, from Node's own event loop, that a descriptor has something to read, without reading it.
 *
 *     packet ──▶ fd ──▶ epoll set (in the place of a dgram socket's descriptor) ──▶ Node's event loop
 *                                                                                         │
 *               ring() ◀── onmessage(−ENOTSOCK) ◀── Node tries to read the set, which fails and takes nothing
 *
 * Only what every Node has: a `dgram` handle. So it works in worker threads, keeps the process alive as a socket does, is closed with its
 * thread, and `ring` is called like any callback of Node's (ticks and microtasks run after it). It rings again as long as
 * there is something to read: whoever does not want that {@link mute}s it.
 *
 * Thread: its own. Costs at rest: one descriptor, no system call.
 */
export class Doorbell {
  readonly #socket: Socket;
  readonly #bell: Bell;
  /** The descriptor that is watched now. */
  #fd = -1;
  #isClosed = false;

  /** Muted at first. @throws Error when there is no descriptor for it, or Node does not take it */
  constructor(ring: () => void) {
    const bell = makeBell();
    const socket = createSocket("udp4");
    this.#bell = bell;
    this.#socket = socket;
    try {
      socket.bind({ fd: bell.fd, exclusive: true }); // listens at once: there is nothing to look up
    } catch (error) {
      bell.close();
      throw error;
    }
    const outcome = bell.become(); // in the same turn: the event loop has not seen the descriptor yet
    const handle = handleOf(socket);
    if (outcome < 0 || handle === null) {
      socket.close();
      throw new Error(`dup3 fails: ${errorName(outcome)}`);
    }
    handle.onmessage = ring; // oxlint-disable-line unicorn/prefer-add-event-listener -- a handle is no event target
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
    if (isRef) this.#socket.ref();
    else this.#socket.unref();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true; // the descriptor's number is somebody else's from here on
    this.#fd = -1;
    this.#socket.close();
  }
}
