import type { UdpDatagram } from "../udp/index.ts";
import { usageFailure } from "./failure.ts";
import { PcapFraming } from "./pcap.ts";
import { didYouMean } from "./suggestion.ts";

/** What a datagram was sent to. */
export type LocalEnd = {
  /** Of the socket: what stands in a capture when it is not known which of the machine's addresses it was. */
  readonly address: string;
  readonly port: number;
};

/**
 * How datagrams stand in a file, one after the other:
 *
 *     [ file's header ] [ header │ payload │ trailer ] [ header │ payload │ trailer ] …
 */
export type Framing = {
  /** What its files are called. */
  readonly extension: string;
  /** It wants to know which address a datagram was sent to, and its ECN bits. */
  readonly wantsEverything: boolean;
  /** What a file begins with; may be empty. */
  readonly fileHeader: Uint8Array;
  readonly trailer: Uint8Array;
  /** At most so many bytes stand before a payload. */
  readonly headerBytesMax: number;
  /** What comes now was read together. */
  beginBatch(): void;
  /** Writes what stands before the payload of `datagram` to `target` at `offset`. @returns how many bytes */
  writeHeader(datagram: UdpDatagram, local: LocalEnd, target: Buffer, offset: number): number;
};

const NOTHING = new Uint8Array(0);

const raw: Framing = {
  extension: "bin",
  wantsEverything: false,
  fileHeader: NOTHING,
  trailer: NOTHING,
  headerBytesMax: 0,
  beginBatch: () => {},
  writeHeader: () => 0,
};

const lines: Framing = { ...raw, extension: "txt", trailer: Uint8Array.of(0x0a) };

const FRAMINGS: ReadonlyMap<string, () => Framing> = new Map([
  ["raw", () => raw],
  ["lines", () => lines],
  ["pcap", () => new PcapFraming()],
]);

export const FRAMING_DEFAULT = "raw";
/** What `--framing` takes. */
export const FRAMING_NAMES: readonly string[] = [...FRAMINGS.keys()];

/**
 * The framing called `name`.
 * @throws Failure
 */
export function framingCalled(name: string): Framing {
  const make = FRAMINGS.get(name);
  if (make !== undefined) return make();
  const known = FRAMING_NAMES.join(", ");
  throw usageFailure(`there is no framing ${name}${didYouMean(name, FRAMING_NAMES)}; --framing takes ${known}`);
}
