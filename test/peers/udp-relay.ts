/** Not a test: a relay for UDP, made of `bindUdp` at both ends. Each client gets a socket of its own towards the target, by which replies find back. */
import type { JumboPool } from "../../src/index.ts";
import { bindUdp } from "../../src/udp/index.ts";
import type { OutgoingDatagram, UdpBatch, UdpEngine, UdpReceiver, UdpStats } from "../../src/udp/index.ts";

export type RelayOptions = {
  readonly pool: JumboPool;
  readonly engine: UdpEngine;
  readonly port: number;
  readonly targetPort: number;
};

const HOST = "127.0.0.1";
const BUFFER_BYTES = 4 << 20;

type Address = { readonly address: string; readonly port: number };

/**
 *     client ──▶ front ──▶ upstream of this client ──▶ target
 *     client ◀── front ◀── upstream of this client ◀── target
 *
 * A batch is borrowed until it is sent on: the relay copies nothing.
 */
export class UdpRelay {
  readonly #options: RelayOptions;
  readonly #clients = new Map<string, Promise<UdpReceiver>>();
  #front: UdpReceiver | null = null;

  private constructor(options: RelayOptions) {
    this.#options = options;
  }

  static async open(options: RelayOptions): Promise<UdpRelay> {
    const relay = new UdpRelay(options);
    const { pool, engine, port } = options;
    relay.#front = await bindUdp({ pool, engine, port, address: HOST, ...BUFFERS }, (batch) => relay.#toTarget(batch));
    return relay;
  }

  /** Of all sockets, the front one first. */
  async stats(): Promise<UdpStats[]> {
    const upstreams = await this.#upstreams();
    return [this.#opened(), ...upstreams].map((receiver) => receiver.stats());
  }

  async close(): Promise<void> {
    for (const receiver of [this.#opened(), ...(await this.#upstreams())]) await receiver.close();
  }

  async #toTarget(batch: UdpBatch): Promise<void> {
    const byUpstream = new Map<Promise<UdpReceiver>, OutgoingDatagram[]>();
    for (const { bytes, address, port } of batch) {
      const upstream = this.#upstreamOf({ address, port });
      const datagrams = byUpstream.get(upstream) ?? [];
      if (datagrams.length === 0) byUpstream.set(upstream, datagrams);
      datagrams.push({ bytes });
    }
    for (const [upstream, datagrams] of byUpstream) await forgiving((await upstream).sendBatch(datagrams));
  }

  #upstreamOf(client: Address): Promise<UdpReceiver> {
    const key = `${client.address} ${client.port}`;
    let upstream = this.#clients.get(key);
    if (upstream === undefined) this.#clients.set(key, (upstream = this.#openUpstream(client)));
    return upstream;
  }

  async #openUpstream(to: Address): Promise<UdpReceiver> {
    const { pool, engine, targetPort } = this.#options;
    const upstream = await bindUdp({ pool, engine, address: HOST, ...BUFFERS }, (batch) => this.#toClient(batch, to));
    await new Promise<void>((resolve) => upstream.socket.connect(targetPort, HOST, resolve));
    upstream.on("error", () => {}); // the target may be gone before its client
    return upstream;
  }

  #toClient(batch: UdpBatch, to: Address): Promise<void> {
    return forgiving(this.#opened().sendBatch(Array.from(batch, ({ bytes }) => ({ bytes, ...to }))));
  }

  #upstreams(): Promise<UdpReceiver[]> {
    return Promise.all(this.#clients.values());
  }

  #opened(): UdpReceiver {
    if (this.#front === null) throw new Error("a relay is opened before it is handed out");
    return this.#front;
  }
}

/** What cannot be sent, because nobody listens there any more, is lost, as UDP is, and counted. */
function forgiving(sending: Promise<void>): Promise<void> {
  return sending.catch(() => {});
}

const BUFFERS = { recvBufferBytes: BUFFER_BYTES, sendBufferBytes: BUFFER_BYTES } as const;
