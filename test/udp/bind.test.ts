/**
 * Shows: what can be bound is: ports, addresses, IPv6, both families on one socket, shared ports, multicast groups; and what cannot is refused, with the system's
 * codes for what only the system knows, and with ours, naming the option, for what makes no sense. Nothing is left open. With both engines.
 */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { test } from "node:test";
import { JumboPool } from "../../src/index.ts";
import { bindUdp } from "../../src/udp/index.ts";
import type { UdpBatch } from "../../src/udp/index.ts";
import { poolFor, until } from "../support/at-rest.ts";
import { drained, noIPv6, portOf, receiverOn, senderTo, withEngines, wrong } from "../support/udp.ts";

const descriptors = (): number => (process.platform === "linux" ? readdirSync("/proc/self/fd").length : 0);
const ignore = (): void => {};

/** Says what arrives. */
function listener(): { readonly heard: string[]; readonly take: (batch: UdpBatch) => void } {
  const heard: string[] = [];
  return { heard, take: (batch) => void heard.push(...Array.from(batch, ({ bytes }) => bytes.toString())) };
}

withEngines("a free port when none is named, and the one that is", async (t, engine) => {
  const pool = poolFor(t);
  const any = await bindUdp({ pool, engine }, ignore);
  const { address, family, port } = any.address();
  assert.deepEqual([address, family], ["0.0.0.0", "IPv4"]);
  assert.ok(port > 0);
  await any.close();
  const named = await receiverOn(t, { pool, engine, port }, ignore);
  assert.equal(portOf(named), port);
});

withEngines("what the system refuses has its code, and leaves nothing open", async (t, engine) => {
  const pool = poolFor(t);
  const taken = await receiverOn(t, { pool, engine }, ignore);
  const before = descriptors();
  for (const [options, code] of [
    [{ address: "127.0.0.1", port: portOf(taken) }, "EADDRINUSE"],
    [{ address: "192.0.2.200" }, "EADDRNOTAVAIL"],
    [{ address: "no.such.host.invalid" }, /ENOTFOUND|EAI_AGAIN/],
    [{ address: "127.0.0.1", multicast: { groups: ["127.0.0.1"] } }, "EINVAL"],
    [{ multicast: { groups: ["no group"] } }, "EINVAL"],
    [{ multicast: { groups: [{ group: "224.0.0.251", interface: "192.0.2.200" }] } }, /ENODEV|EADDRNOTAVAIL/],
    [{ multicast: { groups: [{ group: "232.1.1.1", source: "nobody" }] } }, "EINVAL"],
    [{ multicast: { interface: "192.0.2.200" } }, /EADDRNOTAVAIL|ENODEV/],
  ] as const) {
    const error = await bindUdp({ pool, engine, ...options }, ignore).catch((reason: unknown) => reason);
    assert.ok(error instanceof Error && "code" in error, `${JSON.stringify(options)}: ${String(error)}`);
    assert.match(String(error.code), code instanceof RegExp ? code : new RegExp(`^${code}$`), JSON.stringify(options));
  }
  await until(() => descriptors() <= before, "no descriptor is left");
});

/** Each is one mistake. */
const mistakes: readonly (readonly [option: string, options: object])[] = [
  ["pool", { pool: undefined }],
  ["pool", { pool: {} }],
  ["engine", { engine: "fast" }],
  ["gro", { gro: 1 }],
  ["ecn", { ecn: "yes" }],
  ["localAddress", { localAddress: null }],
  ["coalesceMicroseconds", { coalesceMicroseconds: -1 }],
  ["coalesceMicroseconds", { coalesceMicroseconds: 1001 }],
  ["coalesceMicroseconds", { coalesceMicroseconds: 0.5 }],
  ["port", { port: -1 }],
  ["port", { port: 65_536 }],
  ["port", { port: "80" }],
  ["address", { address: 127 }],
  ["family", { family: "IPv4" }],
  ["ipv6Only", { ipv6Only: 1 }],
  ["reuseAddr", { reuseAddr: "" }],
  ["reusePort", { reusePort: 0 }],
  ["broadcast", { broadcast: null }],
  ["recvBufferBytes", { recvBufferBytes: 0 }],
  ["recvBufferBytes", { recvBufferBytes: 2 ** 31 }],
  ["sendBufferBytes", { sendBufferBytes: 1.5 }],
  ["multicast", { multicast: "x" }],
  ["multicast.ttl", { multicast: { ttl: 256 } }],
  ["multicast.loopback", { multicast: { loopback: 1 } }],
  ["multicast.interface", { multicast: { interface: 5 } }],
  ["multicast.groups", { multicast: { groups: "224.0.0.251" } }],
  ["multicast.groups", { multicast: { groups: {} } }],
  ["multicast.groups", { multicast: { groups: [null] } }],
  ["multicast.groups", { multicast: { groups: [5] } }],
  ["multicast.groups", { multicast: { groups: [{ source: "127.0.0.1" }] } }],
  ["multicast.groups.source", { multicast: { groups: [{ group: "232.1.1.1", source: 1 }] } }],
  ["multicast.groups.interface", { multicast: { groups: [{ group: "232.1.1.1", interface: 1 }] } }],
  ["signal", { signal: {} }],
];

