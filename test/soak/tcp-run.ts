/** One run of the soak: some connections into some pools, until everything has arrived and all pages are back, or nothing moves. */
import { once } from "node:events";
import type net from "node:net";
import { setImmediate as turn, setTimeout as delay } from "node:timers/promises";
import type { JumboPool } from "../../src/index.ts";
import { until } from "../support/at-rest.ts";
import { portOf } from "../support/sockets.ts";
import { createServer, dial } from "../support/transports.ts";
import { Consumer } from "./tcp-consumer.ts";
import { planRun } from "./tcp-plan.ts";
import type { RunPlan } from "./tcp-plan.ts";
import { send } from "./tcp-sender.ts";

export type RunResult = { readonly connections: number; readonly bytes: number; readonly problems: readonly string[] };

/** A run in which nothing has moved for so long is stuck. */
const STUCK_MS = 10_000;

export async function runOnce(seed: number): Promise<RunResult> {
  const plan = planRun(seed);
  const problems: string[] = [];
  const consumers: Consumer[] = [];
  const server = createServer(plan.transport, (socket) => {
    const next = plan.connections[consumers.length];
    if (next !== undefined) consumers.push(new Consumer(next, socket, problems));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const clients = await connectAll(plan, portOf(server), consumers);
  const isStuck = !(await settle(plan, consumers));
  if (isStuck) problems.push(...plan.pools.map(describePool), ...consumers.filter((c) => !c.isDone).map(describe));
  else for (const consumer of consumers) problems.push(...faultsOf(consumer));
  for (const { socket } of consumers) socket.destroy();
  for (const client of clients) client.destroy();
  server.close();
  await once(server, "close");
  for (const pool of plan.pools) problems.push(...closePool(pool, isStuck));
  return { connections: consumers.length, bytes: consumers.reduce((sum, { offset }) => sum + offset, 0), problems };
}

/** One after the other, so that the server accepts them in the order of the plan. */
async function connectAll(plan: RunPlan, port: number, consumers: readonly Consumer[]): Promise<net.Socket[]> {
  const clients: net.Socket[] = [];
  for (const connection of plan.connections) {
    const client = dial(plan.transport, port);
    clients.push(client);
    client.on("error", () => {}); // it may see the reset of a consumer that destroys its socket
    await once(client, plan.transport === "tls" ? "secureConnect" : "connect");
    await until(() => consumers.length === clients.length, `connection ${connection.id} accepted`);
    client.resume();
    void send(connection, plan.transport, client);
  }
  return clients;
}

/** True when all is done and all pages are back; false when nothing has moved for a long time. */
async function settle(plan: RunPlan, consumers: readonly Consumer[]): Promise<boolean> {
  let progress = Number.NaN;
  let since = performance.now();
  const isDone = (): boolean =>
    consumers.every((consumer) => consumer.isDone) && plan.pools.every((pool) => pool.stats().inUse === 0);
  while (!isDone()) {
    await delay(2);
    const now = consumers.reduce((sum, consumer) => sum + consumer.progress, 0);
    if (now !== progress) {
      progress = now;
      since = performance.now();
    } else if (performance.now() - since > STUCK_MS) return false;
  }
  await turn();
  return true;
}

/** The laws of one connection that is done. */
function faultsOf(consumer: Consumer): string[] {
  const { plan, offset, error, isKilled, hasEnded, receiver, name } = consumer;
  const faults: string[] = [];
  if (!isKilled && !plan.resets) {
    if (error !== null) faults.push(`${name}: error ${error.message}`);
    if (offset !== plan.lengthBytes) faults.push(`${name}: got ${offset} of ${plan.lengthBytes}`);
    if (!hasEnded) faults.push(`${name}: no 'end'`);
  }
  if (receiver === null) return faults; // the end came before the receiver
  const { bytesReceived, bytesDelivered, bytesQueued, bytesDropped } = receiver.stats();
  if (bytesDelivered !== offset) faults.push(`${name}: ${bytesDelivered} counted as delivered, ${offset} were`);
  if (bytesQueued !== 0) faults.push(`${name}: ${bytesQueued} bytes in the queue`);
  if (bytesReceived !== bytesDelivered + bytesDropped) faults.push(`${name}: ${JSON.stringify(receiver.stats())}`);
  return faults;
}

/** Closes the pool and checks its laws. */
function closePool(pool: JumboPool, isStuck: boolean): string[] {
  try {
    pool.verify();
    const { poisonHits } = pool.stats();
    pool.close({ force: isStuck });
    return poisonHits === 0 ? [] : [`${poisonHits} released pages were written to`];
  } catch (error) {
    return [String(error)];
  }
}

function describePool(pool: JumboPool, index: number): string {
  const { inUse } = pool.stats();
  const { pageSizeBytes, pagesMax, isUnderPressure } = pool;
  return `STUCK: pool ${index} ${JSON.stringify({ pageSizeBytes, pagesMax, inUse, isUnderPressure })}`;
}

function describe(consumer: Consumer): string {
  const { plan, socket, receiver, offset, held, hasEnded, isClosed, isIterating, isKilled, name } = consumer;
  const state = {
    pool: { pageSizeBytes: plan.pool.pageSizeBytes, pagesMax: plan.pool.pagesMax },
    resets: plan.resets,
    startsLate: plan.startsLate,
    isPaused: socket.isPaused(),
    buffered: socket.readableLength,
    held,
    hasEnded,
    isClosed,
    isIterating,
    isKilled,
    isDestroyed: socket.destroyed,
    stats: receiver?.stats(),
  };
  return `STUCK: ${name} at ${offset} of ${plan.lengthBytes} ${JSON.stringify(state)}`;
}
