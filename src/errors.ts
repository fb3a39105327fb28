/**
 * Every error a caller can cause, by its stable code. `docs/errors.md` says for each what caused it,
 * what state things are in afterwards, and what to do.
 */
export type JumboErrorCode =
  | "ERR_JUMBO_ADDRESS_INVALID"
  | "ERR_JUMBO_CHAIN_RANGE"
  | "ERR_JUMBO_CHAIN_RELEASED"
  | "ERR_JUMBO_HOLD_MAX"
  | "ERR_JUMBO_MBUF_RELEASED"
  | "ERR_JUMBO_NOT_INITIALIZED"
  | "ERR_JUMBO_OPTION_INVALID"
  | "ERR_JUMBO_PAGES_OUT"
  | "ERR_JUMBO_PAGE_FOREIGN"
  | "ERR_JUMBO_PAGE_RELEASED"
  | "ERR_JUMBO_PAGE_SHARED"
  | "ERR_JUMBO_POOL_CLOSED"
  | "ERR_JUMBO_RECEIVER_ACTIVE"
  | "ERR_JUMBO_RECEIVER_MODE"
  | "ERR_JUMBO_SOCKET_INVALID"
  | "ERR_JUMBO_STOLEN_MAX"
  | "ERR_JUMBO_TARGET_LOST"
  | "ERR_JUMBO_VARINT_INVALID"
  | "ERR_JUMBO_WAITERS_MAX";

/**
 * The caller's mistake, refused with nothing changed.
 *
 * Expected conditions (no page, no message) are never a `JumboError`: they are `null` or a wait.
 */
export class JumboError extends Error {
  override readonly name: string = "JumboError";
  /** Stable across releases; compare this, not the message. */
  readonly code: JumboErrorCode;

  constructor(code: JumboErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
