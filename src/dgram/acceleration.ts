import { AsyncResource } from "node:async_hooks";
import cluster from "node:cluster";
import { Socket } from "node:dgram";
import { JumboError } from "../errors.ts";
import { checkedFlag, checkedInteger } from "../option.ts";
import { JumboPool } from "../pool/pool.ts";
import { loadUdpCalls } from "../os/udp-calls.ts";
import { setGro } from "../udp/kernel-options.ts";
import { COALESCE_MICROSECONDS, COALESCE_MICROSECONDS_MAX, MmsgReader } from "../udp/mmsg-reader.ts";
import { findRunTicks, handleOf, isConnected, whyNoHandles } from "../udp/node-internals.ts";
import type { ReaderCounts, UdpEngine } from "../udp/reader.ts";
import { checkNotTaken, takeSocket } from "../udp/taken-sockets.ts";
import type { GroStats } from "../udp/stats.ts";
import { MessageEmitter } from "./message-emitter.ts";

/** What an accelerated socket has received, and how. Node's own path counts nothing: then the counters are 0. */
export type DgramStats = {
  /** `dgram`: Node's own path. */
  readonly engine: UdpEngine;
  /** Why it is Node's own path; null when it is not. */
  readonly engineReason: string | null;
  readonly gro: GroStats;
  /** System calls that read, and times that the event loop woke us for it. */
  readonly reads: number;
  readonly wakeups: number;
  readonly batches: number;
  readonly datagrams: number;
  readonly bytes: number;
  /** What the kernel dropped, as it counts: a super-datagram is one. */
  readonly kernelDrops: number;
  /** Pages in use now, by all accelerated sockets of this thread: 0 at rest. */
  readonly pagesInUse: number;
};

export type Acceleration = {
  /** One consistent snapshot; one system call. */
  stats(): DgramStats;
};

export type AccelerateOptions = {
  /**
   * Default true, but in cluster workers: generic receive offload, where the kernel has it. It belongs to the socket, not to the process: a process
   * that reads the same socket as Node does (it was sent there with `child.send`) gets many datagrams as one. Turn it off for such sockets.
   */
  readonly gro?: boolean | undefined;
  /**
   * Default false: each message has memory of its own, as with Node. True: messages that arrive together lie side by side in one `ArrayBuffer` of at most
   * 64 KiB, not transferable, which saves about a microsecond each. Only for programs that never look at `message.buffer` without `message.byteOffset`:
   * they would see somebody else's message.
   */
  readonly shareMemory?: boolean | undefined;
  /** As for `bindUdp`: default 50, and 0 for the last bit of latency. */
  readonly coalesceMicroseconds?: number | undefined;
};

export type AccelerateSettings = {
  /** Undefined: as it is best here. */
  readonly gro: boolean | undefined;
  readonly shareMemory: boolean;
  readonly coalesceMicroseconds: number;
};

/** @throws JumboError `ERR_JUMBO_OPTION_INVALID` naming the option */
export function accelerateSettings(options: AccelerateOptions): AccelerateSettings {
  const { gro, shareMemory = false, coalesceMicroseconds = COALESCE_MICROSECONDS } = options;
  return {
    gro: gro === undefined ? undefined : checkedFlag("gro", gro),
    shareMemory: checkedFlag("shareMemory", shareMemory),
    coalesceMicroseconds: checkedInteger("coalesceMicroseconds", coalesceMicroseconds, 0, COALESCE_MICROSECONDS_MAX),
  };
}

/** Nothing is kept in pages beyond a call, so a thread's sockets need few of them: a batch has 32 messages of up to 64 KiB. */
const PAGES_MAX = 128;
const PAGE_BYTES = 65_536;

const CONNECTED = "the socket is connected, or was: Node has to read its errors itself";

let threadPool: JumboPool | undefined;

