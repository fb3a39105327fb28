import type { RemoteInfo } from "node:dgram";
import type { Mbuf } from "../mbuf/mbuf.ts";
import type { SocketAddress } from "../os/socket-address.ts";
import type { DatagramRows } from "./datagram.ts";

type Message = { readonly mbuf: Mbuf; readonly source: SocketAddress; readonly fullLength: number };

/** Rows of messages that Node has read, each copied into a page: one borrowed mbuf a row. */
export class MessageRows implements DatagramRows {
  byteCount = 0;
  truncatedCount = 0;
  readonly #pageSizeBytes: number;
  #messages: Message[] = [];

  constructor(pageSizeBytes: number) {
    this.#pageSizeBytes = pageSizeBytes;
  }

  /** Takes over the borrowed `mbuf`: as much as there was room for of `fullLength` bytes. */
  add(mbuf: Mbuf, { address, port, family }: RemoteInfo, fullLength: number): void {
    this.#messages.push({ mbuf, source: { address, port, family }, fullLength });
    this.byteCount += mbuf.length;
    if (mbuf.length < fullLength) this.truncatedCount++;
  }

  get rowCount(): number {
    return this.#messages.length;
  }

  get datagramCount(): number {
    return this.#messages.length;
  }

  lengthOf(row: number): number {
    return this.#at(row).mbuf.length;
  }

  fullLengthOf(row: number): number {
    return this.#at(row).fullLength;
  }

  segmentBytesOf(): number {
    return 0;
  }

  bytesOf(row: number): Buffer {
    return this.#at(row).mbuf.bytes;
  }

  mbufOf(row: number): Mbuf {
    return this.#at(row).mbuf.hold();
  }

  pageNumberOf(row: number): number {
    return Math.floor(this.#at(row).mbuf.bytes.byteOffset / this.#pageSizeBytes); // pages lie in one memory, one behind the other
  }

  sourceOf(row: number): SocketAddress {
    return this.#at(row).source;
  }

  /** Node does not tell. */
  ecnOf(): null {
    return null;
  }

  /** Node does not tell. */
  localAddressOf(): null {
    return null;
  }

  giveBack(): void {
    for (const { mbuf } of this.#messages) mbuf.endBorrow();
    this.#messages = [];
    this.byteCount = 0;
    this.truncatedCount = 0;
  }

  #at(row: number): Message {
    return this.#messages[row]!; // the datagram of a batch asks for rows that there are
  }
}
