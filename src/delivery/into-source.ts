/** Names of the ways from a socket into memory of the caller's. */
export type IntoEngine = "recv" | "pages";

/** Where the bytes come from that `receiveInto()` puts into its targets. Internal. */
export type IntoSource = {
  readonly engine: IntoEngine;
  /**
   * Puts what there is to the front of `target`, as much as fits and has its turn. When that is less than all it goes on: it calls back
   * when there is more. How many bytes.
   */
  putInto(target: Uint8Array): number;
  /** Nobody waits for bytes until the next {@link putInto}: does not read on, does not call back, does not keep the process alive. */
  rest(): void;
  /** The socket has ended: what was read before can still be had. With an error: it cannot. */
  close(error: Error | null): void;
};
