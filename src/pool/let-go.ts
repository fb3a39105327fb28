import { JumboError } from "../errors.ts";

/** Runs `release`, in a callback of the system's where nobody could catch: a pool that was closed by force has taken the page already. */
export function letGoWith(release: () => unknown): void {
  try {
    release();
  } catch (error) {
    if (!(error instanceof JumboError && error.code === "ERR_JUMBO_PAGE_RELEASED")) throw error;
  }
}
