/** Pages from one pool, filled by the kernel, given back when the last holder lets go. */
export { JumboPool } from "./pool/pool.ts";
export type { PoolOptions } from "./pool/options.ts";
export type { PoolStats } from "./pool/stats.ts";
export type { AuditFinding, AuditOptions, PageHolder } from "./pool/audit.ts";
export type { Page } from "./pool/page.ts";
export type { StolenPage } from "./pool/stolen-page.ts";
export { JumboError } from "./errors.ts";
export type { JumboErrorCode } from "./errors.ts";
export { InvariantError } from "./invariant.ts";
