import { checkedFlag as flag, checkedInteger as integer, optionInvalid as invalid } from "../option.ts";
import { ARENA_BYTES_MAX } from "../memory/arena.ts";
import type { AuditOptions } from "./audit.ts";

/** What `new JumboPool()` takes. Everything has a default; sizes are in pages, or in the unit the name ends with. */
export type PoolOptions = {
  /** 4096 (default), 16384 or 65536. Reading a fast TCP stream wants 65536: a read fills at most one page. */
  readonly pageSizeBytes?: number;
  /** The pool's own pages at most, free + in use: the bound on memory. Default 3072, jumbo(9)'s number. */
  readonly pagesMax?: number;
  /** Pages committed at once; the rest on demand. Idle trim never goes below. Default 16, or `pagesMax` if that is less. */
  readonly pagesInitial?: number;
  /** How many pages may be stolen at a time; they do not count against `pagesMax`. Default `pagesMax`, or what fits in 4 GiB. */
  readonly stolenMax?: number;
  /** Receivers stop reading when fewer than `lowPages` are available and go on from `highPages` up. Default 1/16 and 1/8 of `pagesMax`. */
  readonly watermarks?: { readonly lowPages?: number; readonly highPages?: number };
  /** How many callers may wait in `allocOrWait` at a time. Default 1024. */
  readonly waitersMax?: number;
  /** Pages are zeroed when they are released, so that no tenant sees another's bytes. Default false. */
  readonly zeroOnRelease?: boolean;
  /** Free pages that nobody needed for so long go back to the system, where it lets us; 0 never. Default 10 000. */
  readonly idleTrimMs?: number;
  /** Track holders, poison and check freed pages, report leaks. Default: `JUMBO_AUDIT` in the environment (1, or one in N). */
  readonly audit?: boolean | AuditOptions;
};

/** {@link PoolOptions} with every default filled in and every relation checked. */
export type PoolSettings = {
  readonly pageSizeBytes: number;
  readonly pagesMax: number;
  readonly pagesInitial: number;
  readonly stolenMax: number;
  readonly lowPages: number;
  readonly highPages: number;
  readonly waitersMax: number;
  readonly zeroOnRelease: boolean;
  readonly idleTrimMs: number;
  readonly audit: Required<AuditOptions> | null;
};

const PAGE_SIZES_BYTES = [4096, 16_384, 65_536];
const IDLE_TRIM_MS_MAX = 0x7fff_ffff; // setTimeout's limit
const KNOWN = new Set([
  "pageSizeBytes",
  "pagesMax",
  "pagesInitial",
  "stolenMax",
  "watermarks",
  "waitersMax",
  "zeroOnRelease",
  "idleTrimMs",
  "audit",
]);

/** @throws JumboError `ERR_JUMBO_OPTION_INVALID` naming the option, what it must be, and what it was */
export function poolSettings(options: PoolOptions, environment: NodeJS.ProcessEnv): PoolSettings {
  if (typeof options !== "object" || options === null) throw invalid("options", "an object", options);
  for (const name of Object.keys(options)) {
    if (!KNOWN.has(name)) throw invalid(name, `one of ${[...KNOWN].join(", ")}`, "an unknown option");
  }
  const pageSizeBytes = options.pageSizeBytes ?? 4096;
  if (!PAGE_SIZES_BYTES.includes(pageSizeBytes)) throw invalid("pageSizeBytes", "4096, 16384 or 65536", pageSizeBytes);

  const arenaPagesMax = ARENA_BYTES_MAX / pageSizeBytes;
  const pagesMax = integer("pagesMax", options.pagesMax ?? 3072, 1, arenaPagesMax);
  const lowPages = integer(
    "watermarks.lowPages",
    options.watermarks?.lowPages ?? Math.max(1, Math.floor(pagesMax / 16)),
    1,
    pagesMax,
  );
  // Two at least: a receiver that was told to go on, and finds less than it needs to read, would be told again, and again.
  const highDefault = Math.max(lowPages, Math.min(2, pagesMax), Math.floor(pagesMax / 8));
  return {
    pageSizeBytes,
    pagesMax,
    pagesInitial: integer("pagesInitial", options.pagesInitial ?? Math.min(16, pagesMax), 0, pagesMax),
    stolenMax: integer(
      "stolenMax",
      options.stolenMax ?? Math.min(pagesMax, arenaPagesMax - pagesMax),
      0,
      arenaPagesMax - pagesMax,
    ),
    lowPages,
    highPages: integer("watermarks.highPages", options.watermarks?.highPages ?? highDefault, lowPages, pagesMax),
    waitersMax: integer("waitersMax", options.waitersMax ?? 1024, 0, 1_000_000),
    zeroOnRelease: flag("zeroOnRelease", options.zeroOnRelease ?? false),
    idleTrimMs: integer("idleTrimMs", options.idleTrimMs ?? 10_000, 0, IDLE_TRIM_MS_MAX),
    audit: auditSettings(options.audit ?? auditFrom(environment["JUMBO_AUDIT"]), pagesMax),
  };
}

/** `JUMBO_AUDIT`: unset, empty or 0 is off, 1 is every page, N is one allocation in N. */
function auditFrom(value: string | undefined): boolean | AuditOptions {
  if (value === undefined || value === "" || value === "0") return false;
  if (!/^[1-9][0-9]{0,8}$/.test(value))
    throw invalid("JUMBO_AUDIT (environment)", "0, 1, or N for one allocation in N", value);
  return { sampleEvery: Number(value) };
}

function auditSettings(audit: boolean | AuditOptions, pagesMax: number): Required<AuditOptions> | null {
  if (audit === false) return null;
  const options = audit === true ? {} : audit;
  if (typeof options !== "object" || options === null) throw invalid("audit", "a boolean or an object", audit);
  const { onFinding } = options;
  if (onFinding !== undefined && typeof onFinding !== "function")
    throw invalid("audit.onFinding", "a function", onFinding);
  return {
    sampleEvery: integer("audit.sampleEvery", options.sampleEvery ?? 1, 1, 1_000_000_000),
    quarantinePages: integer("audit.quarantinePages", options.quarantinePages ?? Math.min(64, pagesMax), 0, pagesMax),
    onFinding:
      onFinding ??
      ((finding): void => process.emitWarning(finding.message, { type: "JumboWarning", code: finding.code })),
  };
}
