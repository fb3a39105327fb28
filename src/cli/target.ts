import type { Socket } from "node:net";

/** Somewhere to connect to, any number of times. */
export type Target = {
  /** For messages. */
  readonly url: string;
  /** What a socket of {@link connect} says when it has been reached: before that its errors are reasons why it cannot be. */
  readonly readyEvent: "connect" | "secureConnect";
  /** Half-open: its end ends the other direction only. */
  connect(): Socket;
};

/** What `tls://` needs to know to connect, as the command line gives it. */
export type TargetOptions = {
  readonly cacert?: string;
  readonly servername?: string;
  readonly insecure?: boolean;
};

/** Understands `url`, of which `rest` is what follows the `scheme://`. @throws Failure */
export type ParseTarget = (url: string, rest: string, options: TargetOptions) => Target;
