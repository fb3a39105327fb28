import type { Arena } from "../memory/arena.ts";
import { COUNTER } from "../memory/layout.ts";
import type { PageTable } from "./page-table.ts";
import type { Page } from "./page.ts";

/** How much to watch, and whom to tell. */
export type AuditOptions = {
  /** Watch one allocation in so many. Default 1: all. */
  readonly sampleEvery?: number;
  /** How many poisoned pages wait before they can be taken again. Default 64, or `pagesMax` if that is less. */
  readonly quarantinePages?: number;
  /** Called for each finding. Default: `process.emitWarning` with the finding's code. */
  readonly onFinding?: (finding: AuditFinding) => void;
};

/** A misuse that audit mode has found. */
export type AuditFinding = {
  /** `JUMBO_LEAK`: a handle was garbage collected before its release. `JUMBO_WRITE_AFTER_RELEASE`: a freed page changed. */
  readonly code: "JUMBO_LEAK" | "JUMBO_WRITE_AFTER_RELEASE";
  readonly pageNumber: number;
  /** What happened, what to do, and the stack of the allocation concerned. */
  readonly message: string;
};

/** Who has a page, since when, and from where. */
export type PageHolder = {
  readonly pageNumber: number;
  readonly holdCount: number;
  /** How long the page has been out, in milliseconds; null when its allocation was not watched. */
  readonly ageMs: number | null;
  /** The allocation's stack; null when it was not watched. */
  readonly stack: string | null;
};

type Tenancy = {
  readonly pageNumber: number;
  readonly generation: number;
  readonly sinceMs: number;
  /** Carries the stack, formatted. */
  readonly origin: Error;
};

/** What a watched page is filled with when it is released. */
const POISON = 0xdb;

/**
 * The watch over a sample of allocations: who holds what, who writes after releasing, who never releases.
 *
 *     taken ──▶ tenancy noted with its stack ──▶ returned: filled with poison, quarantined
 *       ▲                 │ handle collected before that: a leak is reported (the page stays out)
 *       └── poison checked, on whoever takes the page next ◀───────────┘
 *
 * Thread: owner only.
 */
export class Audit {
  readonly #arena: Arena;
  readonly #table: PageTable;
  readonly #options: Required<AuditOptions>;
  readonly #count: (path: number) => void;
  readonly #tenancies = new Map<number, Tenancy>();
  /** Last watched tenancy of each page that is poisoned now. */
  readonly #poisoned = new Map<number, Tenancy>();
  readonly #poison: Buffer;
  readonly #collected: FinalizationRegistry<Tenancy>;
  #untilSample = 1;

  constructor(arena: Arena, table: PageTable, options: Required<AuditOptions>, count: (path: number) => void) {
    this.#arena = arena;
    this.#table = table;
    this.#options = options;
    this.#count = count;
    this.#poison = Buffer.alloc(arena.pageSizeBytes, POISON);
    this.#collected = new FinalizationRegistry((tenancy) => this.#onCollected(tenancy));
  }

  /** The stack of an allocation by `from`'s caller, if it is this one's turn to be watched. */
  sample(from: (...parameters: never[]) => unknown): Error | null {
    if (--this.#untilSample > 0) return null;
    this.#untilSample = this.#options.sampleEvery;
    const origin = new Error("allocated here");
    Error.captureStackTrace(origin, from);
    // Formatted now: until then V8 keeps each frame's `this` alive, and with it, often, the very page that leaks.
    void origin.stack;
    return origin;
  }

  /** Notes that `page` was taken: checks and tells what its last tenant left, and watches the page when there is an `origin`. */
  taken(page: Page, origin: Error | null): "poisoned" | "clean" {
    const { number } = page;
    const found = this.#checkPoison(number);
    if (origin === null) return found;
    const tenancy = {
      pageNumber: number,
      generation: this.#table.generationOf(number),
      sinceMs: performance.now(),
      origin,
    };
    this.#tenancies.set(number, tenancy);
    this.#collected.register(page, tenancy, page);
    return found;
  }

  /** Notes the end of a tenancy that leaves the page in the pool. True when the page was watched: it is poisoned and wants quarantine. */
  returned(page: Page): boolean {
    const tenancy = this.#tenancies.get(page.number);
    if (tenancy === undefined) return false;
    this.forget(page.number);
    this.#collected.unregister(page);
    this.#arena.bytesOf(page.number).set(this.#poison);
    this.#poisoned.set(page.number, tenancy);
    return true;
  }

  /** Notes that page `number` left the pool, or that its tenancy was ended by force. */
  forget(number: number): void {
    this.#tenancies.delete(number);
  }

  /** Checks page `number` before its memory goes back to the system: poison does not survive that. Should it stay, it is zero. */
  endPoison(number: number): void {
    if (this.#checkPoison(number) === "poisoned") this.#arena.bytesOf(number).fill(0);
  }

  /** How many pages the quarantine may hold. */
  get quarantinePages(): number {
    return this.#options.quarantinePages;
  }

  /** What is known of who has page `number`. */
  holderOf(number: number): { ageMs: number; stack: string } | null {
    const tenancy = this.#tenancies.get(number);
    if (tenancy === undefined) return null;
    return { ageMs: performance.now() - tenancy.sinceMs, stack: stackOf(tenancy) };
  }

  /** Whether the page was poisoned; reports when the poison was not intact. */
  #checkPoison(number: number): "poisoned" | "clean" {
    const tenancy = this.#poisoned.get(number);
    if (tenancy === undefined) return "clean";
    this.#poisoned.delete(number);
    const bytes = this.#arena.bytesOf(number);
    if (bytes.equals(this.#poison)) return "poisoned";
    this.#count(COUNTER.poisonHits);
    const offset = bytes.findIndex((byte) => byte !== POISON);
    this.#report(
      "JUMBO_WRITE_AFTER_RELEASE",
      tenancy,
      `page ${number} was written to at byte ${offset} after its release`,
    );
    return "poisoned";
  }

  #onCollected(tenancy: Tenancy): void {
    if (!this.#table.isCurrent(tenancy.pageNumber, tenancy.generation)) return;
    this.#count(COUNTER.leaked);
    this.#report(
      "JUMBO_LEAK",
      tenancy,
      `page ${tenancy.pageNumber} was never released: its handle is garbage, the page stays out`,
    );
  }

  #report(code: AuditFinding["code"], tenancy: Tenancy, what: string): void {
    const message = `${what}. It was allocated at:\n${stackOf(tenancy)}`;
    const finding = { code, pageNumber: tenancy.pageNumber, message };
    queueMicrotask(() => this.#options.onFinding(finding)); // never user code inside alloc
  }
}

/** The lines below the message: where the allocation was. */
function stackOf(tenancy: Tenancy): string {
  const stack = tenancy.origin.stack ?? "";
  return stack.slice(stack.indexOf("\n") + 1);
}
