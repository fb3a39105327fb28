import type { Socket } from "node:net";
import { FAILED, HUNG_UP, READABLE, WRITABLE, makeEdges } from "../os/edges.ts";
import type { Edges } from "../os/edges.ts";
import { hangBell } from "../udp/doorbell.ts";
import type { UdpHandle } from "../udp/node-internals.ts";
import { systemError } from "../os/system-error.ts";
import { closeKeptPipes } from "./kernel-pipes.ts";
import { descriptorOf } from "./socket-handle.ts";

/** Called when a socket has become readable or writable, or has failed. */
export type Wake = () => void;

/**
 * Whether a socket that Node neither reads from nor writes to is readable and writable, as far as is known.
 *
 * Both begin as true. Who finds that it was not (EAGAIN) says so, and is woken when that has changed.
 */
export type WatchedSocket = {
  readonly socket: Socket;
  isReadable: boolean;
  isWritable: boolean;
  /** The kernel told of an error: ask for it. */
  hasFailed: boolean;
  readonly wakes: Set<Wake>;
};

/**
 * The sockets of this thread that are moved by the kernel, in one epoll set that Node's event loop watches.
 *
 *     socket ──▶ epoll set (a dgram handle's descriptor, see udp/doorbell.ts) ──▶ ring ──take──▶ wake() of each that became something
 *
 * Edge-triggered: a socket is put in once and costs no system call per wake-up. The set is made for the first socket and closed
 * with the last, keeps the process alive while somebody waits for one (Node's own handles do not: nobody reads through them), and costs one
 * descriptor a thread. Thread: its own.
 */
class Readiness {
  readonly #bySocket = new Map<Socket, { readonly token: number; readonly watched: WatchedSocket }>();
  readonly #byToken = new Map<number, WatchedSocket>();
  #set: { readonly edges: Edges; readonly handle: UdpHandle } | null = null;
  #nextToken = 1;
  /** Sockets somebody waits for: those with wakes. */
  #awaited = 0;

  /** @throws Error when there is no epoll set to be had, or the socket cannot be watched */
  enter(socket: Socket, wake: Wake): WatchedSocket {
    const { watched } = this.#bySocket.get(socket) ?? this.#add(socket);
    if (watched.wakes.size === 0 && ++this.#awaited === 1) this.#set?.handle.ref();
    watched.wakes.add(wake);
    return watched;
  }

  /** Wakes no more, and does not keep the process alive for it; the socket stays in the set, to be entered again or to leave. */
  rest(socket: Socket, wake: Wake): void {
    const wakes = this.#bySocket.get(socket)?.watched.wakes;
    if (wakes?.delete(wake) === true && wakes.size === 0 && --this.#awaited === 0) this.#set?.handle.unref();
  }

  leave(socket: Socket, wake: Wake): void {
    this.rest(socket, wake);
    const entry = this.#bySocket.get(socket);
    if (entry === undefined || entry.watched.wakes.size > 0) return;
    this.#bySocket.delete(socket);
    this.#byToken.delete(entry.token);
    const fd = descriptorOf(socket); // a closed one has left by itself
    if (fd >= 0) this.#set?.edges.remove(fd);
    if (this.#bySocket.size > 0) return;
    this.#set?.handle.close();
    this.#set = null;
    closeKeptPipes();
  }

  #add(socket: Socket): { readonly token: number; readonly watched: WatchedSocket } {
    const { edges } = (this.#set ??= this.#open());
    const token = this.#nextToken++ >>> 0; // 2^32 later the socket that had the same token has closed
    const watched = { socket, isReadable: true, isWritable: true, hasFailed: false, wakes: new Set<Wake>() };
    const entry = { token, watched };
    this.#bySocket.set(socket, entry);
    this.#byToken.set(token, watched);
    const outcome = edges.add(descriptorOf(socket), token);
    if (outcome === 0) return entry;
    this.leave(socket, () => {});
    throw systemError(outcome, "epoll_ctl");
  }

  #open(): { readonly edges: Edges; readonly handle: UdpHandle } {
    const { handle } = hangBell(() => this.#ring());
    return { edges: makeEdges(handle.fd), handle };
  }

  #ring(): void {
    this.#set?.edges.take((token, became) => {
      const watched = this.#byToken.get(token);
      if (watched === undefined) return; // left since
      const isOver = (became & (FAILED | HUNG_UP)) !== 0; // whoever tries is told what is over
      if (isOver || (became & READABLE) !== 0) watched.isReadable = true;
      if (isOver || (became & WRITABLE) !== 0) watched.isWritable = true;
      if ((became & FAILED) !== 0) watched.hasFailed = true;
      for (const wake of watched.wakes) wake();
    });
  }
}

/** This thread's. */
export const readiness: Readiness = new Readiness();
