/** Shows: multicast and broadcast on the loopback interface, the options of a socket that go with them, and Node's errors for each. */
import assert from "node:assert/strict";
import type { Socket } from "node:dgram";
import { once } from "node:events";
import { networkInterfaces } from "node:os";
import { test } from "node:test";
import { MODULES, assertEngine } from "./modules.ts";
import { bound, collect, drained, noIPv6, open, portOf, text, wrong } from "./sockets.ts";

const LOCAL = "127.0.0.1";
const GROUP = "239.77.77.77"; // for an organisation's own use
const GROUP_6 = "ff01::7777"; // does not leave its interface
const SOURCE_GROUP = "232.77.77.77";

/** For the code of what is thrown. */
function codeOf(attempt: () => unknown): unknown {
  try {
    attempt();
    return null;
  } catch (error) {
    return Reflect.get(Object(error), "code");
  }
}

for (const dgram of MODULES) {
  const { name } = dgram;

  /** A socket on all interfaces, which is what multicast wants. */
  async function everywhere(t: Parameters<typeof open>[0]): Promise<Socket> {
    const socket = open(t, dgram).bind(0);
    await once(socket, "listening");
    return socket;
  }

  test(`${name}: a group's messages are heard from addMembership to dropMembership`, async (t) => {
    const [socket, sender] = [await everywhere(t), await bound(t, dgram)];
    sender.setMulticastInterface(LOCAL);
    const shout = (message: string): Promise<unknown> =>
      new Promise((resolve) => sender.send(message, portOf(socket), GROUP, resolve));
    const heard: string[] = [];
    socket.on("message", (message, { address }) => heard.push(`${address}: ${String(message)}`));
    assert.equal(socket.addMembership(GROUP, LOCAL), undefined);
    await shout("member");
    await drained(socket);
    assert.equal(socket.dropMembership(GROUP, LOCAL), undefined);
    await shout("not a member any more");
    await drained(socket);
    assert.deepEqual(heard, [`${LOCAL}: member`]);
    assertEngine(socket);
  });

  test(`${name}: addMembership and dropMembership refuse`, async (t) => {
    const socket = await everywhere(t);
    for (const method of ["addMembership", "dropMembership"] as const) {
      for (const group of [undefined, "", null])
        assert.throws(() => socket[method](wrong(group)), { code: "ERR_MISSING_ARGS" });
      for (const group of ["no address", "300.1.1.1", "10.0.0.1"])
        assert.throws(
          () => socket[method](group, LOCAL),
          { code: /^(?:EINVAL|EADDRNOTAVAIL)$/, syscall: method },
          group,
        );
      assert.throws(() => socket[method](GROUP, "no address"), { code: "EINVAL", syscall: method });
    }
    assert.throws(() => socket.addMembership(GROUP, "203.0.113.1"), { code: "ENODEV", syscall: "addMembership" });
    socket.addMembership(GROUP, LOCAL);
    assert.throws(() => socket.addMembership(GROUP, LOCAL), { code: "EADDRINUSE", syscall: "addMembership" });
    socket.dropMembership(GROUP, LOCAL);
    assert.throws(() => socket.dropMembership(GROUP, LOCAL), { code: "EADDRNOTAVAIL", syscall: "dropMembership" });
  });

  test(`${name}: addMembership on an unbound socket gives it a port`, (t) => {
    const socket = open(t, dgram);
    socket.addMembership(GROUP, LOCAL);
    const { address, port } = socket.address();
    assert.equal(address, "0.0.0.0");
    assert.ok(port > 0);
  });

  test(`${name}: a source's messages to a group are heard, another's are not`, async (t) => {
    const socket = await everywhere(t);
    const [right, other] = [open(t, dgram), open(t, dgram)];
    right.bind(0, "127.0.0.1");
    other.bind(0, "127.0.0.2");
    await Promise.all([once(right, "listening"), once(other, "listening")]);
    for (const sender of [right, other]) sender.setMulticastInterface(LOCAL);
    socket.addSourceSpecificMembership("127.0.0.1", SOURCE_GROUP, LOCAL);
    const heard: string[] = [];
    socket.on("message", (message) => heard.push(String(message)));
    const shout = (sender: Socket, message: string): Promise<unknown> =>
      new Promise((resolve) => sender.send(message, portOf(socket), SOURCE_GROUP, resolve));
    await shout(other, "from the other");
    await shout(right, "from the source");
    await drained(socket);
    socket.dropSourceSpecificMembership("127.0.0.1", SOURCE_GROUP, LOCAL);
    await shout(right, "not a member any more");
    await drained(socket);
    assert.deepEqual(heard, ["from the source"]);
  });

  test(`${name}: source-specific membership refuses`, async (t) => {
    const socket = await everywhere(t);
    for (const method of ["addSourceSpecificMembership", "dropSourceSpecificMembership"] as const) {
      assert.throws(() => socket[method](wrong(0), SOURCE_GROUP), { code: "ERR_INVALID_ARG_TYPE" });
      assert.throws(() => socket[method](LOCAL, wrong(0)), { code: "ERR_INVALID_ARG_TYPE" });
      assert.throws(() => socket[method](LOCAL, "no address"), { code: "EINVAL", syscall: method });
      assert.throws(() => socket[method]("no address", SOURCE_GROUP), { code: "EINVAL", syscall: method });
    }
    const drop = (): void => socket.dropSourceSpecificMembership(LOCAL, SOURCE_GROUP, LOCAL);
    assert.throws(drop, { code: /^(?:EINVAL|EADDRNOTAVAIL)$/, syscall: "dropSourceSpecificMembership" });
  });

  test(`${name}: setMulticastLoopback decides whether this machine hears itself`, async (t) => {
    const [socket, sender] = [await everywhere(t), await bound(t, dgram)];
    sender.setMulticastInterface(LOCAL);
    assert.equal(sender.setMulticastLoopback(true), true);
    socket.addMembership(GROUP, LOCAL);
    const heard = text(socket);
    sender.send("myself", portOf(socket), GROUP);
    assert.equal(await heard, "myself");
    assert.equal(sender.setMulticastLoopback(false), false);
  });

  test(`${name}: setMulticastInterface refuses`, async (t) => {
    const socket = await bound(t, dgram);
    assert.throws(() => socket.setMulticastInterface(wrong(1)), { code: "ERR_INVALID_ARG_TYPE" });
    assert.throws(() => socket.setMulticastInterface("no address"), {
      code: "EINVAL",
      syscall: "setMulticastInterface",
    });
    assert.throws(() => socket.setMulticastInterface("203.0.113.1"), { code: /^E(?:ADDRNOTAVAIL|NODEV)$/ });
    assert.throws(() => open(t, dgram).setMulticastInterface(LOCAL), { code: "EBADF" });
  });

  test(`${name}: setTTL and setMulticastTTL return what they set, and refuse`, async (t) => {
    const socket = await bound(t, dgram);
    for (const method of ["setTTL", "setMulticastTTL"] as const) {
      assert.equal(socket[method](16), 16);
      for (const ttl of ["1", null, undefined, true])
        assert.throws(() => socket[method](wrong(ttl)), { code: "ERR_INVALID_ARG_TYPE" });
      for (const ttl of [256, -2])
        assert.throws(() => socket[method](ttl), { code: "EINVAL", syscall: method }, String(ttl));
      assert.throws(() => open(t, dgram)[method](16), { code: "EBADF", syscall: method }, "unbound");
    }
    assert.throws(() => socket.setTTL(0), { code: "EINVAL" });
    assert.equal(socket.setMulticastTTL(0), 0);
    const heard = text(socket);
    socket.send("near enough", portOf(socket), LOCAL);
    assert.equal(await heard, "near enough");
  });

  test(`${name}: broadcasting must be allowed, and is heard`, async (t) => {
    const [socket, sender] = [await everywhere(t), await bound(t, dgram)];
    const shout = (): Promise<NodeJS.ErrnoException | null> =>
      new Promise((resolve) => sender.send("to all", portOf(socket), "127.255.255.255", resolve));
    const refused = await shout();
    assert.deepEqual([refused?.code, refused?.syscall], ["EACCES", "send"]);
    assert.equal(sender.setBroadcast(true), undefined);
    const messages = collect(socket, 1);
    assert.equal(await shout(), null);
    const [{ bytes, rinfo } = assert.fail()] = await messages;
    assert.deepEqual([String(bytes), rinfo.address], ["to all", LOCAL]);
    sender.setBroadcast(false);
    assert.equal((await shout())?.code, "EACCES");
    assert.equal(
      codeOf(() => open(t, dgram).setBroadcast(true)),
      "EBADF",
    );
  });

  test(
    `${name}: IPv6 groups are joined and left; nothing is sent: loopback has no IPv6 multicast`,
    { skip: noIPv6 },
    async (t) => {
      const socket = open(t, dgram, "udp6").bind(0);
      await once(socket, "listening");
      const loopback = `::%${Object.entries(networkInterfaces()).find(([, each]) => each?.[0]?.internal)?.[0] ?? ""}`;
      socket.addMembership(GROUP_6, loopback);
      assert.throws(() => socket.addMembership(GROUP_6, loopback), { code: "EADDRINUSE" });
      socket.dropMembership(GROUP_6, loopback);
      assert.throws(() => socket.dropMembership(GROUP_6, loopback), { code: "EADDRNOTAVAIL" });
      assert.throws(() => socket.addMembership(GROUP, loopback), { code: /^E/ }, "an IPv4 group");
      socket.setMulticastInterface(loopback);
      assertEngine(socket);
    },
  );
}
