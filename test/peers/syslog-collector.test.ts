/** Shows that examples/syslog-collector understands what `logger`, `nc` and `socat` send, keeps only the latest, and does not outrun its reader. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { loadLibc } from "../../src/os/libc.ts";
import { missing, temporaryFolder } from "../cli/command.ts";
import { until } from "../support/at-rest.ts";
import { drained } from "./drained.ts";
import { connected, runPeer, startExample } from "./program.ts";
import type { Program } from "./program.ts";

type Message = { readonly [field: string]: string };

/** `logger`, told to send to `port`. */
function log(t: TestContext, port: number, ...args: string[]): Promise<string> {
  return runPeer(t, "logger", ["--server", "127.0.0.1", "--port", String(port), "--udp", ...args]);
}

function messagesOf({ stdout }: Program): Message[] {
  const lines = stdout.split("\n").slice(0, -1);
  return lines.map((line) => JSON.parse(line) as Message); // a line of the collector's; what is missing fails the assertion that looks at it
}

/** The messages, as soon as there are so many. */
async function messages(program: Program, count: number): Promise<Message[]> {
  const lineCount = (): number => program.stdout.split("\n").length - 1;
  await until(
    () => lineCount() >= count,
    () => `${lineCount()} of ${count} lines: ${program.stdout}${program.stderr}`,
  );
  return messagesOf(program);
}

/** Ends it as Ctrl-C does; returns its summary. */
async function interrupt(program: Program): Promise<string> {
  program.child.kill("SIGINT");
  await program.output();
  return program.stderr;
}

test(
  "logger: RFC 5424 and RFC 3164, priority, tag, process, structured data",
  { skip: missing("logger") },
  async (t) => {
    const { program, port } = await startExample(t, "syslog-collector", "--json");
    await log(t, port, "--rfc5424=notime,nohost", "--priority", "local7.err", "--tag", "app", "no time, no host");
    const data = ["--sd-id", "zoo@123", "--sd-param", 'tiger="hung\\]ry"', "--msgid", "ID47"];
    await log(t, port, "--rfc5424=notq", "--priority", "daemon.warning", "--tag", "app", "--id=77", ...data, "größer");
    await log(t, port, "--rfc3164", "--priority", "kern.emerg", "--tag", "old", "--id=78", "as it was: before");
    const [first, second, third, ...others] = await messages(program, 3);
    assert.deepEqual(first, {
      from: "127.0.0.1",
      facility: "local7",
      severity: "err",
      app: "app",
      text: "no time, no host",
    });
    const { time, host, ...rest } = second ?? {};
    assert.match(`${time} ${host}`, /^\d{4}-\d\d-\d\dT\S+ \S+$/);
    assert.deepEqual(rest, {
      from: "127.0.0.1",
      facility: "daemon",
      severity: "warning",
      app: "app",
      pid: "77",
      id: "ID47",
      data: '[zoo@123 tiger="hung\\]ry"]',
      text: "größer",
    });
    assert.match(third?.["time"] ?? "", /^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d$/);
    assert.deepEqual(
      { app: third?.["app"], pid: third?.["pid"], text: third?.["text"], severity: third?.["severity"] },
      { app: "old", pid: "78", text: "as it was: before", severity: "emerg" },
    );
    assert.deepEqual(others, []);
    const summary = await interrupt(program);
    assert.match(summary, /\n3 messages in \d batches, 0 dropped by the kernel\n/);
    assert.match(summary, / 1 {2}daemon\.warning\n/);
    assert.match(summary, /held: 0 datagrams, 0 pages; in use: 0 pages\n$/);
  },
);

test("a file of lines from logger: counted, and the latest kept", { skip: missing("logger") }, async (t) => {
  const { program, port } = await startExample(t, "syslog-collector", "--keep", "3");
  const file = path.join(temporaryFolder(t), "log.txt");
  writeFileSync(file, Array.from({ length: 150 }, (_, i) => `line ${i}\n`).join(""));
  await log(t, port, "--file", file, "--priority", "cron.info");
  await log(t, port, "--rfc3164", "--priority", "cron.debug", "the last one");
  await drained(port); // nothing else tells that a message has been counted
  const summary = await interrupt(program);
  assert.match(summary, /\n151 messages in \d+ batches, 0 dropped by the kernel\n/);
  assert.match(summary, /\n {6}150 {2}cron\.info\n {8}1 {2}cron\.debug\n/);
  assert.deepEqual(summary.match(/(?<=last {2}).*/g), ["line 148", "line 149", "the last one"]);
});

