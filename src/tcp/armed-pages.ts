/** A socket with a page armed, as far as the bound on such pages is concerned. */
export type Armed = {
  /** True when nothing was read since the last time this was asked. */
  wasQuiet(): boolean;
  /** Puts the socket back on the landing strip, from outside a read. */
  landNow(): void;
};

/** How many sockets of a thread may have a page armed at a time: the bound on what sockets that went quiet can pin. */
const ARMED_MAX = 32;
/** A socket that was quiet for a whole interval gives its page back. */
const SWEEP_MS = 250;

/**
 * The sockets of this thread that have a page armed, waiting for the kernel to write to it.
 *
 * A busy socket keeps its page armed between reads, which saves a copy and a system call each time it wakes. A page that
 * is armed is in use, though, and a socket may go quiet for ever: so at most 32 are armed, and a sweep takes back what was
 * not used for a while. The timer runs only while something is armed, and keeps no process alive.
 */
const armed = new Set<Armed>();
let timer: NodeJS.Timeout | null = null;

/** Counts `reader` in; false when as many are armed as may be. */
export function enterArmed(reader: Armed): boolean {
  if (armed.size >= ARMED_MAX) return false;
  armed.add(reader);
  timer ??= setInterval(sweep, SWEEP_MS).unref();
  return true;
}

export function leaveArmed(reader: Armed): void {
  armed.delete(reader);
}

function sweep(): void {
  for (const reader of armed) if (reader.wasQuiet()) reader.landNow();
  if (armed.size > 0 || timer === null) return;
  clearInterval(timer);
  timer = null;
}
