/**
 * Shows: `jumbo relay` speaks TLS on either side with programs nobody here wrote, both ways and with half-close; it checks whom it connects to, and gives
 * nobody else a byte; and a handshake that fails, plain text, a reset and a target out of reach end that one connection, with a line.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import path from "node:path";
import { after, test } from "node:test";
import type { TestContext } from "node:test";
import tls from "node:tls";
import { parseTarget } from "../../src/cli/schemes.ts";
import { Program, runPeer } from "../peers/program.ts";
import { until } from "../support/at-rest.ts";
import { makeCertificate } from "../support/certificate.ts";
import { isPattern, pattern } from "../support/pattern.ts";
import { listen, portOf } from "../support/sockets.ts";
import { RunningCommand, closed, connect, missing, run, temporaryFolder } from "./command.ts";
import type { Report } from "./command.ts";

const folder = temporaryFolder({ after });
const inFolder = (name: string): string => path.join(folder, name);
const pem = makeCertificate();
const noCertificate = "reason" in pem ? pem.reason : false;
const certFile = inFolder("cert.pem");
const keyFile = inFolder("key.pem");
const bothFile = inFolder("both.pem");
if (!("reason" in pem)) {
  writeFileSync(certFile, pem.cert);
  writeFileSync(keyFile, pem.key);
  writeFileSync(bothFile, pem.key + pem.cert);
}
const serverArgs = ["--cert", certFile, "--key", keyFile];

function skipWithout(program: string): { skip: string | false } {
  return { skip: noCertificate || missing(program) };
}

async function relaying(t: TestContext, ...args: string[]): Promise<{ command: RunningCommand; port: number }> {
  const command = new RunningCommand(t, ["relay", ...args, "--json"]);
  return { command, port: await command.port() };
}

/** Ends the command when its last connection has ended; every page must be back. */
async function reported(command: RunningCommand): Promise<Report> {
  command.child.kill("SIGTERM");
  const report = await command.report();
  assert.deepEqual([await command.ended, report.pool.inUse], [{ code: 0, signal: null }, 0], command.stderr);
  return report;
}

/** A TLS server of Node's. Returns its port. */
async function listenTls(t: TestContext, onSocket: (socket: tls.TLSSocket) => void): Promise<number> {
  const server = tls.createServer({ ...("reason" in pem ? {} : pem), allowHalfOpen: true }, onSocket);
  const sockets = new Set<net.Socket>();
  server.on("connection", (socket: net.Socket) => sockets.add(socket));
  await once(server.listen(0, "127.0.0.1"), "listening");
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return portOf(server);
}

async function connectTls(t: TestContext, port: number): Promise<tls.TLSSocket> {
  const options = { port, host: "127.0.0.1", ca: readFileSync(certFile), allowHalfOpen: true };
  const socket = tls.connect(options).on("error", () => {});
  t.after(() => void socket.destroy());
  await once(socket, "secureConnect");
  return socket;
}

test("socat to socat, TLS on both sides: both ways, with half-close", skipWithout("socat"), async (t) => {
  const [up, down, upOut] = [inFolder("up"), inFolder("down"), inFolder("up-out")];
  writeFileSync(up, pattern(0, 20_000_000));
  writeFileSync(down, pattern(99, 10_000_000));
  const accepting = `OPENSSL-LISTEN:0,bind=127.0.0.1,cert=${bothFile},verify=0`;
  const target = new Program(t, "socat", ["-d", "-d", "-t30", accepting, `OPEN:${down}!!OPEN:${upOut},creat,trunc`]);
  const [, targetPort] = await target.says(/listening on .*:(\d+)\n/);
  const args = ["tls://127.0.0.1:0", `tls://localhost:${targetPort}`, ...serverArgs, "--cacert", certFile];
  const { command, port } = await relaying(t, ...args);
  const checked = `OPENSSL:127.0.0.1:${port},cafile=${certFile},commonname=localhost`;
  const came = await runPeer(t, "socat", ["-t30", "STDIO", checked], readFileSync(up), "latin1");
  await target.output();
  assert.ok(came.length === 10_000_000 && isPattern(Buffer.from(came, "latin1"), 99));
  const arrived = readFileSync(upOut);
  assert.ok(arrived.length === 20_000_000 && isPattern(arrived, 0));
  const report = await reported(command);
  assert.deepEqual([report["bytesUp"], report["bytesDown"], report["failures"]], [20_000_000, 10_000_000, 0]);
  assert.deepEqual(report["engines"], { pages: "a socket speaks TLS, which Node encrypts" });
});

