import {
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPPROTO_UDP,
  IPV6_RECVPKTINFO,
  IPV6_RECVTCLASS,
  IP_PKTINFO,
  IP_RECVTOS,
  UDP_GRO,
  errorName,
} from "../os/udp-calls.ts";
import type { UdpCalls } from "../os/udp-calls.ts";

/** Super-datagrams are up to 64 KiB long; in a shorter page their end would be lost, which is whole datagrams. */
const GRO_PAGE_BYTES = 65_536;

/** Turns UDP_GRO on. @returns why not; null when it is on */
export function turnGroOn(calls: UdpCalls, fd: number, pageSizeBytes: number): string | null {
  if (pageSizeBytes < GRO_PAGE_BYTES) return `the pool's pages are shorter than ${GRO_PAGE_BYTES} bytes`;
  const outcome = calls.setOption(fd, IPPROTO_UDP, UDP_GRO, 1);
  return outcome === 0 ? null : `the kernel refuses UDP_GRO: ${errorName(outcome)}`;
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
