import type { Socket } from "node:dgram";
import { isIPv4 } from "node:net";
import { JumboError } from "../errors.ts";
import { checkedInteger } from "../option.ts";
import { SEND_ROWS, SendVector } from "../os/send-vector.ts";
import type { UdpCalls } from "../os/udp-calls.ts";
import { handleOf } from "./node-internals.ts";
import { systemError } from "../os/system-error.ts";

/** A datagram to be sent. Without `address`: to where the socket is connected. */
export type OutgoingDatagram = {
  readonly bytes: Uint8Array;
  readonly address?: string | undefined;
  readonly port?: number | undefined;
};

export type SendOptions = {
  /** Each `bytes` is sent as datagrams of so many bytes, the last one may be shorter; cut by the kernel where it can (GSO). */
  readonly segmentBytes?: number | undefined;
};

/** What a receiver has sent. */
export type SentStats = {
  readonly datagrams: number;
  readonly bytes: number;
  /** Of sendmmsg(2), each with up to 64 messages. */
  readonly systemCalls: number;
  /** Datagrams that went through Node one by one: names to look up, a full socket buffer, no system calls. */
  readonly viaNode: number;
  readonly errors: number;
};

/** What IPv4 can carry. */
const DATAGRAM_BYTES_MAX = 65_507;
/**
 * What is given to the kernel to be cut, at most. A frame of 64 KiB or more, with its Ethernet (14), IPv6 (40) and UDP header (8), would be cut
 * before it is sent (gso_features_check, net/core/dev.c), and arrive in pieces. And UDP_MAX_SEGMENTS of kernels before 6.9.
 */
const MESSAGE_BYTES_MAX = 65_535 - 14 - 40 - 8;
const SEGMENTS_MAX = 64;
const PORT_MAX = 65_535;
const EAGAIN = 11;
const EINTR = 4;
const EBADF = 9;
/** The device under the route cannot do what GSO needs; a segment is longer than what the route takes in one piece. */
const EIO = 5;
const EINVAL = 22;
const EMSGSIZE = 90;

/** Of this thread, between calls. A call that comes while another one iterates what it sends makes its own. */
let spareVector: SendVector | null = null;

function takeVector(): SendVector {
  const vector = spareVector ?? new SendVector();
  spareVector = null;
  return vector;
}

function giveBack(vector: SendVector): void {
  vector.clear();
  spareVector = vector;
}

/**
 * Sends on a bound socket: many datagrams a system call, and what the kernel does not take at once through Node, which waits until it does (not
 * on a connected socket: there it fails with `EAGAIN`, see `reader.ts`).
 *
 * The bytes are taken during the call: they are the caller's again when it returns, also while the promise is pending.
 */
export class Sender {
  readonly #socket: Socket;
  readonly #calls: UdpCalls | null;
  readonly #isIPv6: boolean;
  #canSegment = true;
  #datagrams = 0;
  #bytes = 0;
  #systemCalls = 0;
  #viaNode = 0;
  #pendingViaNode = 0;
  #errors = 0;

  /** `calls` null: everything through Node. */
  constructor(socket: Socket, calls: UdpCalls | null, isIPv6: boolean) {
    this.#socket = socket;
    this.#calls = calls;
    this.#isIPv6 = isIPv6;
  }

  stats(): SentStats {
    return {
      datagrams: this.#datagrams,
      bytes: this.#bytes,
      systemCalls: this.#systemCalls,
      viaNode: this.#viaNode,
      errors: this.#errors,
    };
  }

