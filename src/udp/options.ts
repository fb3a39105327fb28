import { JumboError } from "../errors.ts";
import { checkedFlag, checkedInteger, optionInvalid } from "../option.ts";
import { JumboPool } from "../pool/pool.ts";
import { COALESCE_MICROSECONDS, COALESCE_MICROSECONDS_MAX } from "./mmsg-reader.ts";
import type { UdpEngine } from "./reader.ts";

/** How a bound socket is received from. */
export type UdpReceiveOptions = {
  /** Where the pages come from. Several receivers share one pool. Pages of 64 KiB let the kernel hand over super-datagrams (`gro`). */
  readonly pool: JumboPool;
  /** `auto` (default): `recvmmsg` where this system and this Node allow it, else `dgram`, with the reason in `stats()`. */
  readonly engine?: "auto" | UdpEngine;
  /** Default true: generic receive offload, where the kernel has it. */
  readonly gro?: boolean;
  /**
   * Default 50: how long to wait for more, in microseconds, when datagrams come faster than one by one. It blocks the event loop, together with
   * reading 1 ms a turn at most, and saves the price of waking up for every few datagrams. 0: not at all.
   */
  readonly coalesceMicroseconds?: number;
  /** Default false: have the kernel tell the ECN bits of each datagram. */
  readonly ecn?: boolean;
  /** Default false: have the kernel tell which address each datagram was sent to. */
  readonly localAddress?: boolean;
};

/** A multicast group to be a member of. */
export type MulticastGroup = {
  readonly group: string;
  /** Only what this address sends. */
  readonly source?: string;
  /** The address of the interface to use. */
  readonly interface?: string;
};

/** A socket to be made, and how it is received from. */
export type UdpOptions = UdpReceiveOptions & {
  /** Default 0: any free one. */
  readonly port?: number;
  /** Default: every address of this machine. An IPv6 address makes an IPv6 socket. */
  readonly address?: string;
  readonly family?: 4 | 6;
  readonly ipv6Only?: boolean;
  readonly reuseAddr?: boolean;
  /** Several sockets on one port, among which the kernel spreads the load. Needs Node 22.12 or later. */
  readonly reusePort?: boolean;
  readonly broadcast?: boolean;
  /** Of the kernel's buffers; the system has a limit (`net.core.rmem_max`), above which it takes that. */
  readonly recvBufferBytes?: number;
  readonly sendBufferBytes?: number;
  readonly multicast?: {
    readonly groups?: readonly (string | MulticastGroup)[];
    /** The address of the interface to send on. */
    readonly interface?: string;
    readonly loopback?: boolean;
    readonly ttl?: number;
  };
  /** Closes the receiver when it aborts. */
  readonly signal?: AbortSignal;
};

const PORT_MAX = 65_535;
const BUFFER_BYTES_MAX = 2 ** 31 - 1;
const TTL_MAX = 255;

export type ReceiveSettings = {
  readonly pool: JumboPool;
  readonly engine: "auto" | UdpEngine;
  readonly gro: boolean;
  readonly ecn: boolean;
  readonly localAddress: boolean;
  readonly coalesceMicroseconds: number;
};

/** @throws JumboError `ERR_JUMBO_OPTION_INVALID` naming the option, `ERR_JUMBO_POOL_CLOSED` */
export function receiveSettings(options: UdpReceiveOptions, onBatch: unknown): ReceiveSettings {
  const { pool, engine = "auto", gro = true, ecn = false, localAddress = false } = options ?? {};
  if (onBatch !== undefined && typeof onBatch !== "function") throw optionInvalid("onBatch", "a function", onBatch);
  if (!(pool instanceof JumboPool)) throw optionInvalid("pool", "a JumboPool", pool);
  if (pool.isClosed) throw new JumboError("ERR_JUMBO_POOL_CLOSED", "the pool has been closed");
  if (engine !== "auto" && engine !== "recvmmsg" && engine !== "dgram")
    throw optionInvalid("engine", '"auto", "recvmmsg" or "dgram"', engine);
  const { coalesceMicroseconds = COALESCE_MICROSECONDS } = options;
  return {
    pool,
    engine,
    coalesceMicroseconds: checkedInteger("coalesceMicroseconds", coalesceMicroseconds, 0, COALESCE_MICROSECONDS_MAX),
    gro: checkedFlag("gro", gro),
    ecn: checkedFlag("ecn", ecn),
    localAddress: checkedFlag("localAddress", localAddress),
  };
}

/** Checks what only `bindUdp` takes. @throws JumboError `ERR_JUMBO_OPTION_INVALID` naming the option */
export function checkBindOptions(options: UdpOptions): void {
  const { port, address, family, recvBufferBytes, sendBufferBytes, signal } = options;
  if (port !== undefined) checkedInteger("port", port, 0, PORT_MAX);
  if (address !== undefined && typeof address !== "string") throw optionInvalid("address", "a string", address);
  if (family !== undefined && family !== 4 && family !== 6) throw optionInvalid("family", "4 or 6", family);
  for (const name of ["ipv6Only", "reuseAddr", "reusePort", "broadcast"] as const) {
    if (options[name] !== undefined) checkedFlag(name, options[name]);
  }
  if (recvBufferBytes !== undefined) checkedInteger("recvBufferBytes", recvBufferBytes, 1, BUFFER_BYTES_MAX);
  if (sendBufferBytes !== undefined) checkedInteger("sendBufferBytes", sendBufferBytes, 1, BUFFER_BYTES_MAX);
  checkMulticast(options.multicast ?? {});
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw optionInvalid("signal", "an AbortSignal", signal);
  if (options.reusePort === true && !hasReusePort()) {
    throw optionInvalid("reusePort", `false on Node ${process.versions.node} (it came with 22.12)`, true);
  }
}

function checkMulticast(multicast: NonNullable<UdpOptions["multicast"]>): void {
  if (typeof multicast !== "object") throw optionInvalid("multicast", "an object", multicast);
  const { groups = [], interface: via, loopback, ttl } = multicast;
  if (ttl !== undefined) checkedInteger("multicast.ttl", ttl, 0, TTL_MAX);
  if (loopback !== undefined) checkedFlag("multicast.loopback", loopback);
  checkText("multicast.interface", via);
  if (!Array.isArray(groups)) throw optionInvalid("multicast.groups", "an array", groups);
  for (const each of groups as readonly unknown[]) {
    if (typeof each === "string") continue;
    if (typeof each !== "object" || each === null || !("group" in each) || typeof each.group !== "string")
      throw optionInvalid("multicast.groups", "an array of addresses, or of objects with a group", each);
    checkText("multicast.groups.source", "source" in each ? each.source : undefined);
    checkText("multicast.groups.interface", "interface" in each ? each.interface : undefined);
  }
}

function checkText(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== "string") throw optionInvalid(name, "a string", value);
}

function hasReusePort(): boolean {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  return major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12);
}
