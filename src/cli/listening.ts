import { once } from "node:events";
import type { ListenOptions, Server, ServerOpts, Socket } from "node:net";
import type { UdpReceiver } from "../udp/index.ts";
import type { BindDatagrams } from "./datagram-intake.ts";

/** What a scheme that brings connections needs from the command. */
export type ConnectionContext = {
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
  /** Of the sockets that connect. */
  readonly socketOptions: ServerOpts;
  /** Called in the server's own handler, before a byte is read. */
  readonly onSocket: (socket: Socket, peer: string) => void;
  /** Somebody could not be received from, before there was a connection: a TLS handshake that failed. */
  readonly onRefused: (text: string) => void;
  readonly notice: (text: string) => void;
};

/** What every scheme gets from a command that takes them all. */
export type ListenContext = ConnectionContext & {
  /** Receives what is sent to the socket that `bind` makes; `url` is for messages. */
  readonly receiveDatagrams: (url: string, bind: BindDatagrams) => Promise<UdpReceiver>;
};

/** Somewhere that senders connect to, or send to. */
export type Listening = {
  /** With the port that was chosen, when 0 was asked for. */
  readonly url: string;
  /** Accepts nobody any more; the connections there are stay. */
  stopAccepting(): void;
  /** Ends what is left, such as a handshake that was never finished. */
  end(): void;
};

/** A URL that was understood: starts to listen. */
export type Listen<Context = ListenContext> = (context: Context) => Promise<Listening>;

/** Starts `server`; `urlOf` is asked once it listens. Rejects with what the system says. */
export async function listenWith(
  server: Server,
  options: ListenOptions,
  urlOf: () => string,
  context: ConnectionContext,
): Promise<Listening> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  server.listen(options);
  await once(server, "listening");
  const url = urlOf();
  server.on("error", (error) => context.onRefused(`${url}: ${error.message}`)); // accepting failed: too many open files
  return {
    url,
    stopAccepting: () => void server.close(),
    end: () => sockets.forEach((socket) => socket.destroy()),
  };
}