test("openssl s_client to openssl s_server", skipWithout("openssl"), async (t) => {
  const target = new Program(t, "openssl", ["s_server", "-accept", "127.0.0.1:0", "-cert", bothFile, "-rev"]);
  const [, targetPort] = await target.says(/ACCEPT \S+:(\d+)\n/);
  const args = ["tls://127.0.0.1:0", `tls://127.0.0.1:${targetPort}`, ...serverArgs];
  const { command, port } = await relaying(t, ...args, "--cacert", certFile, "--servername", "localhost");
  const clientArgs = ["s_client", "-quiet", "-verify_return_error", "-CAfile", certFile, "-connect"];
  const client = new Program(t, "openssl", [...clientArgs, `127.0.0.1:${port}`]);
  client.child.stdin.write("hello\n");
  await client.says(/^olleh$/m);
  client.child.stdin.write("CLOSE\n"); // the end that s_server knows with -rev
  await once(client.child, "close");
  assert.deepEqual([(await reported(command))["failures"], command.stderr.includes("cut")], [0, false]);
});

test("curl --cacert to a web server without TLS", skipWithout("curl"), async (t) => {
  const server = http.createServer((_request, response) => response.end(pattern(7, 3_000_000)));
  await once(server.listen(0, "127.0.0.1"), "listening");
  t.after(() => server.close());
  const { command, port } = await relaying(t, "tls://127.0.0.1:0", `tcp://127.0.0.1:${portOf(server)}`, ...serverArgs);
  const args = ["--silent", "--show-error", "--max-time", "20", "--noproxy", "*", `https://127.0.0.1:${port}/`];
  const body = await runPeer(t, "curl", ["--cacert", certFile, ...args], "", "latin1");
  assert.ok(body.length === 3_000_000 && isPattern(Buffer.from(body, "latin1"), 7));
  const distrustful = new Program(t, "curl", args); // does not know who has signed
  await once(distrustful.child, "close");
  await command.says(/tls:\/\/127\.0\.0\.1:0: TLS with \S+ did not come about: .*unknown ca/);
  const report = await reported(command);
  assert.deepEqual([report["connections"], report["failures"]], [1, 1]);
});

test(
  "plain text to a TLS listener, and a handshake that is never begun, are in nobody's way",
  { skip: noCertificate },
  async (t) => {
    const target = await listen(t, (socket) => void socket.on("error", () => {}).pipe(socket));
    const { command, port } = await relaying(t, "tls://:0", `tcp://127.0.0.1:${target}`, ...serverArgs);
    const silent = await connect(t, port);
    const plain = await connect(t, port);
    plain.resume().write("GET / HTTP/1.0\r\n\r\n");
    await once(plain, "close");
    await command.says(/TLS with 127\.0\.0\.1:\d+ did not come about: http request \(ERR_SSL_HTTP_REQUEST\)\n/);
    const good = await connectTls(t, port);
    good.write("hello");
    assert.equal(String((await once(good, "data"))[0]), "hello");
    const bothClosed = Promise.all([closed(good), closed(silent)]);
    good.end();
    const report = await reported(command);
    await bothClosed;
    assert.deepEqual([report["connections"], report["failures"]], [1, 1]);
    assert.equal(command.stderr.match(/did not come about/g)?.length, 1, command.stderr);
  },
);

test("a target that is not who it should be is given no byte", { skip: noCertificate }, async (t) => {
  let bytes = 0;
  const count = (chunk: Buffer): void => void (bytes += chunk.length);
  const target = await listenTls(t, (socket) => void socket.on("error", () => {}).on("data", count));
  const cases: readonly (readonly [answer: RegExp, ...args: string[]])[] = [
    [/: self-signed certificate.* \(DEPTH_ZERO_SELF_SIGNED_CERT\)\n/],
    [
      /: Hostname\/IP does not match .* \(ERR_TLS_CERT_ALTNAME_INVALID\)\n/,
      "--cacert",
      certFile,
      "--servername",
      "example.org",
    ],
  ];
  for (const [answer, ...args] of cases) {
    const { command, port } = await relaying(t, "tcp://:0", `tls://127.0.0.1:${target}`, ...args);
    const client = await connect(t, port);
    client.write("a secret");
    await closed(client);
    await command.says(
      new RegExp(`127\\.0\\.0\\.1:\\d+: cannot connect to tls://127\\.0\\.0\\.1:${target}${answer.source}`),
    );
    assert.deepEqual([(await reported(command))["failures"], bytes], [1, 0]);
  }
  const { command, port } = await relaying(t, "tcp://:0", `tls://127.0.0.1:${target}`, "--insecure");
  (await connect(t, port)).end("no secret");
  await until(() => bytes === 9, "taken by anybody, as was asked for");
  command.child.kill("SIGINT");
  await command.ended;
});

