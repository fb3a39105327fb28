import type { Socket } from "node:net";
import type { JumboPool } from "../index.ts";
import { InvariantError } from "../invariant.ts";
import type { UdpReceiver } from "../udp/index.ts";
import { Connection } from "./connection.ts";
import { DatagramIntake } from "./datagram-intake.ts";
import type { BindDatagrams } from "./datagram-intake.ts";
import { DatagramSink } from "./datagram-sink.ts";
import { expectedEngine } from "./engines.ts";
import type { EngineChoice } from "./engines.ts";
import { Failure, describeError, reasonOf } from "./failure.ts";
import type { Framing } from "./framing.ts";
import { NO_COUNTS, addedCounts } from "./intake.ts";
import type { Counts, EngineInUse, GroState, Intake, IntakeEnd } from "./intake.ts";
import type { Listening } from "./listening.ts";
import type { Output } from "./output.ts";

/** What has been received, and from how many. */
export type Totals = Omit<Counts, "superDatagrams"> &
  EngineInUse & {
    /** Written around datagrams: the ends of lines, the headers of a capture. */
    readonly bytesFraming: number;
    readonly gro: GroState & { readonly superDatagrams: number };
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
  readonly engine: EngineChoice;
  readonly output: Output;
  /** Of datagrams. */
  readonly framing: Framing;
  /** Whether the kernel may hand over datagrams many at a time; undefined: if it can. */
  readonly gro: boolean | undefined;
  /** Ends with the first connection that has ended, or with the first datagram. */
  readonly isOnce: boolean;
  readonly print: (text: string) => void;
};

/** Lines of each kind about connections; after that many they are only counted. */
const LINES_MAX = 100;

/** Failures have lines of their own, so that a crowd in good health cannot hide one. */
type LineKind = "news" | "failure";

/**
 * Everything received between the start of the command and its end: the intakes there are, and the sums of those there were.
 *
 *     accept, bind ──▶ begin ──▶ intakes ──end──▶ sums
 *     finish ──▶ nobody is accepted, every intake is cut, what has arrived is written ──▶ done
 */
export class Session {
  /** Settles when it has been finished and every intake has ended. */
  readonly done: Promise<void>;
  readonly #options: SessionOptions;
  readonly #listenings: Listening[] = [];
  readonly #open = new Set<Intake>();
  #sums = NO_COUNTS;
  /** Each engine that was in use, with its reason. */
  readonly #engines = new Map<string, string | null>();
  #gro: GroState = { isOn: false, reason: null };
  /** Shared by all sockets for datagrams; made with the first. */
  #datagramSink: DatagramSink | null = null;
  #cut = 0;
  #errors = 0;
  #firstMs = 0;
  #lastMs = 0;
  #endedBy: EndedBy | null = null;
  #failure: Error | null = null;
  #hasCompleted = false;
  /** The one datagram that is wanted is there. */
  #isClaimed = false;
  readonly #linesLeft: Record<LineKind, number> = { news: LINES_MAX, failure: LINES_MAX };
  readonly #begun: Promise<void>;
  #settleBegun: () => void = () => {};
  #isSettled = false;
  #settleDone: () => void = () => {};

