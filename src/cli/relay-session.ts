import { setMaxListeners } from "node:events";
import type { Socket } from "node:net";
import type { JumboPool } from "../index.ts";
import { relay } from "../delivery/index.ts";
import type { Relay, RelayEngine } from "../delivery/index.ts";
import { codeOf, reasonOf } from "./failure.ts";
import type { ConnectionContext, Listen, Listening } from "./listening.ts";
import type { Target } from "./target.ts";

/** What has been relayed; up is from who connected to the target. */
export type RelayTotals = {
  readonly connections: number;
  readonly connectionsOpen: number;
  /** Connections that did not come to a good end: no handshake, reset, cut, or the target could not be reached. */
  readonly failures: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
  readonly pauses: number;
  /** Engines that were in use, each with the reason why it was not `splice`. */
  readonly engines: Readonly<Record<string, string | null>>;
};

export type RelaySessionOptions = {
  readonly pool: JumboPool;
  readonly engine: "auto" | RelayEngine;
  readonly to: Target;
  readonly print: (text: string) => void;
};

type Proxied = {
  readonly up: Relay;
  readonly down: Relay;
};

/** Lines about failures; after that many they are only counted. */
const LINES_MAX = 100;

/**
 * Everything relayed between the start of the command and its end.
 *
 *     client ──▶ accept ──▶ relay up ──▶ target
 *            ◀── relay down ◀───────────         each direction ends by itself; a failure ends both
 */
export class RelaySession {
  /** Settles when nobody is accepted any more and every connection has ended. */
  readonly done: Promise<void>;
  readonly #options: RelaySessionOptions;
  #listening: Listening | null = null;
  readonly #open = new Set<Proxied>();
  readonly #cut = new AbortController();
  readonly #engines = new Map<string, string | null>();
  #connections = 0;
  #failures = 0;
  #linesLeft = LINES_MAX;
  readonly #sums = { bytesUp: 0, bytesDown: 0, pauses: 0 };
  #isClosed = false;
  #settle: () => void = () => {};

  constructor(options: RelaySessionOptions) {
    this.#options = options;
    setMaxListeners(0, this.#cut.signal); // two a connection
    this.done = new Promise((resolve) => (this.#settle = resolve));
  }

  /** Resolves with the URL, with the port that was chosen. @throws Failure */
  async listen(
    listen: Listen<ConnectionContext>,
    { cert, key }: { readonly cert?: string; readonly key?: string },
  ): Promise<string> {
    this.#listening = await listen({
      certFile: cert,
      keyFile: key,
      socketOptions: { allowHalfOpen: true, noDelay: true },
      onSocket: (client, peer) => this.#accept(client, peer),
      onRefused: (text) => this.#failed(text),
      notice: this.#options.print,
    });
    return this.#listening.url;
  }

  totals(): RelayTotals {
    let { bytesUp, bytesDown, pauses } = this.#sums;
    for (const { up, down } of this.#open) {
      bytesUp += up.stats().bytesWritten;
      bytesDown += down.stats().bytesWritten;
      pauses += up.stats().pauses + down.stats().pauses;
    }
    const engines = Object.fromEntries(this.#engines);
    const [connections, connectionsOpen, failures] = [this.#connections, this.#open.size, this.#failures];
    return { connections, connectionsOpen, failures, bytesUp, bytesDown, pauses, engines };
  }

  /** Nobody is accepted any more; who is connected goes on. */
  drain(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#listening?.stopAccepting();
    this.#settleIfDone();
  }

  /** Nobody is accepted any more, and every connection is cut: both sides are told that it was no good end. */
  cut(): void {
    this.drain();
    this.#cut.abort();
  }

  #accept(client: Socket, peer: string): void {
    if (this.#isClosed || client.destroyed) return void client.destroy(); // its handshake took until now, or it has gone
    const { to, pool, engine } = this.#options;
    const { signal } = this.#cut;
    const target = to.connect();
    let isReached = false;
    target.once(to.readyEvent, () => (isReached = true));
    const up = relay(client, target, { pool, engine, signal });
    const down = relay(target, client, { pool, engine, signal });
    const proxied = { up, down };
    const bothClosed = Promise.all([closed(client), closed(target)]);
    this.#connections++;
    this.#open.add(proxied);
    Promise.all([up.done, down.done]).then(
      () => this.#ended(proxied),
      (error: unknown) => {
        const isUnreachable = !isReached && target.errored === error;
        this.#failed(
          isUnreachable
            ? `${peer}: cannot connect to ${to.url}: ${reasonOf(error)}`
            : describeCut(peer, proxied, error),
        );
        // With the last 'close' every write has been called back, and its page is back.
        void bothClosed.then(() => this.#ended(proxied));
      },
    );
  }

  #ended(proxied: Proxied): void {
    const [up, down] = [proxied.up.stats(), proxied.down.stats()];
    this.#sums.bytesUp += up.bytesWritten;
    this.#sums.bytesDown += down.bytesWritten;
    this.#sums.pauses += up.pauses + down.pauses;
    for (const { engine, engineReason } of [up, down]) this.#engines.set(engine, engineReason);
    this.#open.delete(proxied);
    this.#settleIfDone();
  }

  #failed(text: string): void {
    this.#failures++;
    if (this.#isClosed || this.#linesLeft === 0) return;
    this.#options.print(text);
    if (--this.#linesLeft === 0) this.#options.print("further failures are only counted");
  }

  #settleIfDone(): void {
    if (!this.#isClosed || this.#open.size > 0) return;
    this.#listening?.end(); // handshakes that were never finished
    this.#settle();
  }
}

/** Resolves with the event: `socket.closed` is true before the system has let go of what is being written. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once("close", () => resolve()));
}

function describeCut(peer: string, { up, down }: Proxied, error: unknown): string {
  const why = codeOf(error) === "" ? reasonOf(error) : codeOf(error);
  return `${peer}: cut after ${up.stats().bytesWritten} bytes up, ${down.stats().bytesWritten} down: ${why}`;
}
