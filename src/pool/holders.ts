import { JumboError } from "../errors.ts";
import { NIL } from "../memory/layout.ts";
import type { Audit, PageHolder } from "./audit.ts";
import type { PageTable } from "./page-table.ts";

/** Who has the pages that are out, at most `limit`. O(pages below the frontier). */
export function listHolders(table: PageTable, audit: Audit | null, limit: number): PageHolder[] {
  const holders: PageHolder[] = [];
  for (let number = 0; number < table.frontier && holders.length < limit; number++) {
    if (!table.isInUse(number)) continue;
    const known = audit?.holderOf(number) ?? { ageMs: null, stack: null };
    holders.push({ pageNumber: number, holdCount: table.holdsOf(number), ...known });
  }
  return holders;
}

/** Why a pool does not close: how many pages are out and, as far as audit mode knows, where three of them came from. */
export function pagesOutError(table: PageTable, audit: Audit | null): JumboError {
  const origins = listHolders(table, audit, 3).flatMap(({ pageNumber, stack }) =>
    stack === null ? [] : [`\npage ${pageNumber}, allocated at:\n${stack}`],
  );
  const hint = origins.length === 0 ? " (audit mode tells where they were allocated)" : "";
  const text = `${table.inUse} pages are out: release them first, or close({ force: true })${hint}${origins.join("")}`;
  return new JumboError("ERR_JUMBO_PAGES_OUT", text);
}

/**
 * Takes every page from its holders, then all pages from the pool: none can be taken again. O(pages below the frontier).
 * @returns how many were in use
 */
export function abandonAll(table: PageTable, audit: Audit | null): number {
  const { inUse } = table;
  for (let number = 0; number < table.frontier; number++) {
    if (!table.isInUse(number)) continue;
    table.abandon(number);
    audit?.forget(number);
  }
  while (table.endQuarantine());
  for (let number = table.unlinkFree(); number !== NIL; number = table.unlinkFree()) table.retireFree(number);
  return inUse;
}
