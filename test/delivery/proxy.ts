/** A proxy in this process, for the tests of `relay()`: client ⇄ near side, far side ⇄ server. */
import { readdirSync, readlinkSync } from "node:fs";
import net from "node:net";
import type { TestContext } from "node:test";
import { relay } from "../../src/delivery/index.ts";
import type { Relay, RelayEngine, RelayOptions } from "../../src/delivery/index.ts";
import { loadSpliceCalls } from "../../src/os/splice-calls.ts";
import { listen } from "../support/sockets.ts";

/** Both engines must pass the same tests. */
export const ENGINES: readonly RelayEngine[] = ["pages", "splice"];

/** For the options of a test of `engine`: why it cannot be had here; false when it can. */
export function skipFor(engine: RelayEngine): string | false {
  const found = loadSpliceCalls();
  return engine === "splice" && found.calls === null ? found.reason : false;
}

/** One proxied connection: its two directions and its two sockets. */
export type Proxied = {
  readonly client: net.Socket;
  readonly server: net.Socket;
  readonly up: Relay;
  readonly down: Relay;
  /** How `up` and `down` ended: undefined, or with what. */
  readonly outcomes: Promise<readonly unknown[]>;
};

export type ProxyOptions = RelayOptions & { readonly onProxied?: (proxied: Proxied) => void };

/** Accepts on a port of its own, connects each to `targetPort`, relays both ways. Returns the port. */
export async function startProxy(t: TestContext, targetPort: number, options: ProxyOptions): Promise<number> {
  const { onProxied, ...relayOptions } = options;
  return listen(
    t,
    (client) => {
      const server = net.connect({ port: targetPort, host: "127.0.0.1", allowHalfOpen: true });
      const up = relay(client, server, relayOptions);
      const down = relay(server, client, relayOptions);
      const outcomes = Promise.all([up, down].map(({ done }) => done.then(nothing, (error: unknown) => error)));
      onProxied?.({ client, server, up, down, outcomes });
    },
    { allowHalfOpen: true },
  );
}

function nothing(): undefined {}

/** The descriptors of this process that are sockets, pipes, or epoll sets; null where the system does not tell. */
export function openDescriptors(): string[] | null {
  if (process.platform !== "linux") return null;
  return readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      const what = readlinkSync(`/proc/self/fd/${fd}`);
      return /^(?:socket|pipe|anon_inode:\[eventpoll\])/.test(what) ? [`${fd} ${what}`] : [];
    } catch {
      return []; // the descriptor of the listing itself
    }
  });
}

/** Everything until the end. */
export async function receiveAll(socket: net.Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}
