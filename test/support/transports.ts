/** TCP and TLS on loopback behind one face, for laws that must hold with both. */
import { once } from "node:events";
import net from "node:net";
import type { TestContext } from "node:test";
import tls from "node:tls";
import { makeCertificate } from "./certificate.ts";
import { portOf } from "./sockets.ts";

export type Transport = "tcp" | "tls";

const certificate = makeCertificate();

/** Why there is no TLS here; false when there is. */
export const noTls: string | false = "reason" in certificate ? certificate.reason : false;

/** The certificate of {@link createServer}, as `node:tls` takes it. */
export const pem: { readonly key?: string; readonly cert?: string } = "reason" in certificate ? {} : certificate;

/** For the options of a test over `transport`. */
export function skipFor(transport: Transport): string | false {
  return transport === "tls" ? noTls : false;
}

export function createServer(transport: Transport, onConnection: (socket: net.Socket) => void): net.Server {
  if (transport === "tcp") return net.createServer(onConnection);
  return tls.createServer(pem, onConnection).on("tlsClientError", () => {}); // a client may give up in the handshake
}

export function dial(transport: Transport, port: number): net.Socket {
  if (transport === "tcp") return net.connect({ port, host: "127.0.0.1" });
  return tls.connect({ port, host: "127.0.0.1", rejectUnauthorized: false });
}

/** A listening server, closed after the test with every connection it had. Returns the port. */
export async function listenOn(
  t: TestContext,
  transport: Transport,
  onConnection: (socket: net.Socket) => void,
): Promise<number> {
  const sockets = new Set<net.Socket>();
  const server = createServer(transport, (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    onConnection(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, "close");
  });
  return portOf(server);
}

/** A connection to `port`, destroyed after the test. */
export function connectOn(t: TestContext, transport: Transport, port: number): net.Socket {
  const socket = dial(transport, port);
  t.after(() => socket.destroy());
  return socket;
}
