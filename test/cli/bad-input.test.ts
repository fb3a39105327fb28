/**
 * Shows: whatever is wrong with what the command was asked for, or with the machine, is said in one line that tells what to do,
 * with exit code 2 for the first and 1 for the second; and nothing of the user's has been touched by then.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import dgram from "node:dgram";
import { once } from "node:events";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import { after, test } from "node:test";
import { listenFailure } from "../../src/cli/host-port.ts";
import { portOf } from "../support/sockets.ts";
import { makeCertificate } from "../support/certificate.ts";
import { MAIN, RunningCommand, connect, missing, run, temporaryFolder } from "./command.ts";

const folder = temporaryFolder({ after });
const inFolder = (name: string): string => path.join(folder, name);
mkdirSync(inFolder("folder"));
writeFileSync(inFolder("file"), "the user's");
writeFileSync(inFolder("garbage.pem"), "no certificate");
const busy = net.createServer().listen(0, "127.0.0.1");
await once(busy, "listening");
after(() => void busy.close());
const busyPort = portOf(busy);
const busyUdp = dgram.createSocket("udp4").bind(0, "127.0.0.1");
await once(busyUdp, "listening");
after(() => void busyUdp.close());
const busyUdpPort = busyUdp.address().port;

type Case = readonly [exitCode: 1 | 2, answer: RegExp, ...args: string[]];
const cases: readonly Case[] = [
  [2, /missing required argument 'url'/],
  [2, /localhost:9000 is no URL: write tcp:\/\/localhost:9000/, "localhost:9000"],
  [2, /needs --cert FILE and --key FILE; .*openssl req -x509/, "tls://:0"],
  [2, /--cert and --key are for tls:\/\//, "tcp://:0", "--cert", "x"],
  [2, /'--pages <number>' argument 'many' is invalid. It must be a whole number/, "tcp://:0", "--pages", "many"],
  [2, /--pages must be an integer from 1 to 65536, not 0/, "tcp://:0", "--pages", "0"],
  [2, /'5000' is invalid. It must be 4096, 16384, 65536/, "tcp://:0", "--page-size", "5000"],
  [2, /It must be a number of seconds, more than 0/, "tcp://:0", "--duration", "0"],
  [2, /It must be a number of seconds/, "tcp://:0", "--duration", "1e9"],
  [2, /argument missing/, "tcp://:0", "-o"],
  [2, /-o needs the name of a file/, "tcp://:0", "-o", ""],
  [2, /--json prints on standard output, where -o - puts the received bytes/, "tcp://:0", "-o", "-", "--json"],
  [1, /the port is in use; choose another, 0 for any free one/, `tcp://127.0.0.1:${busyPort}`],
  [1, /203\.0\.113\.7 is no address of this machine; 127\.0\.0\.1 is loopback/, "tcp://203.0.113.7:0"],
  [1, /the port is in use; .* ss -lunp sport = :\d+$/m, `udp://127.0.0.1:${busyUdpPort}`],
  [1, /203\.0\.113\.7 is no address of this machine; 127\.0\.0\.1 is loopback/, "udp://203.0.113.7:0"],
  [1, /no\.such\.host\.invalid is no address of this machine/, "udp://no.such.host.invalid:0"],
  [2, /--framing is for udp:\/\/ and there is no such URL; write udp:\/\/ for tcp:/, "tcp://:0", "--framing", "pcap"],
  [2, /--gro is for udp:\/\/ and there is no such URL/, "tcp://:0", "--gro"],
  [2, /--no-gro is for udp:\/\/ and there is no such URL/, "tcp://:0", "--no-gro"],
  [
    2,
    /--framing says how datagrams are written, and they are only counted; .* -o FILE/,
    "udp://:0",
    "--framing",
    "raw",
  ],
  [2, /--gro needs pages of 64 KiB/, "udp://:0", "--gro", "--page-size", "4096"],
  [
    2,
    /connections take turns at .*x, and udp:\/\/ never ends, .* FOLDER\//,
    "udp://:0",
    "tcp://:0",
    "-o",
    inFolder("x"),
  ],
  [2, /connections take turns at standard output/, "udp://:0", "tcp://:0", "-o", "-"],
  [2, /--engine data is for connections, and udp:\/\/ has none/, "udp://:0", "--engine", "data"],
  [2, /--engine dgram is for udp:\/\/ and there is no such URL/, "tcp://:0", "--engine", "dgram"],
  [1, /there is no folder .*nowhere; make it first/, "tcp://:0", "-o", inFolder("nowhere/file")],
  [1, /folder is a folder: write .*folder\/ for one file per connection/, "tcp://:0", "-o", inFolder("folder")],
  [1, /there is a file in its place; leave the slash away/, "tcp://:0", "-o", `${inFolder("file")}/`],
  [1, /cannot write .*not a directory \(ENOTDIR\)/, "tcp://:0", "-o", inFolder("file/below")],
  [1, /there is no folder .*nowhere to make it in; make that first/, "tcp://:0", "-o", inFolder("nowhere/new/")],
  [1, /: there is no folder |cannot write into the folder /, "tcp://:0", "-o", "/proc/nothing-here/"],
  [1, /file exists and is no socket/, `unix://${inFolder("file")}`],
  [1, /there is no folder for .*nowhere\/socket/, `unix://${inFolder("nowhere/socket")}`],
  [
    1,
    /cannot read --cert .*nowhere: no such file/,
    "tls://:0",
    "--cert",
    inFolder("nowhere"),
    "--key",
    inFolder("nowhere"),
  ],
  [
    1,
    /cannot be used: .*both are PEM files/,
    "tls://:0",
    "--cert",
    inFolder("garbage.pem"),
    "--key",
    inFolder("garbage.pem"),
  ],
];

test("each mistake has its line and its exit code", async (t) => {
  const results = await Promise.all(cases.map(([, , ...args]) => run(t, "recv", ...args)));
  for (const [index, { code, stdout, stderr }] of results.entries()) {
    const [exitCode, answer, ...args] = cases[index] ?? assert.fail();
    const what = `jumbo recv ${args.join(" ")}: ${stderr}`;
    assert.match(stderr, answer, what);
    assert.match(stderr, /^jumbo: [^\n]*\n$/, `one line; ${what}`);
    assert.doesNotMatch(stderr, /\n {4}at /, `no stack; ${what}`);
    assert.deepEqual({ code, stdout }, { code: exitCode, stdout: "" }, what);
  }
});

test("a port that is in use costs nobody the file of the last run, and leaves no new one", async (t) => {
  const args = ["recv", "tcp://127.0.0.1:0", `tcp://127.0.0.1:${busyPort}`, "-o"];
  assert.equal((await run(t, ...args, inFolder("file"))).code, 1);
  assert.equal(readFileSync(inFolder("file"), "utf8"), "the user's");
  assert.equal((await run(t, ...args, inFolder("new"))).code, 1);
  assert.equal(existsSync(inFolder("new")), false);
});

test("an engine that cannot be had", () => {
  const environment = { ...process.env, JUMBO_FFI: "0" };
  assert.throws(
    () =>
      execFileSync(process.execPath, [MAIN, "recv", "udp://:0", "--engine", "recvmmsg"], {
        env: environment,
        stdio: "pipe",
      }),
    (error: { status: number; stderr: Buffer }) =>
      error.status === 2 &&
      /^jumbo: [^\n]*--engine [^\n]*switched off by JUMBO_FFI=0[^\n]*\n$/.test(String(error.stderr)),
  );
});

test("a mistake in JUMBO_AUDIT is one line too", () => {
  const environment = { ...process.env, JUMBO_AUDIT: "yes" };
  assert.throws(
    () => execFileSync(process.execPath, [MAIN, "recv", "tcp://:0"], { env: environment, stdio: "pipe" }),
    (error: { status: number; stderr: Buffer }) =>
      error.status === 2 && /^jumbo: JUMBO_AUDIT[^\n]*\n$/.test(String(error.stderr)),
  );
});

const made = makeCertificate();
test(
  "a certificate and a key that do not belong together",
  { skip: "reason" in made ? made.reason : false },
  async (t) => {
    const other = makeCertificate();
    assert.ok(!("reason" in made) && !("reason" in other));
    writeFileSync(inFolder("cert.pem"), made.cert);
    writeFileSync(inFolder("other.pem"), other.key);
    const { code, stderr } = await run(
      t,
      "recv",
      "tls://:0",
      "--cert",
      inFolder("cert.pem"),
      "--key",
      inFolder("other.pem"),
    );
    assert.match(stderr, /^jumbo: [^\n]*cannot be used: [^\n]*\n$/);
    assert.equal(code, 1);
  },
);

test("a Unix socket that somebody listens on is left alone; one left behind is replaced, and that is said", async (t) => {
  const socketPath = inFolder("socket");
  const first = new RunningCommand(t, ["recv", `unix://${socketPath}`]); // with --once, being asked would end it
  await first.says(/listening on unix:/);
  const second = await run(t, "recv", `unix://${socketPath}`);
  assert.match(second.stderr, /^jumbo: [^\n]*another program listens there[^\n]*\n$/);
  assert.equal(second.code, 1);

  first.child.kill("SIGKILL");
  await first.ended;
  assert.ok(existsSync(socketPath), "killed, it leaves its socket");
  const third = new RunningCommand(t, ["recv", `unix://${socketPath}`, "--once", "--json"]);
  await third.says(/was left behind by a process that is gone: removed\nlistening on unix:/);
  (await connect(t, socketPath)).end("hello");
  assert.equal((await third.report()).bytes, 5);
  assert.equal(existsSync(socketPath), false, "it takes its socket away");
});

test("a port that needs privileges", () => {
  // What the system says to a user who may not; root, as which tests often run, may.
  const refused = Object.assign(new Error("listen EACCES"), { code: "EACCES" });
  const failure = listenFailure("tcp://127.0.0.1:1", { host: "127.0.0.1", port: 1 }, refused);
  assert.match(failure.message, /may not listen on port 1; choose one from 1024 up/);
  assert.equal(failure.exitCode, 1);
});

test(
  "a full disk: what is there is said",
  { skip: existsSync("/dev/full") ? false : "there is no /dev/full" },
  async (t) => {
    const command = new RunningCommand(t, ["recv", "tcp://:0", "-o", "/dev/full"]);
    const client = await connect(t, await command.port());
    const isOver = new Promise((resolve) => client.on("close", resolve));
    client.write(Buffer.alloc(1_000_000));
    assert.deepEqual(await command.ended, { code: 1, signal: null });
    await isOver; // the sender learns of it
    assert.match(
      command.stderr,
      /^jumbo: \/dev\/full: no space left on device \(ENOSPC\); 0 bytes were written before$/m,
    );
    assert.match(command.stderr, /wrote 0 bytes to \/dev\/full; [\d,]+ received bytes are not written/);
  },
);

test(
  "a disk that is full after a while: the file says how much it holds",
  { skip: missing("mount") || needsRoot() },
  async (t) => {
    const disk = inFolder("disk");
    mkdirSync(disk);
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], { stdio: "pipe" });
    } catch (error) {
      return t.skip(`no small disk can be mounted here: ${String(error).split("\n", 1)[0]}`);
    }
    t.after(() => void execFileSync("umount", [disk]));
    const file = path.join(disk, "out.bin");
    for (const output of [file, `${disk}/each/`]) {
      const command = new RunningCommand(t, ["recv", "tcp://:0", "--once", "-o", output]);
      const client = await connect(t, await command.port());
      client.write(Buffer.alloc(8_000_000));
      assert.deepEqual(await command.ended, { code: 1, signal: null });
      assert.match(
        command.stderr,
        /no space left on device \(ENOSPC\); the file is incomplete: it holds the first [\d,]+ bytes/,
      );
      execFileSync("sh", ["-c", `rm -rf ${disk}/*`]);
    }
  },
);

test(
  "a report that cannot be written",
  { skip: existsSync("/dev/full") ? false : "there is no /dev/full" },
  async (t) => {
    const fd = openSync("/dev/full", "w");
    t.after(() => closeSync(fd));
    const command = new RunningCommand(t, ["recv", "tcp://:0", "--json", "--duration", "0.05"], ["ignore", fd, "pipe"]);
    assert.deepEqual(await command.ended, { code: 1, signal: null });
    assert.match(
      command.stderr,
      /\njumbo: the report cannot be written to standard output: no space left on device \(ENOSPC\)\n$/,
    );
  },
);

function needsRoot(): string | false {
  return process.getuid?.() === 0 ? false : "only root can mount";
}