  /**
   * Sends all of `datagrams`. A datagram that fails does not keep the others from being sent.
   * Rejects, when all were tried, with the first error. Bad input rejects with `ERR_JUMBO_OPTION_INVALID`; what came before it may be sent.
   */
  async send(datagrams: Iterable<OutgoingDatagram>, { segmentBytes = 0 }: SendOptions = {}): Promise<void> {
    checkedInteger("segmentBytes", segmentBytes, 0, DATAGRAM_BYTES_MAX);
    if (typeof datagrams?.[Symbol.iterator] !== "function") throw wrong("datagrams must be iterable");
    const round = new Round(this.#calls === null ? null : takeVector());
    try {
      for (const datagram of datagrams) this.#add(checked(datagram), segmentBytes, round);
      this.#flush(round);
    } finally {
      if (round.vector !== null) giveBack(round.vector);
    }
    if (round.pending.length > 0) await Promise.all(round.pending);
    if (round.error !== null) throw round.error;
  }

  /** Puts one datagram, or all that it is to be cut into, into the vector. */
  #add({ bytes, address, port = 0 }: OutgoingDatagram, segmentBytes: number, round: Round): void {
    const isCut = segmentBytes > 0 && bytes.length > segmentBytes;
    const perMessage = isCut && this.#canSegment ? segmentBytes * segmentsPerMessage(segmentBytes) : segmentBytes;
    const step = isCut ? perMessage : Math.max(1, bytes.length);
    for (let start = 0; start < Math.max(1, bytes.length); start += step) {
      const message = bytes.subarray(start, start + step);
      const row: Row = {
        bytes: message,
        address,
        port,
        segmentBytes: message.length > segmentBytes ? segmentBytes : 0,
      };
      if (!this.#fill(row, round)) this.#sendViaNode(row, round);
    }
  }

  /** False, when it has to go through Node: a name to look up, or no system calls. */
  #fill(row: Row, round: Round): boolean {
    const { vector } = round;
    if (vector === null) return false;
    if (vector.count === SEND_ROWS) this.#flush(round);
    if (this.#pendingViaNode > 0) return false; // nothing overtakes what waits there
    if (!vector.add(row.bytes, row.address, row.port, this.#isIPv6, row.segmentBytes)) return false;
    round.rows.push(row);
    if (vector.isUrgent) this.#flush(round);
    return true;
  }

  /** Hands the filled rows to the kernel, and those it has no room for to Node. */
  #flush(round: Round): void {
    const { rows, vector } = round;
    let done = 0;
    while (done < rows.length) {
      const outcome = this.#sendFrom(vector, done, rows.length - done);
      if (outcome === -EAGAIN) break;
      if (outcome === -EINTR) continue;
      if (outcome < 0) this.#refused(this.#taken(round, done), outcome, round);
      const next = done + Math.max(1, outcome);
      if (outcome > 0) for (const row of rows.slice(done, next)) this.#count(row);
      done = next;
    }
    for (; done < rows.length; done++) this.#sendViaNode(this.#taken(round, done), round);
    rows.length = 0;
    vector?.clear();
  }

  /** A row with its bytes as they were when they were taken: the caller may have used their memory for the next ones since. */
  #taken({ rows, vector }: Round, index: number): Row {
    const row = rows[index]!;
    return vector === null ? row : { ...row, bytes: vector.bytesOf(index) };
  }

  #sendFrom(vector: SendVector | null, row: number, count: number): number {
    const { fd = -1 } = handleOf(this.#socket) ?? {};
    if (fd < 0 || this.#calls === null || vector === null) return -EBADF; // the socket has been closed
    this.#systemCalls++;
    return this.#calls.send(fd, vector.addressOfRow(row), count);
  }

  /** The kernel does not want this one. */
  #refused(row: Row, outcome: number, round: Round): void {
    if (row.segmentBytes > 0 && (outcome === -EIO || outcome === -EINVAL || outcome === -EMSGSIZE)) {
      if (outcome === -EIO) this.#canSegment = false;
      this.#sendViaNode(row, round); // cut by us, and in fragments if it must be
      return;
    }
    this.#fail(Object.assign(systemError(outcome, "sendmmsg"), { address: row.address, port: row.port }), round);
  }

  /** One by one, from copies: Node keeps what it is given until it is sent. */
  #sendViaNode({ bytes, address, port, segmentBytes }: Row, round: Round): void {
    const step = segmentBytes > 0 ? segmentBytes : Math.max(1, bytes.length);
    for (let start = 0; start < Math.max(1, bytes.length); start += step) {
      const copy = Buffer.from(bytes.subarray(start, start + step));
      round.pending.push(this.#sendOneViaNode(copy, address, port, round));
    }
  }

  #sendOneViaNode(bytes: Buffer, address: string | undefined, port: number, round: Round): Promise<void> {
    this.#viaNode++;
    this.#pendingViaNode++;
    // As the kernel is given it on an IPv6 socket.
    const target = this.#isIPv6 && address !== undefined && isIPv4(address) ? `::ffff:${address}` : address;
    return new Promise((resolve) => {
      const done = (error: Error | null): void => {
        this.#pendingViaNode--;
        if (error === null) this.#count({ bytes, segmentBytes: 0 });
        else this.#fail(error, round);
        resolve();
      };
      try {
        if (target === undefined) this.#socket.send(bytes, done);
        else this.#socket.send(bytes, port, target, done);
      } catch (error) {
        done(error instanceof Error ? error : new Error(String(error)));
      }
    });
  }

  #fail(error: Error, round: Round): void {
    this.#errors++;
    round.error ??= error;
  }

  #count({ bytes, segmentBytes }: Pick<Row, "bytes" | "segmentBytes">): void {
    this.#datagrams += segmentBytes > 0 ? Math.ceil(bytes.length / segmentBytes) : 1;
    this.#bytes += bytes.length;
  }
}

type Row = {
  readonly bytes: Uint8Array;
  readonly address: string | undefined;
  readonly port: number;
  /** 0: it is one datagram. */
  readonly segmentBytes: number;
};

/** One call of {@link Sender.send}. */
class Round {
  readonly vector: SendVector | null;
  /** In the vector now, in its order. */
  readonly rows: Row[] = [];
  readonly pending: Promise<void>[] = [];
  error: Error | null = null;

  constructor(vector: SendVector | null) {
    this.vector = vector;
  }
}

function segmentsPerMessage(segmentBytes: number): number {
  return Math.max(1, Math.min(SEGMENTS_MAX, Math.floor(MESSAGE_BYTES_MAX / segmentBytes)));
}

/** @throws JumboError `ERR_JUMBO_OPTION_INVALID` */
function checked(datagram: OutgoingDatagram): OutgoingDatagram {
  if (typeof datagram !== "object" || datagram === null) throw wrong("a datagram must be an object with bytes");
  const { bytes, address, port } = datagram;
  if (!(bytes instanceof Uint8Array)) throw wrong("bytes must be a Uint8Array");
  if ((address === undefined) !== (port === undefined)) throw wrong("address and port come together, or not at all");
  if (port !== undefined) checkedInteger("port", port, 0, PORT_MAX);
  if (address !== undefined && typeof address !== "string") throw wrong("address must be a string");
  return { bytes, address, port }; // asked for once: they may be getters
}

function wrong(text: string): JumboError {
  return new JumboError("ERR_JUMBO_OPTION_INVALID", text);
}
