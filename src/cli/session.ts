import type { Socket } from "node:net";
import type { JumboPool } from "../index.ts";
import { InvariantError } from "../invariant.ts";
import type { TcpEngine } from "../tcp/index.ts";
import { Connection } from "./connection.ts";
import type { ConnectionEnd } from "./connection.ts";
import { expectedEngine } from "./engines.ts";
import type { EngineName } from "./engines.ts";
import { Failure, describeError, reasonOf } from "./failure.ts";
import type { Listening } from "./listening.ts";
import type { Output } from "./output.ts";
import { formatCount } from "./quantities.ts";

/** What has been received, and from how many. */
export type Totals = {
  readonly engine: TcpEngine;
  readonly engineReason: string | null;
  readonly bytes: number;
  readonly bytesCopied: number;
  /** Received, and given up when the socket was gone before the output had room for them. */
  readonly bytesDropped: number;
  readonly reads: number;
  readonly pauses: number;
  readonly connections: number;
  readonly connectionsOpen: number;
  /** Connections that were open, and had sent something, when the session ended. */
  readonly connectionsCut: number;
  readonly errors: number;
  /** From the first byte to the last. */
  readonly seconds: number;
};

export type EndedBy = "once" | "duration" | "SIGINT" | "SIGTERM" | "reader gone" | "failure";

export type SessionOptions = {
  readonly pool: JumboPool;
  readonly engine: EngineName;
  readonly output: Output;
  /** Ends with the first connection that has ended. */
  readonly isOnce: boolean;
  readonly print: (text: string) => void;
};

/** Lines of each kind about connections; after that many they are only counted. */
const LINES_MAX = 100;

/** Failures have lines of their own, so that a crowd in good health cannot hide one. */
type LineKind = "news" | "failure";

type Sums = { bytes: number; bytesCopied: number; bytesDropped: number; reads: number; pauses: number };

/**
 * Everything received between the start of the command and its end: the connections there are, and the sums of those there were.
 *
 *     accept ──▶ Connection ──end──▶ sums
 *     finish ──▶ nobody is accepted, every connection is cut, what has arrived is written ──▶ done
 */
