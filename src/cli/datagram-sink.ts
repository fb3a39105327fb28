import type { JumboPool } from "../index.ts";
import { invariant } from "../invariant.ts";
import { Mbuf } from "../mbuf/mbuf.ts";
import type { UdpDatagram } from "../udp/index.ts";
import { FramePages } from "./frame-pages.ts";
import type { Framing, LocalEnd } from "./framing.ts";
import type { Sink } from "./output.ts";

/** A shorter datagram is copied: for that the system is given one long piece instead of many short ones. */
const COPIED_BYTES_MAX = 2048;

/**
 * Where the datagrams of a session go: in their framing, one behind the other, through one sink.
 *
 *     datagrams    A  B  C (long)  D
 *     pieces       [ header A trailer header B trailer header ] [ C, held ] [ trailer header D trailer ]
 *                    in a page                                    where it was received
 *
 * Several sockets may share it: what is added in one turn of the event loop stays together.
 */
export class DatagramSink {
  readonly #sink: Sink;
  readonly #framing: Framing;
  readonly #pages: FramePages;
  /** Not yet taken by the sink: a batch of each socket at most. */
  readonly #queue: Mbuf[] = [];
  /** While the sink keeps a piece waiting. */
  #passing: Promise<void> | null = null;
  #framingBytes = 0;

  constructor(pool: JumboPool, sink: Sink, framing: Framing) {
    this.#pages = new FramePages(pool);
    this.#sink = sink;
    this.#framing = framing;
  }

  /** What was added around payloads. */
  get framingBytes(): number {
    return this.#framingBytes;
  }

  /** The file's header goes first, so that whoever reads along has it before anything comes. */
  begin(): void {
    this.#write(this.#framing.fileHeader);
    void this.flush();
  }

  /** What is added until {@link flush} was read together. */
  beginBatch(): void {
    this.#framing.beginBatch();
  }

  add(datagram: UdpDatagram, local: LocalEnd): void {
    const { headerBytesMax, trailer } = this.#framing;
    if (headerBytesMax > 0) {
      const target = this.#pages.room(headerBytesMax);
      const headerBytes = this.#framing.writeHeader(datagram, local, target, this.#pages.end);
      this.#pages.advance(headerBytes);
      this.#framingBytes += headerBytes;
    }
    if (datagram.length > COPIED_BYTES_MAX) this.#pages.append(held(datagram));
    else if (datagram.length > 0) this.#pages.copy(datagram.bytes);
    this.#write(trailer);
  }

  /** Passes on what was added. Resolves when more can be taken; undefined when it can be at once. */
  flush(): Promise<void> | undefined {
    this.#queue.push(...this.#pages.take());
    if (this.#passing !== null) return this.#passing;
    const answer = this.#pass();
    if (answer === undefined) return this.#pages.standIn ?? undefined;
    return (this.#passing = this.#passLater(answer));
  }

  /** Resolves when everything is written, or has failed. */
  async end(): Promise<void> {
    await this.#passing;
    await this.#sink.end();
  }

  #write(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#pages.copy(bytes);
    this.#framingBytes += bytes.length;
  }

  async #passLater(answer: Promise<void>): Promise<void> {
    for (let pending: Promise<void> | undefined = answer; pending !== undefined; pending = this.#pass()) {
      await pending; // one piece after the other: the sink has asked for it
      this.#queue.shift()?.endBorrow();
    }
    this.#passing = null;
    await this.#pages.standIn;
  }

  /** Gives the sink pieces until it wants to be waited for, with the piece that it has then still in the queue. */
  #pass(): Promise<void> | undefined {
    for (let piece = this.#queue[0]; piece !== undefined; piece = this.#queue[0]) {
      const answer = this.#sink.take(piece);
      // Nothing would ever wake the one that waits: the command refuses to let datagrams and connections share a file.
      invariant(answer !== false, "datagrams wait for nobody's turn");
      if (answer !== undefined) return answer;
      this.#queue.shift();
      piece.endBorrow();
    }
    return undefined;
  }
}

/** Where it was received. */
function held(datagram: UdpDatagram): Mbuf {
  const kept = datagram.hold();
  return Mbuf.external(kept.bytes, () => kept.release());
}
