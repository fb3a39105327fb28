import { AsyncResource } from "node:async_hooks";
import dgram from "node:dgram";
import type { RemoteInfo, SocketOptions, SocketType } from "node:dgram";
import { accelerateIn, accelerateSettings, onNodesPath } from "./acceleration.ts";
import type { AccelerateOptions, Acceleration, DgramStats } from "./acceleration.ts";

/** Node's, and what is our own. */
export type Options = SocketOptions & AccelerateOptions;
export type MessageListener = (message: Buffer<ArrayBuffer>, rinfo: RemoteInfo) => void;

/** `node:dgram` declares its class without the arguments that its constructor takes. */
const NodeSocket = dgram.Socket as new (type: SocketType | SocketOptions, listener?: MessageListener) => dgram.Socket;

/**
 * A socket of `node:dgram` that receives in batches from the moment it is bound.
 *
 * It is Node's own socket in everything but how bytes come from the kernel: see {@link accelerate}.
 */
export class Socket extends NodeSocket {
  #acceleration: Acceleration | null = null;

  /** As `new dgram.Socket`; use {@link createSocket}. @throws JumboError `ERR_JUMBO_OPTION_INVALID` for an option of our own */
  constructor(type: SocketType | Options, listener?: MessageListener) {
    const settings = accelerateSettings(typeof type === "object" ? (type ?? {}) : {}); // before there is anything to close
    super(type, listener);
    const context = new AsyncResource("JUMBO_DGRAM"); // 'message' is emitted in the context in which the socket was made, as Node does it
    // Not by a listener, which everybody could see, and remove: an `emit` of its own until it is bound.
    const emit = (name: string, ...values: unknown[]): boolean => {
      if (name === "listening" && this.#acceleration === null) {
        // Not what somebody else has put over it since.
        if (Object.getOwnPropertyDescriptor(this, "emit")?.value === emit) Reflect.deleteProperty(this, "emit");
        this.#acceleration = accelerateIn(context, this, settings);
      }
      // Of the class it is of, which may be one's own: so not `super`. An emitter's method, whatever its arguments.
      const inherited = Reflect.get(Object.getPrototypeOf(this) as object, "emit") as (...values: unknown[]) => boolean;
      return Reflect.apply(inherited, this, [name, ...values]);
    };
    Object.defineProperty(this, "emit", { value: emit, configurable: true, writable: true });
  }

  /** What was received so far, and how. Before it is bound: nothing, by nobody. */
  stats(): DgramStats {
    return (this.#acceleration ?? NOT_BOUND).stats();
  }
}

const NOT_BOUND: Acceleration = onNodesPath("the socket is not bound");

/** As `dgram.createSocket`: the same arguments, the same errors; and `ERR_JUMBO_OPTION_INVALID` for an option of our own. */
export function createSocket(type: SocketType | Options, listener?: MessageListener): Socket {
  return new Socket(type, listener);
}
