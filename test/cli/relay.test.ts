/**
 * Shows: `jumbo relay` between programs nobody here wrote passes on every byte both ways, with half-close; what it prints and what --json says; how
 * signals end it; and that a target which cannot be reached, a reset, and a command line that makes no sense are told of in a line.
 */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import { after, test } from "node:test";
import type { TestContext } from "node:test";
import { until } from "../support/at-rest.ts";
import { isPattern, pattern } from "../support/pattern.ts";
import { listen } from "../support/sockets.ts";
import { RunningCommand, connect, missing, run, temporaryFolder } from "./command.ts";

const folder = temporaryFolder({ after });

async function relaying(
  t: TestContext,
  target: string,
  ...args: string[]
): Promise<{ command: RunningCommand; port: number }> {
  const command = new RunningCommand(t, ["relay", "tcp://127.0.0.1:0", target, ...args]);
  return { command, port: await command.port() };
}

for (const engine of ["auto", "pages"]) {
  test(`socat to socat: both ways, digests intact (${engine})`, { skip: missing("socat") }, async (t) => {
    const [upFile, downFile] = [path.join(folder, `up-${engine}`), path.join(folder, `down-${engine}`)];
    writeFileSync(upFile, pattern(0, 50_000_000));
    writeFileSync(downFile, pattern(99, 30_000_000));
    const upOut = path.join(folder, `up-out-${engine}`);
    const socket = path.join(folder, `target-${engine}.sock`);
    // The target writes what it hears to a file, and says its own piece at once.
    const target = spawn("socat", ["-t30", `UNIX-LISTEN:${socket}`, `OPEN:${downFile}!!OPEN:${upOut},creat,trunc`]);
    t.after(() => target.kill());
    const { command, port } = await relaying(t, `unix://${socket}`, "--engine", engine, "--json");
    const down = execFileSync("socat", ["-t30", "STDIO", `TCP:127.0.0.1:${port}`], {
      input: readFileSync(upFile),
      maxBuffer: 2 ** 28,
      timeout: 30_000,
    });
    assert.ok(isPattern(down, 99) && down.length === 30_000_000);
    if (target.exitCode === null) await once(target, "close");
    const digest = (file: string): string => createHash("sha256").update(readFileSync(file)).digest("hex");
    assert.equal(digest(upOut), digest(upFile));
    command.child.kill("SIGTERM");
    const report = await command.report();
    assert.deepEqual(await command.ended, { code: 0, signal: null });
    assert.deepEqual(
      [report["bytesUp"], report["bytesDown"], report["connections"], report["failures"], report["endedBy"]],
      [50_000_000, 30_000_000, 1, 0, "SIGTERM"],
    );
    assert.equal(report.pool.inUse, 0);
    if (engine === "pages") assert.deepEqual(report["engines"], { pages: null });
  });
}

test("SIGTERM waits for the connections there are, SIGINT cuts them; both report", async (t) => {
  const target = await listen(t, (socket) => void socket.on("error", () => {}).pipe(socket));
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    const { command, port } = await relaying(t, `tcp://127.0.0.1:${target}`);
    const client = (await connect(t, port)).on("error", () => {}); // cut, it may be told by a reset
    client.write("hello");
    await once(client, "data");
    command.child.kill(signal);
    const closed = new Promise((resolve) => client.once("close", resolve)); // not once(): it fails at a reset
    if (signal === "SIGTERM") {
      await command.says(/SIGTERM: 1 connection to the end/);
      client.end("more"); // still relayed
      assert.equal(String((await once(client, "data"))[0]), "more");
    }
    await closed;
    assert.deepEqual(await command.ended, { code: 0, signal: null });
    const bytes = signal === "SIGTERM" ? 9 : 5;
    const failures = signal === "SIGTERM" ? "" : ", 1 failure";
    assert.match(
      command.stderr,
      new RegExp(`relayed ${bytes} B up, ${bytes} B down, over 1 connection${failures} in `),
    );
    assert.match(command.stderr, /all are back/);
  }
});

