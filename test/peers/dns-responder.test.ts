/** Shows that examples/dns-responder answers what `dig` and Node's own resolver (c-ares) ask it, many queries a system call, and survives hostile ones. */
import assert from "node:assert/strict";
import type { Socket } from "node:dgram";
import { Resolver } from "node:dns/promises";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { loadLibc } from "../../src/os/libc.ts";
import { missing } from "../cli/command.ts";
import { until } from "../support/at-rest.ts";
import { Random } from "../support/random.ts";
import { connected, runPeer, startExample } from "./program.ts";

const HEADER_BYTES = 12;
const IS_REPLY = 0x80;
const A = 1;

/** A query for `name`; the first two bytes are its id. */
function query(id: number, name: string, type = A): Buffer {
  const labels = name.split(".").map((label) => String.fromCodePoint(label.length) + label);
  const bytes = Buffer.from(`\0\0\x01\0\0\x01\0\0\0\0\0\0${labels.join("")}\0\0\0\0\x01`, "latin1");
  bytes.writeUInt16BE(id, 0);
  bytes.writeUInt16BE(type, bytes.length - 4);
  return bytes;
}

/** A client that keeps what it is sent. */
async function client(t: TestContext, port: number): Promise<{ socket: Socket; replies: Buffer[] }> {
  const socket = await connected(t, port);
  const replies: Buffer[] = [];
  socket.on("message", (reply) => replies.push(reply));
  return { socket, replies };
}

test("dig: the records of the zone, and what is not there", { skip: missing("dig") }, async (t) => {
  const { port } = await startExample(t, "dns-responder");
  const dig = (...question: string[]): Promise<string> =>
    runPeer(t, "dig", ["@127.0.0.1", "-p", String(port), "+tries=2", "+time=5", ...question]);

  const full = await dig("www.jumbo.test", "A");
  assert.match(full, /status: NOERROR.*\n;; flags: qr aa rd; QUERY: 1, ANSWER: 2,/);
  assert.match(
    full,
    /\nwww\.jumbo\.test\.\s+60\s+IN\s+A\s+192\.0\.2\.80\nwww\.jumbo\.test\.\s+60\s+IN\s+A\s+192\.0\.2\.81\n/,
  );
  assert.match(full, new RegExp(`SERVER: 127\\.0\\.0\\.1#${port}`));

  assert.equal(await dig("+short", "WWW.Jumbo.TEST", "AAAA"), "2001:db8::80\n");
  assert.equal(await dig("+short", "jumbo.test", "TXT"), '"page-sized disposable buffers" "received in place"\n');
  assert.match(await dig("jumbo.test", "ANY", "+notcp"), /ANSWER: 3,/);
  assert.match(await dig("nobody.jumbo.test", "A"), /status: NXDOMAIN.*\n.*ANSWER: 0,/);
  assert.match(await dig("page.jumbo.test", "A"), /status: NOERROR.*\n.*ANSWER: 0,/);
  assert.match(await dig("jumbo.test", "TXT", "-c", "CH"), /status: REFUSED/);
  assert.match(await dig("+opcode=STATUS", "jumbo.test"), /status: NOTIMP/);
});

test("the resolver of Node", async (t) => {
  const { port } = await startExample(t, "dns-responder", "--address", "127.0.0.1");
  const resolver = new Resolver({ timeout: 5000, tries: 2 });
  resolver.setServers([`127.0.0.1:${port}`]);
  assert.deepEqual(await resolver.resolve4("www.jumbo.test", { ttl: true }), [
    { address: "192.0.2.80", ttl: 60 },
    { address: "192.0.2.81", ttl: 60 },
  ]);
  assert.deepEqual(await resolver.resolve6("jumbo.test"), ["2001:db8::1"]);
  assert.deepEqual(await resolver.resolveTxt("page.jumbo.test"), [["4096", "16384", "65536"]]);
  await assert.rejects(resolver.resolve4("nobody.test"), { code: "ENOTFOUND" });
  await assert.rejects(resolver.resolve4("page.jumbo.test"), { code: "ENODATA" });
  const names = Array.from({ length: 50 }, (_, i) => (i % 2 === 0 ? "jumbo.test" : "www.jumbo.test"));
  const answers = await Promise.all(names.map((name) => resolver.resolve6(name)));
  assert.deepEqual(
    answers.flat(),
    names.map((name) => (name === "jumbo.test" ? "2001:db8::1" : "2001:db8::80")),
  );
});

