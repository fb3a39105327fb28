import { createServer } from "node:net";
import type { Server, Socket } from "node:net";
import { formatHostPort, listenFailure, parseHostPort } from "./host-port.ts";
import type { HostPort } from "./host-port.ts";
import { listenWith } from "./listening.ts";
import type { Listen, ListenContext, Listening } from "./listening.ts";

/** `tcp://host:port` */
export function parseTcp(url: string, rest: string): Listen {
  const where = parseHostPort(url, rest);
  return (context) => {
    const server = createServer((socket) => context.onSocket(socket, peerOf(socket)));
    return listenOn("tcp", server, where, url, context);
  };
}

/** For every scheme over TCP. Rejects with a Failure. */
export async function listenOn(
  scheme: string,
  server: Server,
  where: HostPort,
  url: string,
  context: ListenContext,
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