test("SIGINT while a client takes nothing: what is written is cut, and every page is back", async (t) => {
  const target = await listen(t, (socket) => void socket.on("error", () => {}).write(pattern(0, 30_000_000)));
  const { command, port } = await relaying(t, `tcp://127.0.0.1:${target}`, "--engine", "pages", "--json");
  const client = (await connect(t, port)).on("error", () => {}).pause();
  await until(() => client.readableLength > 0, "some has come");
  command.child.kill("SIGINT");
  const report = await command.report();
  assert.deepEqual(await command.ended, { code: 0, signal: null });
  assert.deepEqual([report.pool.inUse, report["failures"], report["endedBy"]], [0, 1, "SIGINT"]);
});

test("a second signal ends at once, by itself", async (t) => {
  let accepted = 0;
  const target = await listen(t, (socket) => void (accepted++, socket.on("error", () => {})));
  const { command, port } = await relaying(t, `tcp://127.0.0.1:${target}`);
  (await connect(t, port)).on("error", () => {}).write("hello");
  await until(() => accepted === 1, "relayed");
  command.child.kill("SIGTERM");
  await command.says(/to the end; again to end at once/);
  command.child.kill("SIGTERM");
  assert.deepEqual(await command.ended, { code: null, signal: "SIGTERM" });
  assert.match(command.stderr, /second SIGTERM: ended at once/);
});

test("failures have a line each, and are counted", async (t) => {
  const free = net.createServer().listen(0, "127.0.0.1");
  await once(free, "listening");
  const { port: unused } = free.address() as net.AddressInfo; // it listens on TCP
  free.close();
  const { command, port } = await relaying(t, `tcp://127.0.0.1:${unused}`, "--json");
  const client = (await connect(t, port)).on("error", () => {}); // a reset: nobody is to take this for an end
  await until(() => client.resume().closed, "closed");
  await command.says(
    /127\.0\.0\.1:\d+: cannot connect to tcp:\/\/127\.0\.0\.1:\d+: connection refused \(ECONNREFUSED\)\n/,
  );

  const target = await listen(
    t,
    (socket) => void socket.on("error", () => {}).once("data", () => socket.resetAndDestroy()),
  );
  const { command: second, port: secondPort } = await relaying(t, `tcp://127.0.0.1:${target}`);
  const another = (await connect(t, secondPort)).on("error", () => {});
  another.write("hello");
  await until(() => another.resume().closed, "closed");
  await second.says(/127\.0\.0\.1:\d+: cut after 5 bytes up, 0 down: ECONNRESET\n/);
  command.child.kill("SIGINT");
  assert.equal((await command.report())["failures"], 1);
});

test("what makes no sense is said in one line, with exit code 2; what cannot be had with 1", async (t) => {
  const cases: readonly (readonly [code: number, text: RegExp, ...args: string[]])[] = [
    [
      2,
      /^jumbo: 127\.0\.0\.1:9000: jumbo relay knows tcp:\/\/host:port and unix:\/\/\/path\n$/,
      "127.0.0.1:9000",
      "tcp://:1",
    ],
    [2, /^jumbo: udp:\/\/:1: jumbo relay knows /, "tcp://:0", "udp://:1"],
    [2, /^jumbo: tcp:\/\/host is not tcp:\/\/host:port: the port is missing/, "tcp://:0", "tcp://host"],
    [2, /^jumbo: missing required argument 'to'; see jumbo relay --help\n$/, "tcp://:0"],
    [
      2,
      /^jumbo: there is no engine slice \(did you mean splice\?\); --engine takes auto, splice, pages\n$/,
      "tcp://:0",
      "tcp://:1",
      "--engine",
      "slice",
    ],
    [2, /^jumbo: --pages must be/, "tcp://:0", "tcp://:1", "--pages", "0"],
    [1, /^jumbo: cannot listen on unix:\/\/\/no\/such\/folder/, "unix:///no/such/folder", "tcp://:1"],
  ];
  for (const [code, text, ...args] of cases) {
    const ended = await run(t, "relay", ...args);
    assert.deepEqual([ended.code, ended.stdout], [code, ""], ended.stderr);
    assert.match(ended.stderr, text);
  }
});
