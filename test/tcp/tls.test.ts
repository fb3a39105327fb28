/**
 * Shows: TLS on either side delivers the decrypted bytes, with both engines: client armed before the handshake and after it,
 * server sockets, back-pressure, exhaustion (TLS delivers what it has decrypted even after a stop), and the end in its place.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import tls from "node:tls";
import { receive } from "../../src/tcp/index.ts";
import type { Mbuf } from "../../src/tcp/index.ts";
import { poolFor, until } from "../support/at-rest.ts";
import { makeCertificate } from "../support/certificate.ts";
import { isPattern, pattern } from "../support/pattern.ts";
import { ENGINES } from "../support/sockets.ts";

const certificate = makeCertificate();
const skip = "reason" in certificate ? certificate.reason : false;
const pem = "reason" in certificate ? {} : certificate;

async function listenTls(t: TestContext, onConnection: (socket: tls.TLSSocket) => void): Promise<number> {
  const server = tls.createServer(pem, onConnection);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => void server.close());
  return (server.address() as AddressInfo).port;
}

function connectTls(t: TestContext, port: number): tls.TLSSocket {
  const socket = tls.connect({ port, host: "127.0.0.1", rejectUnauthorized: false });
  t.after(() => socket.destroy());
  return socket;
}

for (const engine of ENGINES) {
  test(`${engine}: a server socket receives 5 MB`, { skip }, async (t) => {
    const pool = poolFor(t, { pageSizeBytes: 16_384, pagesMax: 256 });
    let offset = 0;
    let end = (): void => {};
    const ended = new Promise<void>((resolve) => (end = resolve));
    const port = await listenTls(t, (socket) => {
      const receiver = receive(socket, { pool, engine }, (m) => {
        assert.ok(isPattern(m.bytes, offset));
        offset += m.length;
      });
      assert.equal(receiver.stats().engine, engine);
      socket.on("end", end);
    });
    connectTls(t, port).end(pattern(0, 5_000_000));
    await ended;
    assert.equal(offset, 5_000_000);
  });

  for (const when of ["before the handshake", "after it"]) {
    test(`${engine}: a client armed ${when}`, { skip }, async (t) => {
      const pool = poolFor(t);
      const port = await listenTls(t, (socket) => void socket.end(pattern(0, 1_000_000)));
      const socket = connectTls(t, port);
      if (when === "after it") await once(socket, "secureConnect");
      let offset = 0;
      for await (const m of receive(socket, { pool, engine })) {
        assert.ok(isPattern(m.bytes, offset));
        offset += m.length;
      }
      assert.equal(offset, 1_000_000);
    });
  }

  test(`${engine}: a slow consumer gets everything before 'end'`, { skip }, async (t) => {
    const pool = poolFor(t);
    const port = await listenTls(t, (socket) => void socket.end(pattern(0, 300_000)));
    const socket = connectTls(t, port);
    let taken = 0;
    const receiver = receive(socket, { pool, engine }, async (m) => {
      taken += m.length;
      await delay(0);
    });
    await once(socket, "end");
    assert.equal(taken + receiver.stats().bytesQueued, 300_000);
    assert.equal(receiver.stats().bytesQueued, 0);
  });

  test(
    `${engine}: every page held: what TLS had decrypted already is kept, nothing is overwritten or lost`,
    { skip },
    async (t) => {
      const pool = poolFor(t, { pagesMax: 8, audit: false });
      const port = await listenTls(t, (socket) => void socket.end(pattern(0, 1_000_000)));
      const socket = connectTls(t, port);
      const held: { mbuf: Mbuf; offset: number }[] = [];
      let offset = 0;
      receive(socket, { pool, engine }, (m) => {
        held.push({ mbuf: m.hold(), offset });
        offset += m.length;
      });
      await until(() => pool.isUnderPressure, "exhausted");
      const isDone = (): boolean => offset === 1_000_000;
      while (!isDone()) {
        await delay(1);
        for (const { mbuf, offset: at } of held) assert.ok(isPattern(mbuf.bytes, at));
        for (const { mbuf } of held.splice(0)) mbuf.release();
      }
      for (const { mbuf } of held) mbuf.release();
    },
  );
}