export class Session {
  /** Settles when it has been finished and every connection has ended. */
  readonly done: Promise<void>;
  readonly #options: SessionOptions;
  readonly #listenings: Listening[] = [];
  readonly #open = new Set<Connection>();
  readonly #sums: Sums = { bytes: 0, bytesCopied: 0, bytesDropped: 0, reads: 0, pauses: 0 };
  #engine: TcpEngine;
  #engineReason: string | null = null;
  #connections = 0;
  #cut = 0;
  #errors = 0;
  #firstMs = 0;
  #lastMs = 0;
  #endedBy: EndedBy | null = null;
  #failure: Error | null = null;
  #hasCompleted = false;
  readonly #linesLeft: Record<LineKind, number> = { news: LINES_MAX, failure: LINES_MAX };
  #settleDone: () => void = () => {};

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#engine = expectedEngine(options.engine);
    this.done = new Promise((resolve) => (this.#settleDone = resolve));
  }

  get endedBy(): EndedBy | null {
    return this.#endedBy;
  }

  /** What ended it, or what is left to be ashamed of. */
  get failure(): Error | null {
    return this.#failure;
  }

  /** 1 when the output or the only connection that counted has failed, else 0: other connections' errors are in the totals. */
  get exitCode(): 0 | 1 {
    const isIncomplete = this.#options.isOnce && !this.#hasCompleted && this.#endedBy !== "reader gone";
    return this.#failure !== null || isIncomplete ? 1 : 0;
  }

  /** The session's from now on. */
  add(listening: Listening): void {
    this.#listenings.push(listening);
    if (this.#endedBy !== null) listening.stopAccepting();
  }

  /** In the server's handler, before a byte is read. */
  accept(socket: Socket, peer: string): void {
    if (this.#endedBy !== null || socket.destroyed) return void socket.destroy();
    const { pool, engine, output } = this.#options;
    const connection = new Connection(socket, peer, {
      pool,
      engine,
      output,
      onBytes: () => this.#tick(),
      onEnd: (connection, end) => this.#ended(connection, end),
    });
    this.#connections++;
    this.#open.add(connection);
    ({ engine: this.#engine, engineReason: this.#engineReason } = connection.stats());
  }

  /** Somebody could not be received from. */
  refused(text: string): void {
    if (this.#endedBy !== null) return; // we have ended it ourselves
    this.#errors++;
    this.say("failure", text);
  }

  /** A line about a connection, as long as there are not too many of them. */
  say(kind: LineKind, text: string): void {
    if (this.#linesLeft[kind] === 0) return;
    this.#options.print(text);
    if (--this.#linesLeft[kind] > 0) return;
    this.#options.print(`from here on ${kind === "news" ? "connections" : "failures"} are counted without a line each`);
  }

  /** Ends the session: what has arrived is written, {@link done} settles then. Again: nothing. */
  finish(by: EndedBy): void {
    if (this.#endedBy !== null) return;
    this.#endedBy = by;
    for (const listening of this.#listenings) listening.stopAccepting();
    for (const connection of this.#open) connection.cut();
    this.#settleIfDone();
  }

  /** The output is broken, or we are. */
  fail(failure: Error): void {
    if (this.#failure === null) this.#options.print(describeError(failure));
    this.#failure ??= failure;
    this.finish("failure");
  }

  totals(): Totals {
    const sums = { ...this.#sums };
    for (const connection of this.#open) addStats(sums, connection);
    return {
      ...sums,
      engine: this.#engine,
      engineReason: this.#engineReason,
      connections: this.#connections,
      connectionsOpen: this.#open.size,
      connectionsCut: this.#cut,
      errors: this.#errors,
      seconds: (this.#lastMs - this.#firstMs) / 1000,
    };
  }

  #tick(): void {
    this.#lastMs = performance.now();
    if (this.#firstMs === 0) this.#firstMs = this.#lastMs;
  }

  #ended(connection: Connection, end: ConnectionEnd): void {
    this.#open.delete(connection);
    addStats(this.#sums, connection);
    const { bytesReceived } = end.stats;
    if (end.how === "complete" && bytesReceived > 0) this.#tick(); // its last byte is written now
    if (end.how === "cut" && bytesReceived > 0) this.#cut++;
    if (end.error !== null) this.#noteError(end.error);
    const isNews = this.#options.output.name !== null && !this.#options.isOnce; // else the summary says it, or nobody wants to know
    const kind = end.how === "complete" ? "news" : "failure";
    const line = kind === "failure" ? describeFailure(end) : isNews ? describeArrival(end) : null;
    if (line !== null) this.say(kind, line);
    this.#finishIfOnce(end);
    this.#settleIfDone();
  }

  #noteError(error: Error): void {
    this.#errors++;
    if (error instanceof InvariantError) this.fail(error);
    else if (error instanceof Failure) this.#failure ??= error;
  }

  /** A connection that sent nothing, such as a look whether the port is open, ends nothing while there are others. */
  #finishIfOnce(end: ConnectionEnd): void {
    if (!this.#options.isOnce || this.#endedBy !== null) return;
    if (end.stats.bytesReceived === 0 && this.#open.size > 0) return;
    this.#hasCompleted = end.how === "complete";
    this.finish("once");
  }

  #settleIfDone(): void {
    if (this.#endedBy === null || this.#open.size > 0) return;
    for (const listening of this.#listenings) listening.end();
    this.#settleDone();
  }
}

function addStats(sums: Sums, connection: Connection): void {
  const { bytesDelivered, bytesCopied, bytesDropped, reads, pauses } = connection.stats();
  sums.bytes += bytesDelivered;
  sums.bytesCopied += bytesCopied;
  sums.bytesDropped += bytesDropped;
  sums.reads += reads;
  sums.pauses += pauses;
}

/** What has come well; null when that is nothing. */
function describeArrival({ peer, stats, file }: ConnectionEnd): string | null {
  if (stats.bytesReceived === 0) return null;
  return `${peer} sent ${file === null ? "" : `${file.path}, `}${formatCount(stats.bytesReceived)} bytes`;
}

/** What has not come, or not to its end; null for a connection that was open and had sent nothing. */
function describeFailure({ peer, stats, how, error, file, wasWaiting }: ConnectionEnd): string | null {
  const size = `${formatCount(stats.bytesReceived)} bytes`;
  const place = file === null ? "" : `; ${file.path} holds ${formatCount(file.bytes)} bytes and is incomplete`;
  if (wasWaiting) return `${peer} was waiting for its turn: the ${size} it had sent are not written`;
  if (how === "failed") return `${peer} failed after ${size}: ${error === null ? "" : reasonOf(error)}${place}`;
  return stats.bytesReceived === 0 ? null : `${peer} was still open after ${size} and was closed${place}`;
}