test(
  "a target that speaks no TLS, one that hangs up in the handshake, and none at all: a line each",
  { skip: noCertificate },
  async (t) => {
    const talker = await listen(t, (socket) => void socket.on("error", () => {}).end("220 mail.example.org\r\n"));
    const closer = await listen(t, (socket) => void socket.on("error", () => {}).once("data", () => socket.destroy()));
    const free = net.createServer().listen(0, "127.0.0.1");
    await once(free, "listening");
    const nobody = portOf(free);
    free.close();
    for (const [target, answer] of [
      [talker, /\(ERR_SSL_\w+\)/],
      [closer, /\(ECONNRESET\)/],
      [nobody, /connection refused \(ECONNREFUSED\)/],
    ] as const) {
      const { command, port } = await relaying(t, "tcp://:0", `tls://127.0.0.1:${target}`);
      const client = await connect(t, port);
      await closed(client);
      await command.says(new RegExp(`: cannot connect to tls://127\\.0\\.0\\.1:${target}: .*${answer.source}\n`));
      assert.equal((await reported(command))["failures"], 1);
    }
  },
);

test("a target that never answers the handshake is given up after a while", { skip: noCertificate }, async (t) => {
  const silent = await listen(t, (socket) => void socket.on("error", () => {}));
  const socket = parseTarget(`tls://127.0.0.1:${silent}`, {}).connect();
  assert.equal(socket.timeout, 120_000);
  const failed = once(socket, "close").catch(String);
  socket.emit("timeout"); // as it does by itself, then
  assert.match(String(await failed), /the TLS handshake took too long/);
  const talking = await listenTls(t, (one) => void one.on("error", () => {}));
  const reached = parseTarget(`tls://127.0.0.1:${talking}`, { cacert: certFile }).connect();
  await once(reached, "secureConnect");
  assert.equal(reached.timeout, 0, "from then on it may be idle");
  reached.destroy();
});

test(
  "a reset on one side is a reset on the other, which no peer takes for an end",
  { skip: noCertificate },
  async (t) => {
    const resetting = await listen(t, (socket) => {
      socket.on("error", () => {}).write("some of it");
      socket.once("data", () => socket.resetAndDestroy());
    });
    const first = await relaying(t, "tls://:0", `tcp://127.0.0.1:${resetting}`, ...serverArgs);
    const client = await connectTls(t, first.port);
    const told = once(client, "error");
    client.on("end", () => assert.fail("an end")).once("data", () => client.write("and now"));
    assert.equal(((await told)[0] as NodeJS.ErrnoException).code, "ECONNRESET"); // a socket emits nothing else
    await first.command.says(/: cut after 7 bytes up, 10 down: ECONNRESET\n/);
    assert.equal((await reported(first.command))["failures"], 1);

    let how = "";
    const target = await listenTls(t, (socket) => {
      socket.on("error", (error: NodeJS.ErrnoException) => (how = error.code ?? "")).on("end", () => (how = "end"));
      socket.resume().write("hello");
    });
    const second = await relaying(t, "tcp://:0", `tls://127.0.0.1:${target}`, "--cacert", certFile);
    const plain = await connect(t, second.port);
    plain.write("some of it");
    await once(plain, "data");
    plain.resetAndDestroy();
    await second.command.says(/: cut after 10 bytes up, 5 down: ECONNRESET\n/);
    await until(() => how !== "", "the target is told");
    assert.equal(how, "ECONNRESET");
    assert.equal((await reported(second.command))["failures"], 1);
  },
);

test(
  "what makes no sense with TLS is said in one line, with exit code 2; what cannot be read with 1",
  { skip: noCertificate },
  async (t) => {
    const cases: readonly (readonly [code: number, text: RegExp, ...args: string[]])[] = [
      [2, /^jumbo: tls:\/\/:0 needs --cert FILE and --key FILE/, "tls://:0", "tcp://:1"],
      [2, /^jumbo: --cert and --key are for listening on tls:\/\//, "tcp://:0", "tls://:1", ...serverArgs],
      [2, /^jumbo: --cacert, --servername and --insecure are for connecting/, "tcp://:0", "tcp://:1", "--insecure"],
      [2, /^jumbo: --insecure says that no certificate is checked/, "tcp://:0", "tls://:1", "-k", "--cacert", certFile],
      [2, /^jumbo: --servername 127\.0\.0\.1 is an address/, "tcp://:0", "tls://:1", "--servername", "127.0.0.1"],
      [2, /^jumbo: --engine splice cannot be had with tls/, "tcp://:0", "tls://:1", "--engine", "splice"],
      [1, /^jumbo: cannot read --cacert \/no\/such: no such file/, "tcp://:0", "tls://:1", "--cacert", "/no/such"],
      [1, /^jumbo: --cacert \S+ holds no certificate/, "tcp://:0", "tls://:1", "--cacert", keyFile],
    ];
    for (const [code, text, ...args] of cases) {
      const ended = await run(t, "relay", ...args);
      assert.match(ended.stderr, text);
      assert.deepEqual([ended.code, ended.stdout], [code, ""], ended.stderr);
    }
  },
);
