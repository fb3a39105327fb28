/**
 * Tells when pages run short, with hysteresis.
 *
 *     available = pagesMax − in use
 *
 *     pagesMax ┤
 *         high ┤┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄▲┄┄┄┄  relief: available ≥ high again
 *          low ┤┄┄┄┄┄┄┄▼┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄  pressure: available < low, or an allocation was refused
 *            0 ┤
 *
 * {@link isUnderPressure} changes at once; listeners hear of it in a microtask, so that no user code runs
 * inside `alloc` or `release`, and hear nothing when it changed back before that. Thread: owner only.
 */
export class Watermarks {
  readonly #pressureListeners = new Set<() => void>();
  readonly #reliefListeners = new Set<() => void>();
  readonly #onRaise: () => void;
  /** Pressure when in use goes above; relief when it comes down to `#reliefAt`. */
  readonly #pressureAbove: number;
  readonly #reliefAt: number;
  #isUnderPressure = false;
  #toldPressure = false;
  #isTelling = false;
  #peak = 0;
  #alarmAbove = 0;

  constructor(limits: { pagesMax: number; lowPages: number; highPages: number }, onRaise: () => void) {
    this.#pressureAbove = limits.pagesMax - limits.lowPages;
    this.#reliefAt = limits.pagesMax - limits.highPages;
    this.#onRaise = onRaise;
  }

  get isUnderPressure(): boolean {
    return this.#isUnderPressure;
  }

  /** The most pages in use since {@link restartPeak}. */
  get peak(): number {
    return this.#peak;
  }

  restartPeak(inUse: number): void {
    this.#peak = inUse;
    this.#setAlarm();
  }

  /** {@link took} must be called when more pages than this are in use: a new peak, or pressure. Otherwise it need not be. */
  get alarmAbove(): number {
    return this.#alarmAbove;
  }

  took(inUse: number): void {
    if (inUse <= this.#alarmAbove) return;
    this.#peak = Math.max(this.#peak, inUse);
    if (inUse > this.#pressureAbove && !this.#isUnderPressure) this.#change(true);
    this.#setAlarm();
  }

  /** An allocation failed: pressure, until pages come back. */
  refused(inUse: number): void {
    if (inUse > 0 && !this.#isUnderPressure) this.#change(true);
  }

  gave(inUse: number): void {
    if (this.#isUnderPressure && inUse <= this.#reliefAt) this.#change(false);
  }

  onPressure(listener: () => void): () => void {
    return subscribe(this.#pressureListeners, listener);
  }

  onRelief(listener: () => void): () => void {
    return subscribe(this.#reliefListeners, listener);
  }

  #setAlarm(): void {
    this.#alarmAbove = this.#isUnderPressure ? this.#peak : Math.min(this.#peak, this.#pressureAbove);
  }

  #change(isUnderPressure: boolean): void {
    this.#isUnderPressure = isUnderPressure;
    this.#setAlarm();
    if (isUnderPressure) this.#onRaise();
    if (this.#isTelling) return;
    this.#isTelling = true;
    queueMicrotask(() => this.#tell());
  }

  #tell(): void {
    this.#isTelling = false;
    if (this.#toldPressure === this.#isUnderPressure) return;
    this.#toldPressure = this.#isUnderPressure;
    for (const listener of this.#isUnderPressure ? this.#pressureListeners : this.#reliefListeners) listener();
  }
}

function subscribe(listeners: Set<() => void>, listener: () => void): () => void {
  const own = (): void => listener(); // subscribing one function twice is two subscriptions
  listeners.add(own);
  return () => void listeners.delete(own);
}
