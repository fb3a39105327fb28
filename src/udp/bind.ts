import { createSocket } from "node:dgram";
import type { Socket, SocketOptions } from "node:dgram";
import { isIPv6 } from "node:net";
import { checkBindOptions, receiveSettings } from "./options.ts";
import type { UdpOptions } from "./options.ts";
import { receiveUdp } from "./receive.ts";
import type { OnBatch, UdpReceiver } from "./receiver.ts";

/**
 * Binds a UDP socket, and receives from it into the pages of a pool, many datagrams at a time: see {@link receiveUdp}.
 *
 * ```ts
 * const receiver = await bindUdp({ port: 5514, pool }, (batch) => {
 *   for (const datagram of batch) count(datagram.bytes);       // borrowed until the callback returns
 * });
 * ```
 *
 * Resolves when it is bound. Rejects with Node's errors (`EADDRINUSE`, `EADDRNOTAVAIL`, …), with the signal's reason when that aborts first, and with
 * `ERR_JUMBO_OPTION_INVALID`, `ERR_JUMBO_POOL_CLOSED`. When it rejects nothing is left open.
 */
export async function bindUdp(options: UdpOptions, onBatch?: OnBatch): Promise<UdpReceiver> {
  receiveSettings(options, onBatch);
  checkBindOptions(options);
  options.signal?.throwIfAborted();
  const socket = createSocket(socketOptions(options));
  await listening(socket, options);
  try {
    joinGroups(socket, options);
    return receiveUdp(socket, options, onBatch);
  } catch (error) {
    options.signal?.throwIfAborted(); // it has closed the socket
    socket.close();
    throw error;
  }
}

function socketOptions(options: UdpOptions): SocketOptions {
  const { address = "", family, ipv6Only, reuseAddr, reusePort, recvBufferBytes, sendBufferBytes, signal } = options;
  const is6 = family === 6 || (family === undefined && (isIPv6(address) || address.includes(":") || ipv6Only === true));
  return {
    type: is6 ? "udp6" : "udp4",
    ...(ipv6Only === undefined ? {} : { ipv6Only }),
    ...(reuseAddr === undefined ? {} : { reuseAddr }),
    ...(reusePort === undefined ? {} : { reusePort }),
    ...(recvBufferBytes === undefined ? {} : { recvBufferSize: recvBufferBytes }),
    ...(sendBufferBytes === undefined ? {} : { sendBufferSize: sendBufferBytes }),
    ...(signal === undefined ? {} : { signal }),
  };
}

/** Resolves in the very turn in which the socket is bound: before it can have read anything. */
function listening(socket: Socket, { port = 0, address, signal }: UdpOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: unknown): void => {
      socket.off("error", failed).off("listening", settle).off("close", aborted);
      if (error === undefined) resolve();
      else reject(error);
    };
    const failed = (error: Error): void => {
      settle(error);
      socket.close();
    };
    const aborted = (): void => settle(signal?.reason); // nobody else could have closed it
    socket.on("error", failed).on("listening", settle).on("close", aborted);
    socket.bind({ port, ...(address === undefined ? {} : { address }) });
  });
}

/** @throws Error with the system's code */
function joinGroups(socket: Socket, { broadcast, multicast = {} }: UdpOptions): void {
  if (broadcast === true) socket.setBroadcast(true);
  if (multicast.interface !== undefined) socket.setMulticastInterface(multicast.interface);
  if (multicast.loopback !== undefined) socket.setMulticastLoopback(multicast.loopback);
  if (multicast.ttl !== undefined) socket.setMulticastTTL(multicast.ttl);
  for (const each of multicast.groups ?? []) {
    const { group, source, interface: via } = typeof each === "string" ? { group: each } : each;
    if (source === undefined) socket.addMembership(group, via);
    else socket.addSourceSpecificMembership(source, group, via);
  }
}
