import { readFileSync } from "node:fs";
import { createServer } from "node:tls";
import type { TLSSocket } from "node:tls";
import { reasonOf, runtimeFailure, usageFailure } from "./failure.ts";
import { parseHostPort } from "./host-port.ts";
import type { Listen, ListenContext } from "./listening.ts";
import { listenOn, peerOf } from "./tcp-scheme.ts";

const SELF_SIGNED =
  "openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost -keyout key.pem -out cert.pem";

/** `tls://host:port`: TCP whose senders speak TLS. It is known before anything is opened whether the certificate is any good. */
export function parseTls(url: string, rest: string): Listen {
  const where = parseHostPort(url, rest);
  return (context) => {
    const server = serverWith(url, context);
    server.on("secureConnection", (socket) => context.onSocket(socket, peerOf(socket)));
    server.on("tlsClientError", (error, socket) => context.onRefused(`${url}: ${refusal(socket, error)}`));
    return listenOn("tls", server, where, url, context);
  };
}

function serverWith(url: string, { certFile, keyFile }: ListenContext): ReturnType<typeof createServer> {
  if (certFile === undefined || keyFile === undefined) {
    throw usageFailure(`${url} needs --cert FILE and --key FILE; a pair to try it with: ${SELF_SIGNED}`);
  }
  const cert = read("--cert", certFile);
  const key = read("--key", keyFile);
  try {
    return createServer({ cert, key });
  } catch (error) {
    throw runtimeFailure(
      `--cert ${certFile} and --key ${keyFile} cannot be used: ${reasonOf(error)}; both are PEM files without a passphrase, made together`,
      error,
    );
  }
}

function read(option: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw runtimeFailure(`cannot read ${option} ${file}: ${reasonOf(error)}`, error);
  }
}

function refusal(socket: TLSSocket, error: Error): string {
  const who = socket.remoteAddress === undefined ? "somebody" : peerOf(socket);
  return `TLS with ${who} did not come about: ${reasonOf(error)}`;
}
