import { existsSync } from "node:fs";
import { lstat, unlink } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { dirname } from "node:path";
import { codeOf, reasonOf, runtimeFailure, usageFailure } from "./failure.ts";
import { listenWith } from "./listening.ts";
import type { ConnectionContext, Listen, Listening } from "./listening.ts";
import type { Target } from "./target.ts";

/** `sun_path` on Linux without its final zero; what is longer is cut off by some systems and refused by others. */
const PATH_BYTES_MAX = 107;
const PROBE_MS_MAX = 2_000;

/** `unix:///path/to/socket` */
export function parseUnix(url: string, rest: string): Listen<ConnectionContext> {
  const path = parsePath(url, rest);
  return (context) => listenAt(path, url, context);
}

/** `unix:///path/to/socket`, to connect to. */
export function parseUnixTarget(url: string, rest: string): Target {
  const path = parsePath(url, rest);
  return { url, readyEvent: "connect", connect: () => connect({ path, allowHalfOpen: true }) };
}

function parsePath(url: string, rest: string): string {
  if (!rest.startsWith("/") || rest.endsWith("/")) {
    throw usageFailure(`${url} is not unix:///path: three slashes, and the whole path of the socket`);
  }
  const path = decoded(url, rest);
  if (Buffer.byteLength(path) > PATH_BYTES_MAX) {
    throw usageFailure(`${url}: a Unix socket's path has at most ${PATH_BYTES_MAX} bytes; choose a shorter one`);
  }
  return path;
}

function decoded(url: string, rest: string): string {
  try {
    const path = decodeURIComponent(rest);
    if (!path.includes("\0")) return path;
  } catch {} // said below
  throw usageFailure(
    `${url}: a % in a URL is followed by two hexadecimal digits, and not by 00; write %25 for a % itself`,
  );
}

async function listenAt(path: string, url: string, context: ConnectionContext): Promise<Listening> {
  try {
    return await tryListen(path, url, context);
  } catch (error) {
    if (codeOf(error) !== "EADDRINUSE") throw failureAt(path, url, error);
  }
  await removeStale(path, url);
  context.notice(`${path} was left behind by a process that is gone: removed`);
  return tryListen(path, url, context).catch((error: unknown) => {
    throw failureAt(path, url, error);
  });
}

function tryListen(path: string, url: string, context: ConnectionContext): Promise<Listening> {
  let count = 0;
  const server = createServer(context.socketOptions, (socket) =>
    context.onSocket(socket, `unix connection ${++count}`),
  );
  return listenWith(server, { path }, () => url, context);
}

/** A socket file that nobody listens on any more is removed. Anything else stays. */
async function removeStale(path: string, url: string): Promise<void> {
  const isSocket = await lstat(path).then(
    (stats) => stats.isSocket(),
    () => false,
  );
  if (!isSocket) throw runtimeFailure(`${url}: ${path} exists and is no socket; choose another path, or remove it`);
  if (await isAnswered(path)) {
    throw runtimeFailure(`${url}: another program listens there; choose another path, or stop it`);
  }
  await unlink(path).catch((error: unknown) => {
    throw failureAt(path, url, error);
  });
}

/** Only a refused connection proves that nobody is there. */
function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path, timeout: PROBE_MS_MAX });
    const answer = (isThere: boolean): void => {
      socket.destroy();
      resolve(isThere);
    };
    socket.on("connect", () => answer(true));
    socket.on("timeout", () => answer(true));
    socket.on("error", (error) => answer(codeOf(error) !== "ECONNREFUSED"));
  });
}

function failureAt(path: string, url: string, error: unknown): Error {
  // Node says EACCES for a folder that is missing, too.
  if (!existsSync(dirname(path))) return runtimeFailure(`${url}: there is no folder for ${path}; make it first`, error);
  return runtimeFailure(`cannot listen on ${url}: ${reasonOf(error)}`, error);
}
