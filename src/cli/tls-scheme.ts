import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { connect, createSecureContext, createServer } from "node:tls";
import type { TLSSocket } from "node:tls";
import { reasonOf, runtimeFailure, usageFailure } from "./failure.ts";
import { formatHostPort, parseHostPort } from "./host-port.ts";
import type { ConnectionContext, Listen } from "./listening.ts";
import type { Target, TargetOptions } from "./target.ts";
import { listenOn, peerOf } from "./tcp-scheme.ts";

const SELF_SIGNED =
  "openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost -keyout key.pem -out cert.pem";

/** As long as Node gives those that connect to us. */
const HANDSHAKE_MS_MAX = 120_000;

/** `tls://host:port`: TCP whose senders speak TLS. It is known before anything is opened whether the certificate is any good. */
export function parseTls(url: string, rest: string): Listen<ConnectionContext> {
  const where = parseHostPort(url, rest);
  return (context) => {
    const server = serverWith(url, context);
    server.on("secureConnection", (socket) => context.onSocket(socket, peerOf(socket)));
    server.on("tlsClientError", (error, socket) => context.onRefused(`${url}: ${refusal(socket, error)}`));
    return listenOn("tls", server, where, url, context);
  };
}

/**
 * `tls://host:port`, to connect to. The certificate must be good, for the host in the URL or for `--servername`, unless the user has said otherwise.
 * @throws Failure
 */
export function parseTlsTarget(url: string, rest: string, options: TargetOptions): Target {
  const where = parseHostPort(url, rest);
  // A context for all connections: reading certificates takes longer than a handshake.
  const secureContext = createSecureContext(
    options.cacert === undefined ? {} : { ca: readAuthorities(options.cacert) },
  );
  const tlsOptions = {
    secureContext,
    rejectUnauthorized: options.insecure !== true,
    servername: options.servername ?? (isIP(where.host) === 0 ? where.host : ""), // RFC 6066: an address is no name
    allowHalfOpen: true,
  };
  return {
    url: `tls://${formatHostPort(where)}`,
    readyEvent: "secureConnect",
    connect: () => limited(connect({ ...where, ...tlsOptions }).setNoDelay()),
  };
}

/** Nobody else limits how long a target takes for its handshake. */
function limited(socket: TLSSocket): TLSSocket {
  socket.setTimeout(HANDSHAKE_MS_MAX, () => socket.destroy(new Error("the TLS handshake took too long")));
  return socket.once("secureConnect", () => socket.setTimeout(0));
}

/** One certificate at least, in a file of several perhaps: Node would take a file without any for no authorities. */
function readAuthorities(file: string): Buffer {
  const pem = read("--cacert", file);
  try {
    void new X509Certificate(pem);
    return pem;
  } catch (error) {
    throw runtimeFailure(`--cacert ${file} holds no certificate (PEM): ${reasonOf(error)}`, error);
  }
}

function serverWith(
  url: string,
  { certFile, keyFile, socketOptions }: ConnectionContext,
): ReturnType<typeof createServer> {
  if (certFile === undefined || keyFile === undefined) {
    throw usageFailure(`${url} needs --cert FILE and --key FILE; a pair to try it with: ${SELF_SIGNED}`);
  }
  const cert = read("--cert", certFile);
  const key = read("--key", keyFile);
  try {
    return createServer({ cert, key, ...socketOptions });
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
