import { addressOf } from "../os/address-of.ts";
import { writePointer } from "../os/message-header.ts";
import { errorName } from "../os/system-error.ts";
import {
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPPROTO_UDP,
  IPV6_RECVPKTINFO,
  IPV6_RECVTCLASS,
  IP_PKTINFO,
  IP_RECVTOS,
  SOL_SOCKET,
  SO_ATTACH_FILTER,
  SO_DETACH_FILTER,
  UDP_GRO,
} from "../os/udp-calls.ts";
import type { UdpCalls } from "../os/udp-calls.ts";

/** Super-datagrams are up to 64 KiB long; in a shorter page their end would be lost, which is whole datagrams. */
const GRO_PAGE_BYTES = 65_536;

/**
 * Turns UDP_GRO on, or off: it belongs to the socket, and an earlier owner of an inherited one may have left it on.
 * @returns why it is off; null when it is on, or not wanted
 */
export function setGro(calls: UdpCalls, fd: number, pageSizeBytes: number, isWanted: boolean): string | null {
  const isLongEnough = pageSizeBytes >= GRO_PAGE_BYTES;
  const outcome = calls.setOption(fd, IPPROTO_UDP, UDP_GRO, isWanted && isLongEnough ? 1 : 0);
  if (!isWanted) return null;
  if (!isLongEnough) return `the pool's pages are shorter than ${GRO_PAGE_BYTES} bytes`;
  return outcome === 0 ? null : `the kernel refuses UDP_GRO: ${errorName(outcome)}`;
}

/** struct sock_filter: one instruction, "return 0 bytes". Off V8's heap; the kernel copies it during the call. */
const dropAll = new Uint8Array(new ArrayBuffer(128), 0, 8);
dropAll[0] = 6; // BPF_RET | BPF_K

/** From here on the kernel drops whatever is sent to the socket. */
export function refuseMessages(calls: UdpCalls, fd: number): void {
  // struct sock_fprog: u16 count of instructions, then at byte 8 where they are.
  const program = new Int32Array(new ArrayBuffer(128), 0, 4);
  program[0] = 1;
  writePointer(program, 2, addressOf(dropAll));
  calls.setOptionBytes(fd, SOL_SOCKET, SO_ATTACH_FILTER, new Uint8Array(program.buffer, 0, 16));
}

/** The end of {@link refuseMessages}. */
export function admitMessages(calls: UdpCalls, fd: number): void {
  calls.setOption(fd, SOL_SOCKET, SO_DETACH_FILTER, 0);
}

/** Asks the kernel for the ECN bits of each message. An IPv6 socket may get IPv4 messages too. */
export function askForEcn(calls: UdpCalls, fd: number, isIPv6: boolean): void {
  calls.setOption(fd, IPPROTO_IP, IP_RECVTOS, 1);
  if (isIPv6) calls.setOption(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
}

/** Asks the kernel for the address that each message was sent to. */
export function askForLocalAddress(calls: UdpCalls, fd: number, isIPv6: boolean): void {
  if (isIPv6) calls.setOption(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
  else calls.setOption(fd, IPPROTO_IP, IP_PKTINFO, 1);
}
