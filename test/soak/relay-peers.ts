/** The two ends of the relay soak's connections: who sends, who resets, and when, the client tells the target in its first bytes. */
import { once } from "node:events";
import net from "node:net";
import { descriptorOf } from "../../src/delivery/socket-handle.ts";
import { takeSocketError } from "../../src/os/socket-error.ts";
import { isPattern, pattern } from "../support/pattern.ts";
import { Random } from "../support/random.ts";

const LIMIT_BYTES_MAX = 2_000_000;
const CHUNK_BYTES = 50_000;
const HEADER_BYTES = 5;
const [TARGET_SENDS, TARGET_RESETS] = [1, 2];

export type Plan = {
  readonly senders: "client" | "target" | "both";
  readonly resetter: "client" | "target";
  /** Who resets does it once so many bytes have gone and come. */
  readonly limitBytes: number;
};

/** As many random plans as are wanted. */
export class PlanMaker {
  readonly counts: Record<string, number> = {};
  readonly #random: Random;
  #left: number;

  constructor(seed: number, count: number) {
    this.#random = new Random(seed);
    this.#left = count;
  }

  next(): Plan | null {
    if (this.#left-- <= 0) return null;
    const plan: Plan = {
      senders: this.#random.pick(["client", "target", "both"]),
      resetter: this.#random.pick(["client", "target"]),
      limitBytes: this.#random.int(0, LIMIT_BYTES_MAX),
    };
    const name = `${plan.senders} sends, ${plan.resetter} resets`;
    this.counts[name] = (this.counts[name] ?? 0) + 1;
    return plan;
  }
}

/** Until the connection is closed. What came and was wrong is added to `problems`. */
export async function playClient(port: number, plan: Plan, problems: string[]): Promise<void> {
  const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  socket.on("error", () => {}); // a reset is what is wanted
  const header = Buffer.alloc(HEADER_BYTES);
  header[0] = (plan.senders === "client" ? 0 : TARGET_SENDS) | (plan.resetter === "client" ? 0 : TARGET_RESETS);
  header.writeUInt32LE(plan.limitBytes, 1);
  socket.write(header);
  await act(socket, plan.senders !== "target", plan.resetter === "client" ? plan.limitBytes : Infinity, problems);
}

/** As told by the client. */
export async function playTarget(socket: net.Socket, problems: string[]): Promise<void> {
  socket.on("error", () => {});
  // The client may be gone before the relay has connected to us: then there is nothing to be told, and the end is all we see.
  const begun = await Promise.race(["data", "end", "close"].map((name) => once(socket, name) as Promise<unknown[]>));
  const [header] = begun;
  if (!Buffer.isBuffer(header)) return void socket.destroy();
  const [flags = 0, limitBytes] = [header[0], header.readUInt32LE(1)];
  const limit = (flags & TARGET_RESETS) !== 0 ? limitBytes : Infinity;
  const rest = header.subarray(HEADER_BYTES);
  if (rest.length > 0) socket.unshift(rest);
  await act(socket, (flags & TARGET_SENDS) !== 0, limit, problems);
}

/** Receives, sends when told to, and resets at the limit. */
async function act(socket: net.Socket, isSender: boolean, limitBytes: number, problems: string[]): Promise<void> {
  let [received, sent] = [0, 0];
  const mayReset = (): void => {
    if (received + sent >= limitBytes && !socket.destroyed) socket.resetAndDestroy();
  };
  const send = (): void => {
    socket.write(pattern(sent, CHUNK_BYTES), (error) => {
      if (error) return;
      sent += CHUNK_BYTES;
      mayReset();
      if (!socket.destroyed) send();
    });
  };
  socket.on("data", (chunk: Buffer) => {
    if (!isPattern(chunk, received)) problems.push(`wrong bytes among the ${chunk.length} from ${received}`);
    received += chunk.length;
    mayReset();
  });
  socket.resume();
  socket.on("end", () => {
    // Node 20 and 22 tell of an end when a reset comes together with bytes; the system knows better.
    const isReset = takeSocketError(descriptorOf(socket)) < 0;
    if (!isReset) problems.push(`an end after ${received} bytes, where a reset was wanted`);
    socket.destroy();
  });
  if (isSender) send();
  if (!socket.closed) await once(socket, "close").catch(() => {});
}