test("100 queries that wait are answered in order, with few system calls", async (t) => {
  const { program, port } = await startExample(t, "dns-responder");
  const { socket, replies } = await client(t, port);
  program.child.kill("SIGSTOP");
  for (let id = 0; id < 100; id++) socket.send(query(id, "jumbo.test"));
  program.child.kill("SIGCONT");
  await until(
    () => replies.length === 100,
    () => `${replies.length} replies`,
  );
  assert.deepEqual(
    replies.map((reply) => reply.readUInt16BE(0)),
    [...replies.keys()],
  );
  program.child.kill("SIGINT");
  const [, queries, reads, , sent, calls] =
    /\n(\d+) queries in (\d+) reads, (\d+) dropped.*\n(\d+) replies in (\d+) system calls, 0 failed\n/.exec(
      await program.output(),
    ) ?? [];
  assert.deepEqual([Number(queries), Number(sent)], [100, 100]);
  if (loadLibc().libc === null) return t.diagnostic("without koffi: one by one");
  assert.ok(Number(reads) <= 20 && Number(calls) <= 20, `${reads} reads, ${calls} sends`);
});

/** Anything: noise, queries with a byte or two changed, cut off, or with something behind. The first two bytes are its id all the same. */
function hostile(random: Random, id: number): Buffer {
  const name = random.pick(["jumbo.test", "www.jumbo.test", "page.jumbo.test", "nobody.example", "a".repeat(63)]);
  const valid = query(id, name, random.pick([1, 16, 28, 255]));
  const header = valid.subarray(0, HEADER_BYTES);
  const noise = Buffer.from(Array.from({ length: random.int(0, 600) }, () => random.int(0, 255)));
  const kind = random.int(0, 5);
  if (kind === 0) return Buffer.concat([valid.subarray(0, 2), noise]);
  if (kind === 1) return valid.subarray(0, random.int(0, valid.length));
  if (kind === 2) return Buffer.concat([valid, noise]);
  if (kind === 3) return Buffer.concat([header, Buffer.of(random.pick([0xc0, 0xff, 0x40, 63])), noise]);
  if (kind === 4)
    return Buffer.concat([header, Buffer.from("\x07example".repeat(random.int(1, 40))), noise.subarray(0, 5)]);
  for (let i = random.int(1, 3); i > 0; i--) valid[random.int(2, valid.length - 1)] = random.int(0, 255);
  return valid;
}

/** What is wrong with a reply to `asked`, as far as the reply alone tells; null when it is well-formed. */
function faultOf(reply: Buffer, asked: Buffer): string | null {
  if (reply.length < HEADER_BYTES || reply.length > 600) return `${reply.length} bytes`;
  if (asked.length < HEADER_BYTES || (asked[2]! & IS_REPLY) !== 0) return "no query";
  if ((reply[2]! & IS_REPLY) === 0) return "not a reply";
  const [questions, answers, others] = [reply.readUInt16BE(4), reply.readUInt16BE(6), reply.readUInt32BE(8)];
  if (questions > 1 || others !== 0) return `${questions} questions, ${others} other records`;
  let end = HEADER_BYTES;
  if (questions === 1) {
    while (reply[end] !== 0) end += 1 + (reply[end] ?? reply.length);
    end += 5;
    if (!reply.subarray(HEADER_BYTES, end).equals(asked.subarray(HEADER_BYTES, end))) return "another question";
  }
  for (let i = 0; i < answers; i++) end += 12 + reply.readUInt16BE(end + 10);
  return end === reply.length ? null : `${answers} answers end at ${end} of ${reply.length}`;
}

test("hostile packets: no reply, or one that holds together; and the next query is answered", async (t) => {
  const { program, port } = await startExample(t, "dns-responder");
  const { socket, replies } = await client(t, port);
  const seed = Date.now() % 1_000_000;
  const random = new Random(seed);
  const end = 0xffff;
  for (let round = 0; round < 20; round++) {
    const sent = Array.from({ length: 100 }, (_, id) => hostile(random, id));
    for (const bytes of sent) socket.send(bytes);
    socket.send(query(end, "www.jumbo.test"));
    const isEnd = (reply: Buffer): boolean => reply.readUInt16BE(0) === end && reply.readUInt16BE(6) === 2;
    await until(
      () => replies.some(isEnd),
      () => `seed ${seed}, round ${round}: the last query was not answered: ${program.stderr}`,
    );
    const answered = new Set<number>();
    for (const reply of replies.splice(0).filter((reply) => !isEnd(reply))) {
      const asked = sent[reply.readUInt16BE(0)];
      assert.ok(asked !== undefined, `seed ${seed}: a reply to nobody: ${reply.toString("hex")}`);
      assert.equal(faultOf(reply, asked), null, `seed ${seed}: ${asked.toString("hex")} → ${reply.toString("hex")}`);
      assert.ok(!answered.has(reply.readUInt16BE(0)), `seed ${seed}: two replies to ${asked.toString("hex")}`);
      answered.add(reply.readUInt16BE(0));
    }
  }
  program.child.kill("SIGTERM");
  assert.match(
    await program.output(),
    /\n2020 queries in \d+ reads, 0 dropped by the kernel\n\d+ replies .* 0 failed\n/,
  );
});
