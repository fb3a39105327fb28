import { once } from "node:events";
import net from "node:net";
import type { TestContext } from "node:test";
import type { TcpEngine } from "../../src/tcp/index.ts";

/** Both engines must pass the same tests. */
export const ENGINES: readonly TcpEngine[] = ["onread", "data"];

/** A listening server on loopback, closed after the test with every connection it had. Returns the port. */
export async function listen(
  t: TestContext,
  onConnection: (socket: net.Socket) => void,
  options: net.ServerOpts = {},
): Promise<number> {
  const server = net.createServer(options, onConnection);
  const sockets = new Set<net.Socket>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
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

export function portOf(server: net.Server): number {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return address.port;
}

/** A connection to `port`, destroyed after the test. */
export function connect(t: TestContext, port: number, options: Partial<net.TcpNetConnectOpts> = {}): net.Socket {
  const socket = net.connect({ port, host: "127.0.0.1", ...options });
  t.after(() => socket.destroy());
  return socket;
}

/** Two ends of one connection: `near` is what the test receives on, before any byte has arrived. */
export async function socketPair(
  t: TestContext,
  arm: (near: net.Socket) => void,
  options: net.ServerOpts = {},
): Promise<{ near: net.Socket; far: net.Socket }> {
  const accepted = new Promise<net.Socket>((resolve) => {
    void listen(
      t,
      (near) => {
        arm(near);
        resolve(near);
      },
      options,
    ).then((port) => (pending.far = connect(t, port)));
  });
  const pending: { far?: net.Socket } = {};
  const near = await accepted;
  const { far } = pending;
  if (far === undefined) throw new Error("a connection is accepted after it was made");
  return { near, far };
}

/** Writes all of `bytes`, resolves when the system has taken them. */
export function write(socket: net.Socket, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => socket.write(bytes, (error) => (error ? reject(error) : resolve())));
}
