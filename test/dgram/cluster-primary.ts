/**
 * Not a test: the cluster of the cluster test. Its workers share a port, then one of them leaves; and each has one for itself.
 * The module under test is the argument.
 */
import cluster from "node:cluster";
import type { Worker } from "node:cluster";
import nodeDgram from "node:dgram";
import type { BindOptions, Socket } from "node:dgram";
import { once } from "node:events";
import { setImmediate as turn } from "node:timers/promises";

type Order = { readonly what: "bind"; readonly options: BindOptions } | { readonly what: "close" | "count" | "end" };

/** What the primary found; the test says what it should be. */
export type Report = {
  readonly sharedPorts: number;
  readonly sent: number;
  readonly receivedTwice: number;
  readonly received: number;
  readonly receivedByOther: number;
  readonly ownPorts: number;
  readonly exclusive: unknown;
  readonly exitCodes: unknown[];
};

/** Numbers of a hundred messages fit into any receive buffer. */
const COUNT = 100;

async function ask(worker: Worker, order: Order): Promise<unknown> {
  const answer = once(worker, "message");
  worker.send(order);
  return (await answer)[0] as unknown;
}

/** Sends the numbers from `first` on, and waits until `workers` have them all, or no more come. */
async function spread(port: number, first: number, workers: readonly Worker[]): Promise<number[]> {
  const sender = nodeDgram.createSocket("udp4");
  sender.connect(port, "127.0.0.1");
  await once(sender, "connect");
  for (let i = first; i < first + COUNT; i++) sender.send(String(i));
  sender.close();
  const end = performance.now() + 10_000;
  while (performance.now() < end) {
    const lists = (await Promise.all(workers.map((worker) => ask(worker, { what: "count" })))) as number[][];
    const numbers = lists.flat().filter((number) => number >= first);
    if (numbers.length >= COUNT) return numbers;
  }
  return [];
}

async function primary(): Promise<void> {
  const workers = [cluster.fork(), cluster.fork()];
  const exits = workers.map((worker) => once(worker, "exit"));
  const [first, second] = workers;
  if (first === undefined || second === undefined) throw new Error("there are two");
  await Promise.all(workers.map((worker) => once(worker, "message"))); // it is ready
  const bindAll = (options: BindOptions): Promise<unknown[]> =>
    Promise.all(workers.map((worker) => ask(worker, { what: "bind", options })));

  const shared = await bindAll({ port: 0, address: "127.0.0.1" });
  const port = Number(shared[0]);
  const numbers = await spread(port, 0, workers);
  const exclusive = await ask(first, { what: "bind", options: { port, address: "127.0.0.1", exclusive: true } });
  await ask(first, { what: "close" });
  const byOther = await spread(port, COUNT, [second]);
  await ask(second, { what: "close" });
  const own = await bindAll({ port: 0, address: "127.0.0.1", exclusive: true });
  for (const worker of workers) worker.send({ what: "end" } satisfies Order);
  const report: Report = {
    sharedPorts: new Set(shared).size,
    sent: COUNT,
    received: new Set(numbers).size,
    receivedTwice: numbers.length - new Set(numbers).size,
    receivedByOther: byOther.length,
    ownPorts: new Set(own).size,
    exclusive,
    exitCodes: (await Promise.all(exits)).map(([code]) => code as unknown),
  };
  process.send?.(report);
}

async function worker(specifier: string): Promise<void> {
  const dgram = ((await import(specifier)) as { default: typeof nodeDgram }).default;
  const numbers: number[] = [];
  const sockets: Socket[] = [];
  const bind = async (options: BindOptions): Promise<unknown> => {
    const socket = dgram.createSocket("udp4");
    const outcome = once(socket, "listening").catch((error: NodeJS.ErrnoException) => error.code);
    socket.bind(options);
    const code = await outcome;
    if (typeof code === "string") return code;
    sockets.push(socket);
    socket.on("message", (message) => numbers.push(Number(String(message))));
    return socket.address().port;
  };
  const close = async (): Promise<void> => {
    await Promise.all(sockets.splice(0).map((socket) => once(socket.close(), "close")));
  };
  process.on("message", (order: Order) => {
    void (async () => {
      if (order.what === "bind") process.send?.(await bind(order.options));
      else if (order.what === "count") process.send?.(await turn(numbers));
      else if (order.what === "close") process.send?.(await close().then(() => "closed"));
      else await close().then(() => process.disconnect()); // and then the process ends by itself
    })();
  });
  process.send?.("ready");
}

process.on("disconnect", () => setTimeout(() => process.exit(1), 5_000).unref()); // not to outlive a test that has failed
if (cluster.isPrimary) await primary();
else await worker(process.argv[2] ?? "node:dgram");
