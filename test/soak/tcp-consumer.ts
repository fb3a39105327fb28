/** The receiving side of one connection of the soak: takes mbufs as its plan says and checks every byte by its position. */
import type net from "node:net";
import { setImmediate as turn, setTimeout as delay } from "node:timers/promises";
import { receive } from "../../src/tcp/index.ts";
import type { Mbuf, Receiver } from "../../src/tcp/index.ts";
import { isPattern } from "../support/pattern.ts";
import { patternStart } from "./tcp-plan.ts";
import type { Plan, Style } from "./tcp-plan.ts";

/** The chance, per mbuf, that an iteration with a chance to destroy is left instead. */
const LEAVE_CHANCE = 0.003;

export class Consumer {
  readonly plan: Plan;
  readonly socket: net.Socket;
  readonly problems: string[];
  /** Bytes taken: the position of the next one. */
  offset = 0;
  held = 0;
  hasEnded = false;
  isClosed = false;
  isIterating = false;
  /** It has destroyed the socket itself: what had not come by then will not. */
  isKilled = false;
  error: Error | null = null;
  receiver: Receiver | null = null;

  constructor(plan: Plan, socket: net.Socket, problems: string[]) {
    this.plan = plan;
    this.socket = socket;
    this.problems = problems;
    socket.on("error", (error) => (this.error = error));
    socket.on("end", () => this.#ended());
    socket.on("close", () => (this.isClosed = true));
    if (plan.hasTimeout) socket.setTimeout(5_000);
    if (plan.startsLate) this.#startLate();
    else this.#start();
  }

  get name(): string {
    return `#${this.plan.id} ${this.plan.engine} ${this.plan.style}`;
  }

  /** Nothing more will happen. */
  get isDone(): boolean {
    return this.isClosed && !this.isIterating && this.held === 0;
  }

  /** Changes as long as something moves. */
  get progress(): number {
    return this.offset + this.held + (this.isClosed ? 1 : 0) + (this.isIterating ? 1 : 0);
  }

  #startLate(): void {
    this.socket.pause();
    setTimeout(
      () => {
        if (this.socket.destroyed || this.socket.readableEnded) return;
        this.#start();
        this.socket.resume();
      },
      this.plan.random.int(0, 30),
    );
  }

  #start(): void {
    const { pool, engine, style } = this.plan;
    if (style === "iterating") {
      this.receiver = receive(this.socket, { pool, engine });
      void this.#iterate(this.receiver);
    } else this.receiver = receive(this.socket, { pool, engine }, (mbuf) => this.#call(mbuf, style));
  }

  #call(mbuf: Mbuf, style: Style): unknown {
    const { random, falseChance } = this.plan;
    if (this.socket.destroyed && !this.hasEnded)
      this.problems.push(`${this.name}: called after destroy, at ${this.offset}`);
    const start = this.#take(mbuf);
    const now = style === "mixed" ? random.pick(["sync", "microtask", "tick", "turn", "timer"] as const) : style;
    if (now !== "sync") return this.#settle(now).then(() => this.#check(mbuf, start, "when settled"));
    if (!random.chance(falseChance)) return undefined;
    this.#soon(15, () => this.socket.resume());
    return false;
  }

  async #settle(style: Style): Promise<void> {
    if (style === "microtask") await Promise.resolve();
    else if (style === "tick") await new Promise<void>((resolve) => process.nextTick(resolve));
    else if (style === "turn") await turn();
    else await delay(this.plan.random.int(0, 4));
  }

  async #iterate(receiver: Receiver): Promise<void> {
    const { random, destroyChance } = this.plan;
    this.isIterating = true;
    try {
      for await (const mbuf of receiver) {
        const start = this.#take(mbuf);
        const style = random.pick(["sync", "sync", "microtask", "turn", "timer"] as const);
        if (style !== "sync") await this.#settle(style);
        this.#check(mbuf, start, "before the next");
        if (destroyChance > 0 && random.chance(LEAVE_CHANCE)) {
          this.isKilled = true;
          break;
        }
      }
    } catch (error) {
      const isExpected = this.isKilled || this.plan.resets; // a premature close; whatever else is wrong is the socket's error, too
      if (!isExpected) this.problems.push(`${this.name}: the iteration threw ${String(error)} at ${this.offset}`);
    }
    this.isIterating = false;
  }

  /** Everything a consumer may do with an mbuf while it has it. Returns the position of its first byte. */
  #take(mbuf: Mbuf): number {
    const { random, pool, holdChance, pauseChance, destroyChance, scratchChance } = this.plan;
    const { socket } = this;
    const start = this.offset;
    this.#check(mbuf, start, "on delivery");
    this.offset += mbuf.length;
    if (random.chance(scratchChance)) {
      const page = pool.alloc();
      queueMicrotask(() => page?.release());
    }
    if (random.chance(holdChance)) this.#hold(mbuf, start);
    if (random.chance(pauseChance)) {
      socket.pause();
      this.#soon(15, () => socket.resume());
    }
    if (random.chance(pauseChance / 4)) {
      socket.resume(); // at an odd moment: in the middle of a delivery
      socket.pause();
      this.#soon(15, () => socket.resume());
    }
    if (random.chance(destroyChance)) {
      this.isKilled = true;
      socket.destroy();
    }
    return start;
  }

  #hold(mbuf: Mbuf, start: number): void {
    mbuf.hold();
    this.held++;
    this.#soon(8, () => {
      this.#check(mbuf, start, "before release");
      mbuf.release();
      this.held--;
    });
  }

  #check(mbuf: Mbuf, start: number, when: string): void {
    if (isPattern(mbuf.bytes, patternStart(this.plan) + start)) return;
    this.problems.push(`${this.name}: wrong bytes ${when} at ${start}, ${mbuf.length} bytes`);
  }

  /** Law: all has been delivered by then, unless somebody broke off. An iteration has been answered; what it does with the answer it may do later. */
  #ended(): void {
    this.hasEnded = true;
    const { lengthBytes, resets } = this.plan;
    const { bytesDelivered, bytesQueued } = this.receiver?.stats() ?? { bytesDelivered: 0, bytesQueued: 0 };
    if (resets || this.isKilled) return; // Node may emit an 'end' that was due when the socket was destroyed
    if (bytesDelivered !== lengthBytes || bytesQueued !== 0)
      this.problems.push(
        `${this.name}: 'end' came at ${bytesDelivered} of ${lengthBytes}, ${bytesQueued} in the queue`,
      );
  }

  /** At one of the moments at which JavaScript runs later: before the next callback, after it, or some milliseconds on. */
  #soon(msMax: number, action: () => void): void {
    const { random } = this.plan;
    const when = random.int(0, 3);
    if (when === 0) queueMicrotask(action);
    else if (when === 1) process.nextTick(action);
    else if (when === 2) setImmediate(action);
    else setTimeout(action, random.int(0, msMax));
  }
}
