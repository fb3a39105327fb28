import { isIPv4, isIPv6 as isIPv6Text } from "node:net";
import { loadLibc } from "./libc.ts";

/** An address and a port, as `dgram` shows them. */
export type SocketAddress = { readonly address: string; readonly port: number; readonly family: "IPv4" | "IPv6" };

/**
 * struct sockaddr_in and sockaddr_in6, in words of 32 bits: what the kernel writes for the source of a message, and reads for its target.
 *
 *     word   0                  1           2 … 4         5         6
 *     IPv4   family │ port (BE) │ address   │
 *     IPv6   family │ port (BE) │ flow info │ address (16 bytes)    │ scope
 */
export const SOCKET_ADDRESS_WORDS = 7;
const AF_INET = 2;
const AF_INET6 = 10;
const IPV4_BYTES = 16;
const IPV6_BYTES = 28;
const SCOPE_WORD = 6;
const NAME_BYTES = 64; // INET6_ADDRSTRLEN is 46, IF_NAMESIZE 16

type Calls = {
  readonly toText: (family: number, address: Uint8Array, text: Uint8Array, size: number) => unknown;
  readonly toAddress: (family: number, text: string, address: Uint8Array) => number;
  readonly toInterfaceName: (index: number, name: Uint8Array) => unknown;
  readonly toInterfaceIndex: (name: string) => number;
};

let declared: Calls | undefined;

function calls(): Calls {
  if (declared !== undefined) return declared;
  const { libc } = loadLibc();
  if (libc === null) throw new Error("there are no socket addresses without system calls");
  const { func } = libc;
  return (declared = {
    toText: func("uintptr_t inet_ntop(int family, const void *address, void *text, unsigned int size)"),
    toAddress: func("int inet_pton(int family, const char *text, void *address)"),
    toInterfaceName: func("uintptr_t if_indextoname(unsigned int index, void *name)"),
    toInterfaceIndex: func("unsigned int if_nametoindex(const char *name)"),
  });
}

/** The text of the address in `bytes`: 4 of them, or 16. Off V8's heap. */
export function formatAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  const text = Buffer.from(new ArrayBuffer(NAME_BYTES * 2), 0, NAME_BYTES);
  calls().toText(AF_INET6, bytes, text, NAME_BYTES);
  return untilNul(text);
}

/** Reads the socket address at `words[first]`. */
export function readSocketAddress(words: Int32Array, first: number): SocketAddress {
  const bytes = new Uint8Array(words.buffer, words.byteOffset + first * 4, SOCKET_ADDRESS_WORDS * 4);
  const port = ((bytes[2] ?? 0) << 8) | (bytes[3] ?? 0);
  if (!isIPv6At(words, first)) return { address: formatAddress(bytes.subarray(4, 8)), port, family: "IPv4" };
  const address = formatAddress(bytes.subarray(8, 24));
  const scope = words[first + SCOPE_WORD] ?? 0;
  const zone = scope !== 0 && /^fe[89ab]/.test(address) ? `%${interfaceName(scope)}` : ""; // as Node shows it
  return { address: address + zone, port, family: "IPv6" };
}

export function isIPv6At(words: Int32Array, first: number): boolean {
  return (words[first]! & 0xffff) === AF_INET6;
}

/**
 * Writes the socket address for `address` and `port` to `words[first]`.
 * @returns how many bytes it takes; 0, when `address` is no address of the family
 */
export function writeSocketAddress(
  words: Int32Array,
  first: number,
  address: string,
  port: number,
  isIPv6: boolean,
): number {
  if (!isIPv4(address) && !(isIPv6 && isIPv6Text(address))) return 0;
  const bytes = new Uint8Array(words.buffer, words.byteOffset + first * 4, SOCKET_ADDRESS_WORDS * 4);
  bytes.fill(0);
  words[first] = isIPv6 ? AF_INET6 : AF_INET;
  bytes[2] = port >> 8;
  bytes[3] = port & 0xff;
  const [plain = "", zone] = address.split("%", 2);
  // On an IPv6 socket an IPv4 address is written as the IPv6 address it is mapped to, if the socket is not for IPv6 only.
  const text = isIPv6 && isIPv4(plain) ? `::ffff:${plain}` : plain;
  if (zone !== undefined)
    words[first + SCOPE_WORD] = /^\d+$/.test(zone) ? Number(zone) : calls().toInterfaceIndex(zone);
  const target = isIPv6 ? bytes.subarray(8, 24) : bytes.subarray(4, 8);
  if (calls().toAddress(isIPv6 ? AF_INET6 : AF_INET, text, target) !== 1) return 0;
  return isIPv6 ? IPV6_BYTES : IPV4_BYTES;
}

function interfaceName(index: number): string {
  const name = Buffer.from(new ArrayBuffer(NAME_BYTES * 2), 0, NAME_BYTES);
  return Number(calls().toInterfaceName(index, name)) === 0 ? String(index) : untilNul(name);
}

function untilNul(text: Buffer): string {
  return text.toString("latin1", 0, text.indexOf(0));
}
