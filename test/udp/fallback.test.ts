/**
 * Shows: wherever the fast way cannot be had (switched off, koffi not installed, recvmmsg or sendmmsg forbidden by a sandbox, no descriptor left, a kernel without
 * GRO) datagrams are received and sent all the same, and `stats()` says why it is done the slow way. Each is done to a process of its own.
 */
import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { ROOT, said } from "../support/udp-child.ts";
import type { ChildOptions } from "../support/udp-child.ts";
import { noCalls } from "../support/udp.ts";

type Report = {
  readonly engine: string;
  readonly engineReason: string | null;
  readonly gro: { readonly isOn: boolean; readonly reason: string | null };
  readonly lengths: readonly number[];
  readonly inUse: number;
  readonly sent: { readonly datagrams: number; readonly viaNode: number; readonly errors: number };
  readonly refusal: string;
};

const LENGTHS = [0, 10, 1400, 1400, 1400, 1400, 300];

/** Receives a few datagrams, sends them, and reports; `before` is done to the process when a socket is bound. */
function script(before: string): string {
  return `
    const socket = dgram.createSocket({ type: "udp4", recvBufferSize: 1_000_000 }).bind(0, "127.0.0.1");
    await once(socket, "listening");
    const other = dgram.createSocket("udp4").bind(0, "127.0.0.1");
    await once(other, "listening");
    ${before}
    const pool = new JumboPool({ pageSizeBytes: 65536, idleTrimMs: 0 });
    const lengths = [];
    let refusal = "";
    try { receiveUdp(other, { pool, engine: "recvmmsg" }, () => {}); } catch ({ code, message }) { refusal = code + ": " + message; }
    const receiver = receiveUdp(socket, { pool }, (batch) => { for (const { length } of batch) lengths.push(length); });
    const to = socket.address();
    await receiver.sendBatch([{ bytes: Buffer.alloc(0), ...to }, { bytes: Buffer.alloc(10), ...to }]);
    await receiver.sendBatch([{ bytes: Buffer.alloc(5900), ...to }], { segmentBytes: 1400 });
    const { engine, engineReason, gro, sent } = receiver.stats();
    while (lengths.length < ${LENGTHS.length}) await turn();
    await receiver.close();
    say({ engine, engineReason, gro, lengths, inUse: pool.stats().inUse, sent, refusal });
    other.close();`;
}

async function report(before: string, options: ChildOptions = {}): Promise<Report> {
  const [only] = await said(script(before), options);
  const { lengths, inUse, sent, ...rest } = only as Report; // what the script says
  assert.deepEqual([...lengths], LENGTHS, "the same datagrams");
  assert.equal(inUse, 0);
  assert.deepEqual([sent.datagrams, sent.errors], [LENGTHS.length, 0]);
  return { ...rest, lengths, inUse, sent };
}

/** The portable engine, for `reason`; and that `recvmmsg` cannot be had is told to who wants nothing else. */
function assertPortable({ engine, engineReason, gro, refusal }: Report, reason: RegExp): void {
  assert.equal(engine, "dgram");
  assert.match(engineReason ?? "", reason);
  assert.deepEqual([gro.isOn, gro.reason], [false, engineReason]);
  assert.match(refusal, /^ERR_JUMBO_OPTION_INVALID: engine must be/);
  assert.ok(engineReason !== null && refusal.includes(engineReason), refusal);
}

const sandbox = `const { refuse, leaveDescriptors } = await load("test/support/udp-sandbox.js");`;

test("as it should be, where there are system calls", { skip: noCalls }, async () => {
  const { engine, engineReason, gro, sent, refusal } = await report("");
  assert.deepEqual([engine, engineReason, gro.isOn, sent.viaNode, refusal], ["recvmmsg", null, true, 0, ""]);
});

test("JUMBO_FFI=0", async () => {
  const found = await report("", { environment: { JUMBO_FFI: "0" } });
  assertPortable(found, /^switched off by JUMBO_FFI=0$/);
  assert.equal(found.sent.viaNode, LENGTHS.length);
});