/**
 * Makes a bound socket of `node:dgram`, whoever made it, receive in batches.
 *
 *     kernel ──recvmmsg──▶ pages ──copy──▶ 'message', 'message', 'message' …
 *
 * `'message'` is emitted by Node's own code, with a `Buffer` that is the listener's to keep; between two messages ticks and promise reactions
 * run, as they do with `dgram`. Sending, binding, membership, errors, closing are Node's.
 *
 * Without `koffi`, on another system than 64-bit Linux, and on a Node whose handles are other ones, the socket stays as it is; when it is
 * connected it becomes again what it was (libuv reads the errors of a connected socket itself). `stats().engineReason` says why.
 *
 * @throws JumboError `ERR_JUMBO_SOCKET_INVALID` when it is no bound socket, `ERR_JUMBO_RECEIVER_ACTIVE`, `ERR_JUMBO_OPTION_INVALID`
 */
export function accelerate(socket: Socket, options: AccelerateOptions = {}): Acceleration {
  if (!(socket instanceof Socket)) throw socketError("accelerate() wants a socket of node:dgram");
  try {
    socket.address();
  } catch {
    throw socketError("the socket is not bound: wait for its 'listening' event");
  }
  return accelerateIn(new AsyncResource("JUMBO_DGRAM"), socket, accelerateSettings(options));
}

/** The same, for listeners to be called in the context of `resource`. */
export function accelerateIn(resource: AsyncResource, socket: Socket, settings: AccelerateSettings): Acceleration {
  checkNotTaken(socket);
  const { gro, shareMemory, coalesceMicroseconds } = settings;
  if (isConnected(socket)) return onNodesPath(CONNECTED);
  const found = loadUdpCalls();
  const handle = whyNoHandles() === null ? handleOf(socket) : null;
  const runTicks = findRunTicks();
  if (found.calls === null || handle === null || runTicks === null) {
    return onNodesPath(
      found.calls === null ? found.reason : (whyNoHandles() ?? "this Node has no process._tickCallback"),
    );
  }
  const { calls } = found;
  const emitter = new MessageEmitter(handle, resource, runTicks, shareMemory);
  let reader: MmsgReader;
  let pool: JumboPool;
  try {
    pool = poolOfThread(); // there may be no address space for it
    // In that context, so that its doorbell rings in it.
    reader = resource.runInAsyncScope(
      () => new MmsgReader(socket, { pool, calls, sink: emitter, coalesceMicroseconds }),
    );
  } catch (error) {
    return onNodesPath(error instanceof Error ? error.message : String(error));
  }
  emitter.start(reader);
  takeSocket(socket);
  const unwanted = whyNoGro(gro);
  const reason = setGro(calls, handle.fd, PAGE_BYTES, unwanted === null) ?? unwanted;
  return {
    stats: () => ({
      engine: reader.isRetired ? "dgram" : reader.engine,
      engineReason: reader.isRetired ? CONNECTED : null,
      ...counted(reader.counts, { isOn: reason === null, reason }),
      kernelDrops: reader.kernelDrops(),
      pagesInUse: pool.stats().inUse,
    }),
  };
}

function poolOfThread(): JumboPool {
  const pages = { pageSizeBytes: PAGE_BYTES, pagesMax: PAGES_MAX, pagesInitial: 0, stolenMax: 0 };
  return (threadPool ??= new JumboPool(pages));
}

function whyNoGro(gro: boolean | undefined): string | null {
  if (gro === false) return "it was not wanted";
  return gro === undefined && cluster.isWorker
    ? "other workers may read the same socket, and cannot all be known to cut"
    : null;
}

function counted(
  { reads, wakeups, batches, datagrams, bytes, superDatagrams }: ReaderCounts,
  gro: Omit<GroStats, "superDatagrams">,
): Omit<DgramStats, "engine" | "engineReason" | "kernelDrops" | "pagesInUse"> {
  return { gro: { ...gro, superDatagrams }, reads, wakeups, batches, datagrams, bytes };
}

/** The statistics of a socket that Node reads itself. */
export function onNodesPath(reason: string): Acceleration {
  const gro = { isOn: false, reason, superDatagrams: 0 };
  const counters = { reads: 0, wakeups: 0, batches: 0, datagrams: 0, bytes: 0, kernelDrops: 0, pagesInUse: 0 };
  return { stats: () => ({ engine: "dgram", engineReason: reason, gro, ...counters }) };
}

function socketError(text: string): JumboError {
  return new JumboError("ERR_JUMBO_SOCKET_INVALID", text);
}