  constructor(options: SessionOptions) {
    this.#options = options;
    this.done = new Promise((resolve) => (this.#settleDone = resolve));
    this.#begun = new Promise((resolve) => (this.#settleBegun = resolve));
  }

  get endedBy(): EndedBy | null {
    return this.#endedBy;
  }

  /** What ended it, or what is left to be ashamed of. */
  get failure(): Error | null {
    return this.#failure;
  }

  /** 1 when the output or the only intake that counted has failed, else 0: other connections' errors are in the totals. */
  get exitCode(): 0 | 1 {
    const isIncomplete = this.#options.isOnce && !this.#hasCompleted && this.#endedBy !== "reader gone";
    return this.#failure !== null || isIncomplete ? 1 : 0;
  }

  /** The session's from now on. */
  add(listening: Listening): void {
    this.#listenings.push(listening);
    if (this.#endedBy !== null) listening.stopAccepting();
  }

  /** The output is ours: datagrams, which may have come before, are written from now on. */
  begin(): void {
    this.#datagramSink?.begin();
    this.#settleBegun();
  }

  /** In the server's handler, before a byte is read. */
  accept(socket: Socket, peer: string): void {
    if (this.#endedBy !== null || socket.destroyed) return void socket.destroy();
    const { pool, engine, output } = this.#options;
    const connection = new Connection(socket, peer, {
      pool,
      engine: engine.connections,
      output,
      onBytes: () => this.#tick(),
      onEnd: (connection, end) => this.#ended(connection, end),
    });
    this.#opened(connection);
  }

  /** Receives what is sent to the socket that `bind` makes, of which messages say `url`. Rejects with what `bind` rejects with. */
  async receiveDatagrams(url: string, bind: BindDatagrams): Promise<UdpReceiver> {
    const { pool, engine, gro, framing, isOnce } = this.#options;
    const intake = await DatagramIntake.open(bind, {
      pool,
      engine: engine.datagrams,
      gro,
      sink: this.#sinkForDatagrams(),
      wantsEverything: framing.wantsEverything,
      claimOnce: isOnce ? (): boolean => !this.#isClaimed && (this.#isClaimed = true) : null,
      begun: this.#begun,
      onBytes: () => this.#tick(),
      onError: (error) =>
        error instanceof InvariantError ? this.fail(error) : this.refused(`${url}: ${reasonOf(error)}`),
      onEnd: (intake, end) => this.#ended(intake, end),
    });
    this.#opened(intake);
    if (this.#endedBy !== null) intake.cut(); // while it was being bound
    return intake.receiver;
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
    for (const intake of this.#open) intake.cut();
    this.#settleBegun(); // whoever waits for it has been cut
    this.#settleIfDone();
  }

  /** The output is broken, or we are. */
  fail(failure: Error): void {
    if (this.#failure === null) this.#options.print(describeError(failure));
    this.#failure ??= failure;
    this.finish("failure");
  }

  totals(): Totals {
    const { superDatagrams, ...counts } = [...this.#open].reduce(
      (sums, intake) => addedCounts(sums, intake.counts()),
      this.#sums,
    );
    return {
      ...counts,
      ...this.#engineInUse(),
      bytesFraming: this.#datagramSink?.framingBytes ?? 0,
      gro: { ...this.#gro, superDatagrams },
      connectionsOpen: [...this.#open].reduce((sum, intake) => sum + intake.counts().connections, 0),
      connectionsCut: this.#cut,
      errors: this.#errors,
      seconds: (this.#lastMs - this.#firstMs) / 1000,
    };
  }

  #opened(intake: Intake): void {
    this.#open.add(intake);
    const { engine, engineReason } = intake.engineInUse();
    this.#engines.set(engine, engineReason);
    this.#gro = intake.gro() ?? this.#gro;
  }

  #engineInUse(): EngineInUse {
    if (this.#engines.size === 0) return { engine: expectedEngine(this.#options.engine), engineReason: null };
    const reasons = [...this.#engines.values()].filter((reason) => reason !== null);
    return {
      engine: [...this.#engines.keys()].join(", "),
      engineReason: reasons.length === 0 ? null : reasons.join("; "),
    };
  }

  /** Null, when datagrams are only counted. */
  #sinkForDatagrams(): DatagramSink | null {
    const { pool, output, framing } = this.#options;
    if (output.name === null) return null;
    if (this.#datagramSink !== null) return this.#datagramSink;
    const sink = output.sinkFor({
      peer: "datagrams",
      fileName: { stem: "datagrams", extension: framing.extension },
      goOn: () => {},
      stop: (failure) => this.fail(failure),
    });
    return (this.#datagramSink = new DatagramSink(pool, sink, framing));
  }

  #tick(): void {
    this.#lastMs = performance.now();
    if (this.#firstMs === 0) this.#firstMs = this.#lastMs;
  }

  #ended(intake: Intake, end: IntakeEnd): void {
    this.#open.delete(intake);
    const counts = intake.counts();
    this.#sums = addedCounts(this.#sums, counts);
    if (end.how === "complete" && !end.isEmpty) this.#tick(); // its last byte is written now
    if (end.how === "cut" && !end.isEmpty) this.#cut += counts.connections;
    if (end.error !== null) this.#noteError(end.error);
    const isNews = this.#options.output.name !== null && !this.#options.isOnce; // else the summary says it, or nobody wants to know
    if (end.complaint !== null) this.say("failure", end.complaint);
    else if (end.news !== null && isNews) this.say("news", end.news);
    this.#finishIfOnce(end);
    this.#settleIfDone();
  }

  #noteError(error: Error): void {
    this.#errors++;
    if (error instanceof InvariantError) this.fail(error);
    else if (error instanceof Failure) this.#failure ??= error;
  }

  /** A connection that sent nothing, such as a look whether the port is open, ends nothing while there are others. */
  #finishIfOnce(end: IntakeEnd): void {
    if (!this.#options.isOnce || this.#endedBy !== null) return;
    if (end.isEmpty && this.#open.size > 0) return;
    this.#hasCompleted = end.how === "complete";
    this.finish("once");
  }

  #settleIfDone(): void {
    if (this.#endedBy === null || this.#open.size > 0 || this.#isSettled) return;
    this.#isSettled = true;
    for (const listening of this.#listenings) listening.end();
    void Promise.resolve(this.#datagramSink?.end()).then(this.#settleDone);
  }
}
