/** Shows: every form of URL that the help promises is understood, and every other is answered with what to write instead. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Failure } from "../../src/cli/failure.ts";
import { parseHostPort } from "../../src/cli/host-port.ts";
import { parseUrl } from "../../src/cli/schemes.ts";

const hosts: readonly (readonly [rest: string, host: string, port: number])[] = [
  ["127.0.0.1:9000", "127.0.0.1", 9000],
  ["127.0.0.1:9000/", "127.0.0.1", 9000],
  ["localhost:0", "localhost", 0],
  ["[::1]:9000", "::1", 9000],
  ["[fe80::1%eth0]:9000", "fe80::1%eth0", 9000],
  [":9000", "127.0.0.1", 9000],
  ["9000", "127.0.0.1", 9000],
  ["0.0.0.0:65535", "0.0.0.0", 65_535],
];
for (const [rest, host, port] of hosts) {
  test(`tcp://${rest} is port ${port} of ${host}`, () => {
    assert.deepEqual(parseHostPort(`tcp://${rest}`, rest), { host, port });
  });
}

test("schemes are known in any case", () => {
  for (const url of [
    "tcp://:1",
    "TCP://:1",
    "tls://:1",
    "unix:///tmp/x",
    "unix:///tmp/a%20b",
    "udp://:1",
    "UDP://[::1]:1",
  ])
    assert.equal(typeof parseUrl(url), "function");
});

const wrong: readonly (readonly [url: string, answer: RegExp])[] = [
  ["9000", /9000 is no URL: write tcp:\/\/9000$/],
  ["localhost:9000", /is no URL: write tcp:\/\/localhost:9000$/],
  ["/tmp/x", /is no URL: write unix:\/\/\/tmp\/x$/],
  ["tcp:host:1", /is no URL: write tcp:\/\/host:1$/],
  ["tcp:/host:1", /is no URL: write tcp:\/\/host:1$/],
  ["", /is no URL: write tcp:\/\/127\.0\.0\.1:9000$/],
  ["tcp://localhost", /the port is missing; write tcp:\/\/localhost:9000$/],
  ["tls://localhost/", /the port is missing; write tls:\/\/localhost:9000$/],
  ["tcp://::1:9000", /an IPv6 address goes in brackets/],
  ["tcp://127.0.0.1:9000/file", /nothing comes after the port$/],
  ["tcp://127.0.0.1:9000?x", /nothing comes after the port$/],
  ["tcp://me@127.0.0.1:9000", /there is no user here/],
  ["tcp://", /is not tcp:\/\/host:port/],
  ["tcp://host:http", /is not tcp:\/\/host:port/],
  ["tcp://127.0.0.1:65536", /there is no port 65536/],
  ["udp://localhost", /the port is missing; write udp:\/\/localhost:9000$/],
  ["udp://::1:9000", /an IPv6 address goes in brackets: udp:/],
  [
    "upd://:1",
    /nothing is known of upd:\/\/ \(did you mean udp\?\); there are tcp:\/\/, tls:\/\/, unix:\/\/, udp:\/\/$/,
  ],
  ["http://localhost", /nothing is known of http:\/\/; there are/],
  ["unix://relative", /is not unix:\/\/\/path: three slashes/],
  ["unix:///tmp/", /is not unix:\/\/\/path/],
  [`unix:///${"x".repeat(107)}`, /at most 107 bytes/],
  ["unix:///tmp/%zz", /hexadecimal digits/],
  ["unix:///tmp/%00", /hexadecimal digits/],
];
for (const [url, answer] of wrong) {
  test(`${url.slice(0, 30)} is answered with what to write`, () => {
    assert.throws(
      () => parseUrl(url),
      (error) => error instanceof Failure && error.exitCode === 2 && answer.test(error.message),
    );
  });
}
