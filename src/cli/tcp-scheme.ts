import { connect, createServer } from "node:net";
import type { Server, Socket } from "node:net";
import { formatHostPort, listenFailure, parseHostPort } from "./host-port.ts";
import type { HostPort } from "./host-port.ts";
import { listenWith } from "./listening.ts";
import type { ConnectionContext, Listen, Listening } from "./listening.ts";
import type { Target } from "./target.ts";

/** `tcp://host:port` */
export function parseTcp(url: string, rest: string): Listen<ConnectionContext> {
  const where = parseHostPort(url, rest);
  return (context) => {
    const server = createServer(context.socketOptions, (socket) => context.onSocket(socket, peerOf(socket)));
    return listenOn("tcp", server, where, url, context);
  };
}

/** `tcp://host:port`, to connect to. */
export function parseTcpTarget(url: string, rest: string): Target {
  const where = parseHostPort(url, rest);
  return {
    url: `tcp://${formatHostPort(where)}`,
    readyEvent: "connect",
    connect: () => connect({ ...where, noDelay: true, allowHalfOpen: true }),
  };
}

/** For every scheme over TCP. Rejects with a Failure. */
export async function listenOn(
  scheme: string,
  server: Server,
  where: HostPort,
  url: string,
  context: ConnectionContext,
): Promise<Listening> {
  try {
    return await listenWith(server, where, () => urlOf(scheme, server, where), context);
  } catch (error) {
    throw listenFailure(url, where, error);
  }
}

/** Who is at the other end: `127.0.0.1:41234`. */
export function peerOf({ remoteAddress = "somebody", remotePort = 0 }: Socket): string {
  return formatHostPort({ host: remoteAddress, port: remotePort });
}

function urlOf(scheme: string, server: Server, where: HostPort): string {
  const address = server.address();
  const isBound = address !== null && typeof address !== "string";
  return `${scheme}://${formatHostPort(isBound ? { host: address.address, port: address.port } : where)}`;
}