test("options that make no sense are refused by name, before anything is opened", async () => {
  const pool = new JumboPool();
  const before = descriptors();
  for (const [option, options] of mistakes)
    await assert.rejects(
      bindUdp(wrong({ pool, ...options }), ignore),
      { name: "JumboError", code: "ERR_JUMBO_OPTION_INVALID", message: new RegExp(`^${option} must be `) },
      JSON.stringify(options),
    );
  for (const options of [undefined, null, 5])
    await assert.rejects(bindUdp(wrong(options)), { code: "ERR_JUMBO_OPTION_INVALID" });
  await assert.rejects(bindUdp({ pool }, wrong("a callback")), {
    code: "ERR_JUMBO_OPTION_INVALID",
    message: /onBatch/,
  });
  assert.equal(descriptors(), before);
  pool.close();
});

withEngines(
  "IPv6",
  async (t, engine) => {
    const pool = poolFor(t);
    const { heard, take } = listener();
    const receiver = await receiverOn(t, { pool, engine, address: "::1" }, take);
    assert.deepEqual(receiver.address(), { address: "::1", family: "IPv6", port: portOf(receiver) });
    (await senderTo(t, receiver, "udp6")).send("six");
    await until(() => heard.length === 1, "it arrives");
  },
  { skip: noIPv6 },
);

withEngines(
  "one socket for both families, unless it is for IPv6 only",
  async (t, engine) => {
    const pool = poolFor(t);
    for (const options of [
      { address: "::" },
      { family: 6 },
      { ipv6Only: true },
      { address: "::", ipv6Only: true },
    ] as const) {
      const { heard, take } = listener();
      const isForBoth = !("ipv6Only" in options);
      const receiver = await bindUdp({ pool, engine, ...options }, take);
      t.after(() => receiver.close());
      assert.equal(receiver.address().family, "IPv6");
      const [six, four] = [await senderTo(t, receiver, "udp6"), await senderTo(t, receiver, "udp4")];
      four.on("error", ignore); // nobody listens there
      four.send("four");
      if (isForBoth) await until(() => heard.length === 1, "IPv4 arrives");
      six.send("six");
      await until(() => heard.includes("six"), "IPv6 arrives");
      await drained(receiver);
      assert.deepEqual(heard, isForBoth ? ["four", "six"] : ["six"]);
    }
  },
  { skip: noIPv6 },
);

withEngines("reuseAddr: two on one port; the last one bound gets it", async (t, engine) => {
  const pool = poolFor(t);
  const { heard, take } = listener();
  const first = await receiverOn(t, { pool, engine, reuseAddr: true }, () => assert.fail("the last one gets it"));
  const second = await receiverOn(t, { pool, engine, reuseAddr: true, port: portOf(first) }, take);
  (await senderTo(t, second)).send("x");
  await until(() => heard.length === 1, "it arrives");
});

withEngines("reusePort: the kernel spreads senders over several; older Nodes refuse it by name", async (t, engine) => {
  const pool = poolFor(t);
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const counts: [number, number] = [0, 0];
  const first = receiverOn(t, { pool, engine, reusePort: true }, () => void counts[0]++);
  if (major < 22 || (major === 22 && minor < 12) || (major === 23 && minor < 1)) {
    await assert.rejects(first, { code: "ERR_JUMBO_OPTION_INVALID", message: /reusePort .* 22\.12/ });
    return;
  }
  const port = portOf(await first);
  const second = await receiverOn(t, { pool, engine, reusePort: true, port }, () => void counts[1]++);
  for (let i = 0; i < 60; i++) (await senderTo(t, second)).send("x");
  await until(
    () => counts[0] > 0 && counts[1] > 0,
    () => counts.join(),
  );
});