test("koffi is not installed", async (t) => {
  if (process.platform !== "linux") return t.skip(`koffi is not looked for on ${process.platform}`);
  const folder = mkdtempSync(path.join(tmpdir(), "jumbo-test-"));
  try {
    cpSync(fileURLToPath(new URL("src", ROOT)), path.join(folder, "src"), { recursive: true });
    writeFileSync(path.join(folder, "package.json"), '{ "type": "module" }');
    const found = await report("", { root: pathToFileURL(folder + path.sep), environment: { JUMBO_FFI: "" } });
    assertPortable(found, /^koffi does not load: Cannot find module 'koffi'/);
    return assert.equal(found.sent.viaNode, LENGTHS.length);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

for (const call of ["recvmmsg", "sendmmsg"])
  test(`${call} is forbidden`, { skip: noCalls }, async () => {
    const found = await report(`${sandbox} refuse({ call: "${call}", errno: 1 });`);
    assertPortable(found, new RegExp(`^${call} is forbidden here: EPERM$`));
    assert.equal(found.sent.viaNode, LENGTHS.length);
  });

test("a sandbox that says the call is not there", { skip: noCalls }, async () => {
  assertPortable(
    await report(`${sandbox} refuse({ call: "recvmmsg", errno: 38 });`),
    /recvmmsg is forbidden here: ENOSYS/,
  );
});

test("a kernel without UDP_GRO", { skip: noCalls }, async () => {
  const before = `${sandbox} refuse({ call: "setsockopt", option: [17, 104], errno: 92 });`;
  const { engine, engineReason, gro, sent } = await report(before);
  assert.deepEqual([engine, engineReason], ["recvmmsg", null], "everything else is as fast");
  assert.deepEqual([gro.isOn, gro.reason], [false, "the kernel refuses UDP_GRO: ENOPROTOOPT"]);
  assert.equal(sent.viaNode, 0);
});

test("no descriptor is left for the doorbell", { skip: noCalls }, async () => {
  for (const [left, reason] of [
    [0, /EMFILE$/],
    [1, /^epoll_create1 fails: EMFILE$/],
  ] as const) {
    // Loaded while it can be: what a process has loaded needs no descriptor any more.
    const before = `${sandbox} (await load("src/os/udp-calls.js")).loadUdpCalls(); leaveDescriptors(${left});`;
    const found = await report(before);
    assertPortable(found, reason);
    assert.equal(found.sent.viaNode, 0, "sending needs none");
  }
});

const UNKNOWN_NODE = `Object.defineProperty(process.versions, "node", { value: "99.1.0" });`;

test("a Node whose internals are not known", async () => {
  const found = await report(UNKNOWN_NODE, { environment: { JUMBO_FFI: process.env["JUMBO_FFI"] ?? "" } });
  if (noCalls === false) assertPortable(found, /^the internals of Node 99\.1\.0 have not been tested$/);
  assert.deepEqual([found.engine, found.sent.viaNode], ["dgram", LENGTHS.length]);
});

test("there Node's reading cannot be stopped: what comes meanwhile is kept up to a limit, then given up and counted", async () => {
  const outcomes = await said(`
    ${UNKNOWN_NODE}
    const pool = new JumboPool({ pageSizeBytes: 65536, idleTrimMs: 0 });
    const seen = [];
    let go = () => {};
    const receiver = await bindUdp({ pool, address: "127.0.0.1", recvBufferBytes: 1_000_000 }, (batch) => {
      for (const { bytes } of batch) seen.push(bytes.readUInt32LE());
      return new Promise((resolve) => (go = resolve));
    });
    const sender = await senderTo(receiver);
    const send = (number) => sender.send(Uint8Array.of(number, number >> 8, number >> 16, 0));
    send(0);
    while (seen.length < 1) await turn();
    for (let number = 1; number <= 1500; number++) { send(number); if (number % 50 === 0) await delay(1); }
    for (let last = -1; last !== receiver.stats().reads; await delay(20)) last = receiver.stats().reads;
    const { dropped, datagrams } = receiver.stats();
    while (seen.length < 1025) { go(); await turn(); }
    go();
    await delay(5);
    say({ dropped, datagrams, isOrdered: seen.every((number, index) => number === index), seen: seen.length, inUse: pool.stats().inUse });
    await receiver.close();`);
  assert.deepEqual(outcomes, [{ dropped: 1500 - 1024, datagrams: 1, isOrdered: true, seen: 1025, inUse: 0 }]);
});