test("nc and socat: what follows no RFC is text", { skip: missing("nc") || missing("socat") }, async (t) => {
  const { program, port } = await startExample(t, "syslog-collector", "--json");
  await runPeer(t, "socat", ["-u", "-", `UDP-SENDTO:127.0.0.1:${port}`], "<191>1 - - - - - - debug of local7\n");
  await runPeer(t, "nc", ["-u", "-w", "1", "127.0.0.1", String(port)], "nothing but text\n\n");
  const long = `<0>${"x".repeat(9000)}`;
  await runPeer(t, "socat", ["-u", "-b", "60000", "-", `UDP-SENDTO:127.0.0.1:${port}`], long);
  const from = "127.0.0.1";
  assert.deepEqual(await messages(program, 3), [
    { from, facility: "local7", severity: "debug", text: "debug of local7" },
    { from, facility: "user", severity: "notice", text: "nothing but text" },
    { from, facility: "kern", severity: "emerg", text: "x".repeat(9000) },
  ]);
});

const ODD_TEXTS = [
  "",
  "<",
  "<>",
  "<192>over",
  "<1919>",
  "<13",
  "<13>",
  "<-1>x",
  "<13>1 - - - - - [a",
  '<13>1 - - - - - [a b="',
  "<13>1 - - - - - -",
  "\0\n",
  "<13>1 - - - - - [a][b] ",
];

test("odd and hostile messages are messages", async (t) => {
  const { program, port } = await startExample(t, "syslog-collector", "--json");
  const sender = await connected(t, port);
  // Text on which a careless expression takes forever: brackets and quotes that never end.
  const slow = [
    "<13>1 - - - - - [" + "a]".repeat(20_000),
    "<13>1 - - - - - " + '["'.repeat(20_000),
    "<13>" + "\n".repeat(30_000),
    `<13>${"\n".repeat(60_000)}.`,
  ];
  const texts = [...ODD_TEXTS, ...slow];
  for (const text of texts) sender.send(text);
  sender.send(Buffer.of(0x3c, 0x31, 0x3e, 0xff, 0xfe, 0xc0));
  sender.send("<15>the end");
  const all = await messages(program, texts.length + 2);
  assert.equal(all.length, texts.length + 2);
  assert.deepEqual(all.at(-1), { from: "127.0.0.1", facility: "user", severity: "debug", text: "the end" });
  for (const [index, message] of all.slice(0, 8).entries())
    assert.equal(`${message["facility"]}.${message["severity"]}`, "user.notice", ODD_TEXTS[index]);
  assert.match(await interrupt(program), new RegExp(`\\n${texts.length + 2} messages `));
});

test("while nobody reads its output it receives nothing; every message is printed or dropped by the kernel", async (t) => {
  const { program, port } = await startExample(t, "syslog-collector", "--json", "--keep", "0");
  const sender = await connected(t, port);
  program.child.stdout.pause();
  const count = 20_000;
  for (let i = 0; i < count; i++) sender.send(`<14>message ${i} ${"x".repeat(200)}`);
  await until(() => sender.getSendQueueCount() === 0, "all are sent");
  program.child.stdout.resume();
  await drained(port);
  const summary = await interrupt(program);
  const [, received, dropped] = /\n(\d+) messages in \d+ batches, (\d+) dropped/.exec(summary) ?? [];
  assert.equal(messagesOf(program).length, Number(received));
  assert.ok(Number(received) < count, "its reader was slower than the sender");
  assert.match(summary, /in use: 0 pages\n$/);
  if (loadLibc().libc === null) return t.diagnostic("without koffi nobody knows what the kernel has dropped");
  assert.equal(Number(received) + Number(dropped), count);
});