/** An interface that does multicast: the loopback interface often says that it does not, and does all the same. */
const INTERFACE = "127.0.0.1";

withEngines("multicast: a member gets what is sent to its group, from a source if it named one", async (t, engine) => {
  const pool = poolFor(t);
  const groups = ["239.255.77.1", { group: "239.255.77.2", interface: INTERFACE }] as const;
  const { heard, take } = listener();
  const options = { address: "0.0.0.0", multicast: { interface: INTERFACE, loopback: true, ttl: 1 } } as const;
  const asked = [
    { group: groups[0], interface: INTERFACE },
    groups[1],
    { group: "232.77.0.1", source: "127.0.0.1", interface: INTERFACE },
  ];
  const receiver = await receiverOn(
    t,
    { pool, engine, ...options, multicast: { ...options.multicast, groups: asked } },
    take,
  );
  const sender = createSocket("udp4");
  t.after(() => sender.close());
  sender.bind(0, "127.0.0.1");
  await once(sender, "listening");
  sender.setMulticastInterface(INTERFACE);
  for (const group of ["239.255.77.1", "239.255.77.2", "232.77.0.1"])
    await new Promise<void>((resolve, reject) => {
      sender.send(group, portOf(receiver), group, (error) => (error === null ? resolve() : reject(error)));
    });
  await until(
    () => heard.length === 3,
    () => `heard: ${heard.join()}`,
  );
  assert.deepEqual(heard, ["239.255.77.1", "239.255.77.2", "232.77.0.1"]);
  receiver.socket.dropMembership("239.255.77.1", INTERFACE);
  await receiver.send(Buffer.from("to myself"), { address: "239.255.77.2", port: portOf(receiver) });
  await until(() => heard.includes("to myself"), "loopback and interface are set");
});

const zoned = Object.entries(networkInterfaces())
  .flatMap(([name, each = []]) => each.map(({ address }) => `${address}%${name}`))
  .find((address) => address.startsWith("fe80:"));

withEngines(
  "a link-local address with its zone, and an answer to one",
  async (t, engine) => {
    const pool = poolFor(t);
    const heard: string[] = [];
    const address = zoned ?? assert.fail();
    const receiver = await bindUdp({ pool, engine, address }, async (batch) => {
      for (const { address: from, port } of batch) heard.push(`${from} ${port}`);
      await receiver.sendBatch(batch);
    });
    t.after(() => receiver.close());
    const sender = createSocket("udp6").bind(0, address);
    t.after(() => sender.close());
    await once(sender, "listening");
    const answer = once(sender, "message");
    sender.send("x", portOf(receiver), address);
    assert.equal(String((await answer)[0]), "x");
    assert.deepEqual(heard, [`${address} ${sender.address().port}`]);
  },
  { skip: zoned === undefined && "this machine has no link-local address" },
);

withEngines("broadcast is allowed when asked for", async (t, engine) => {
  const pool = poolFor(t);
  const to = { address: "127.255.255.255", port: 9 };
  const silent = await receiverOn(t, { pool, engine }, ignore);
  await assert.rejects(silent.send(Buffer.from("x"), to), { code: "EACCES" });
  const loud = await receiverOn(t, { pool, engine, broadcast: true }, ignore);
  await loud.send(Buffer.from("x"), to);
});

withEngines("recvBufferBytes and sendBufferBytes are the kernel's", async (t, engine) => {
  const pool = poolFor(t);
  const small = await receiverOn(t, { pool, engine, recvBufferBytes: 10_000, sendBufferBytes: 20_000 }, ignore);
  const [received, sent] = [small.socket.getRecvBufferSize(), small.socket.getSendBufferSize()];
  // Linux doubles what it is told, for its own needs.
  assert.ok([10_000, 20_000].includes(received) && [20_000, 40_000].includes(sent), `${received}, ${sent}`);
});
