/** What the consumers of one receiver keep. Law: `pages` are those with at least one held datagram in them. Thread: owner only. */
export class HeldLedger {
  #datagrams = 0;
  #bytes = 0;
  readonly #byPage = new Map<number, number>();

  held(pageNumber: number, lengthBytes: number): void {
    this.#datagrams++;
    this.#bytes += lengthBytes;
    this.#byPage.set(pageNumber, (this.#byPage.get(pageNumber) ?? 0) + 1);
  }

  released(pageNumber: number, lengthBytes: number): void {
    this.#datagrams--;
    this.#bytes -= lengthBytes;
    const count = this.#byPage.get(pageNumber) ?? 1;
    if (count > 1) this.#byPage.set(pageNumber, count - 1);
    else this.#byPage.delete(pageNumber);
  }

  /** So many datagrams, of so many bytes in all, pin so many pages. */
  stats(): { readonly datagrams: number; readonly bytes: number; readonly pages: number } {
    return { datagrams: this.#datagrams, bytes: this.#bytes, pages: this.#byPage.size };
  }
}
