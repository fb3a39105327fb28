import { JumboError } from "../index.ts";
import { bindUdp } from "../udp/index.ts";
import { usageFailure } from "./failure.ts";
import type { Failure } from "./failure.ts";
import { formatHostPort, listenFailure, parseHostPort } from "./host-port.ts";
import type { HostPort } from "./host-port.ts";
import type { Listen, ListenContext, Listening } from "./listening.ts";

/** Of the kernel: what comes while the output is busy waits there, and what finds no room is dropped. Linux gives no more than rmem_max. */
const BUFFER_BYTES = 4 * 2 ** 20;

/** `udp://host:port` */
export function parseUdp(url: string, rest: string): Listen {
  const where = parseHostPort(url, rest);
  return (context) => listenAt(where, url, context);
}

async function listenAt(where: HostPort, url: string, { receiveDatagrams }: ListenContext): Promise<Listening> {
  const socket = { address: where.host, port: where.port, recvBufferBytes: BUFFER_BYTES };
  const receiver = await receiveDatagrams(url, (options, onBatch) => bindUdp({ ...options, ...socket }, onBatch)).catch(
    (error: unknown) => {
      throw failureAt(where, url, error);
    },
  );
  const { address, port } = receiver.address();
  // Nobody connects, and the session closes the socket, as it does with those of connections.
  return { url: `udp://${formatHostPort({ host: address, port })}`, stopAccepting: () => {}, end: () => {} };
}

function failureAt(where: HostPort, url: string, error: unknown): Failure {
  if (error instanceof JumboError) return usageFailure(`${url}: --${error.message}`); // an engine that cannot be had
  return listenFailure(url, where, error);
}
