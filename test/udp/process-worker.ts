/** Not a test: receivers in a thread, one situation each; it tells what happens until nothing keeps the thread any more. */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { parentPort, workerData } from "node:worker_threads";
import { JumboPool } from "../../src/index.ts";
import { bindUdp, receiveUdp } from "../../src/udp/index.ts";
import type { OnBatch, UdpEngine, UdpReceiver } from "../../src/udp/index.ts";
import type { Page } from "../../src/index.ts";

const { engine, situation } = workerData as { engine: UdpEngine; situation: string }; // what the test started this thread with
const pool = new JumboPool({ pagesMax: 64 });
const ignore = (): void => {};

const bind = (onBatch?: OnBatch): Promise<UdpReceiver> => bindUdp({ pool, engine, address: "127.0.0.1" }, onBatch);

function tell(what: string | number): void {
  parentPort?.postMessage(what); // oxlint-disable-line require-post-message-target-origin -- to a thread, not to a window
}

/** Tells whether the thread is still kept a while later: the timer itself does not keep it. */
function watch(receiver: UdpReceiver): void {
  setTimeout(() => {
    tell("alive");
    void receiver.close();
  }, 200).unref();
}

async function sendTo(receiver: UdpReceiver, count: number): Promise<void> {
  const sender = createSocket("udp4").unref();
  sender.connect(receiver.address().port, "127.0.0.1");
  await once(sender, "connect");
  for (let i = 0; i < count; i++) sender.send("hello");
}

/** Each tells "alive" if it should, and whatever else it has to. */
const situations: Record<string, () => Promise<void>> = {
  "a receiver keeps the thread": async () => watch(await bind(ignore)),
  "unreferenced it does not": async () => watch((await bind(ignore)).unref()),
  "unref, ref: it does": async () => watch((await bind(ignore)).unref().ref()),
  "the unref of the socket beneath counts": async () => {
    const receiver = await bind(ignore);
    receiver.socket.unref();
    watch(receiver);
  },
  "a socket that was unreferenced before it was received from": async () => {
    const socket = createSocket("udp4").unref().bind(0, "127.0.0.1");
    await once(socket, "listening");
    watch(receiveUdp(socket, { pool, engine }, ignore));
  },
  "one that nobody iterates yet keeps the thread": async () => watch(await bind()),
  "one whose consumer is at work keeps the thread": async () => {
    const receiver = await bind(() => new Promise(ignore));
    await sendTo(receiver, 1);
    watch(receiver);
  },
  "one that waits for pages keeps the thread": async () => {
    const pages: Page[] = [];
    pool.allocMany(pages, 64);
    const receiver = await bind(ignore);
    await sendTo(receiver, 1);
    watch(receiver);
  },
  "unreferenced while its consumer is at work": async () => {
    const receiver = await bind(() => (receiver.unref(), new Promise(ignore)));
    await sendTo(receiver, 1);
    watch(receiver);
  },
  "unreferenced in its callback, after 50 datagrams": async () => {
    let count = 0;
    const receiver = await bind((batch) => {
      count += batch.length;
      if (count === 50) receiver.unref();
    });
    process.on("exit", () => tell(count));
    await sendTo(receiver, 50);
  },
};

await situations[situation]?.();
