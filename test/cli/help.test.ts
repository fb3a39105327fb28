/**
 * Shows: the help of the command and of each of its commands names every option and has examples; the version is the package's;
 * a mistyped command, option, scheme or engine is answered with one line that suggests the right one, and exit code 2.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { MAIN, run } from "./command.ts";

test("--version is that of the package", async (t) => {
  const { code, stdout } = await run(t, "--version");
  const manifest = JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8")) as {
    version: string;
  }; // checked by npm
  assert.deepEqual({ code, stdout }, { code: 0, stdout: `${manifest.version}\n` });
});

test("--help lists the commands, and has examples", async (t) => {
  for (const args of [["--help"], ["-h"], ["help"]]) {
    const { code, stdout, stderr } = await run(t, ...args);
    assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
    for (const expected of [/recv/, /Without a command/, /Examples:/, /socat -u FILE:/]) assert.match(stdout, expected);
  }
});

test("recv --help names every option, every scheme, what is decided where, the exit codes, and has examples", async (t) => {
  for (const args of [
    ["recv", "--help"],
    ["help", "recv"],
  ]) {
    const { code, stdout } = await run(t, ...args);
    assert.equal(code, 0);
    const options = [
      "-o, --output",
      "--page-size",
      "--pages",
      "--once",
      "--duration",
      "--json",
      "--engine",
      "--cert",
      "--key",
    ];
    for (const text of [
      ...options,
      "tcp://",
      "tls://",
      "unix:///",
      "FOLDER/",
      "One connection after the other",
      "Exit codes",
    ]) {
      assert.ok(stdout.includes(text), `${text} is in the help`);
    }
    assert.match(stdout, /Examples:\n {2}jumbo recv/);
  }
});

test("help that is cut short by its reader is no error", async () => {
  const child = spawn("sh", ["-c", `"${process.execPath}" "${MAIN}" recv --help | head -n 1`], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  await once(child, "close");
  assert.equal(stderr, "");
});

const mistyped: readonly (readonly [args: string[], answer: RegExp])[] = [
  [["rcev"], /no command rcev \(did you mean recv\?\)/],
  [["frobnicate"], /no command frobnicate; jumbo --help/],
  [["tcp://127.0.0.1:9000"], /did you mean jumbo recv tcp:\/\/127\.0\.0\.1:9000\?/],
  [["--versoin"], /unknown option '--versoin' \(Did you mean --version\?\)/],
  [["recv", "tcp://:0", "--onec"], /unknown option '--onec' \(Did you mean --once\?\); see jumbo recv --help/],
  [
    ["recv", "tsl://:0"],
    /nothing is known of tsl:\/\/ \(did you mean tls\?\); there are tcp:\/\/, tls:\/\/, unix:\/\/, udp:\/\/$/m,
  ],
  [
    ["recv", "tcp://:0", "--engine", "onraed"],
    /no engine onraed \(did you mean onread\?\); --engine takes auto, onread, data, recvmmsg, dgram$/m,
  ],
  [["recv", "udp://:0", "--engine", "recvmsg"], /no engine recvmsg \(did you mean recvmmsg\?\)/],
  [
    ["recv", "udp://:0", "-o", "-", "--framing", "pacp"],
    /no framing pacp \(did you mean pcap\?\); --framing takes raw, lines, pcap$/m,
  ],
  [["recv", "tcp://:0", "--engine", "io_uring"], /no engine io_uring; --engine takes auto, onread, data/],
];
for (const [args, answer] of mistyped) {
  test(`jumbo ${args.join(" ")}`, async (t) => {
    const { code, stdout, stderr } = await run(t, ...args);
    assert.match(stderr, answer);
    assert.match(stderr, /^jumbo: [^\n]*\n$/, "one line");
    assert.deepEqual({ code, stdout }, { code: 2, stdout: "" });
  });
}
