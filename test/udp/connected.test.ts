/**
 * Shows: a receiver on a connected socket, connected before or after: it receives, an ICMP message is an 'error' and not the end, and what comes while its
 * consumer is at work comes later, or is counted. With both engines.
 */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { receiveUdp } from "../../src/udp/index.ts";
import { poolFor, until } from "../support/at-rest.ts";
import { numbered, numbersOf, portOf, receiverOn, senderTo, upTo, withEngines } from "../support/udp.ts";

for (const when of ["before", "after"] as const)
  withEngines(
    `connected ${when} it is received from: ICMP messages are errors, and it receives on`,
    async (t, engine) => {
      const pool = poolFor(t);
      const seen: number[] = [];
      const errors: NodeJS.ErrnoException[] = [];
      const peer = createSocket("udp4").bind(0, "127.0.0.1");
      await once(peer, "listening");
      const { port } = peer.address();
      const socket = createSocket("udp4").bind(0, "127.0.0.1");
      await once(socket, "listening");
      const connect = async (): Promise<void> => {
        socket.connect(port, "127.0.0.1");
        await once(socket, "connect");
      };
      if (when === "before") await connect();
      const receiver = receiveUdp(socket, { pool, engine }, (batch) => void seen.push(...numbersOf(batch)));
      t.after(() => receiver.close());
      receiver.on("error", (error) => errors.push(error));
      if (when === "after") await connect();
      for (let i = 0; i < 5; i++) peer.send(numbered(i), portOf(receiver), "127.0.0.1");
      await until(() => seen.length === 5, "it receives");

      peer.close();
      await once(peer, "close");
      await receiver.send(Buffer.from("is anybody there?"));
      await until(() => errors.length > 0, "an error");
      assert.equal(errors[0]?.code, "ECONNREFUSED");
      assert.ok((errors[0]?.errno ?? 0) < 0 && errors[0]?.syscall !== undefined, "as Node's errors are");
      assert.equal(receiver.stats().errors, errors.length);

      const again = createSocket("udp4").bind(port, "127.0.0.1");
      t.after(() => again.close());
      await once(again, "listening");
      for (let i = 0; i < 5; i++) again.send(numbered(i), portOf(receiver), "127.0.0.1");
      await until(() => seen.length === 10, "it receives on");
      assert.equal(receiver.stats().engine, engine);
    },
  );

withEngines(
  "connected, with a consumer that is at work: what comes meanwhile comes later, or is counted",
  async (t, engine) => {
    const pool = poolFor(t, { pageSizeBytes: 65_536 });
    const seen: number[] = [];
    let go = (): void => {};
    const receiver = await receiverOn(t, { pool, engine }, (batch) => {
      seen.push(...numbersOf(batch));
      return new Promise<void>((resolve) => (go = resolve));
    });
    const peer = await senderTo(t, receiver);
    receiver.socket.connect(peer.address().port, "127.0.0.1");
    await once(receiver.socket, "connect");
    for (let i = 0; i < 150; i++) peer.send(numbered(i));
    await until(
      () => {
        go();
        return seen.length + receiver.stats().dropped === 150;
      },
      () => `${seen.length} have arrived`,
    );
    assert.deepEqual(seen, upTo(150));
    go();
  },
);

withEngines(
  "connected, and closed with a consumer at work: what was read and not delivered is counted",
  async (t, engine) => {
    const pool = poolFor(t);
    let batches = 0;
    let go = (): void => {};
    const receiver = await receiverOn(t, { pool, engine }, () => {
      batches++;
      return new Promise<void>((resolve) => (go = resolve));
    });
    const peer = await senderTo(t, receiver);
    receiver.socket.connect(peer.address().port, "127.0.0.1");
    await once(receiver.socket, "connect");
    peer.send(numbered(0));
    await until(() => batches === 1, "the first");
    for (let i = 1; i <= 10; i++) peer.send(numbered(i));
    // Node goes on reading a connected socket; recvmmsg leaves it in the kernel, where it is lost with the socket.
    if (engine === "dgram") await until(() => receiver.stats().reads === 11, "read");
    await receiver.close();
    go();
    const { datagrams, dropped } = receiver.stats();
    assert.deepEqual([batches, datagrams, dropped], [1, 1, engine === "dgram" ? 10 : 0]);
  },
);
