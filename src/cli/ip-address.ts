const IPV4_BYTES = 4;
const IPV6_BYTES = 16;
/** `::ffff:0:0/96`: IPv4 addresses as an IPv6 socket shows them (RFC 4291, 2.5.5.2). */
const MAPPED_PREFIX = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff);

/**
 * The bytes of an address as the system writes it: 4 for `192.0.2.1` and for `::ffff:192.0.2.1`, which is the same, and 16 for
 * `fe80::1%eth0`, whose zone is of this machine and in no packet.
 */
export function parseIpAddress(text: string): Uint8Array {
  return text.includes(":") ? parseIPv6(text) : Uint8Array.from(text.split("."), Number);
}

function parseIPv6(text: string): Uint8Array {
  const [plain = ""] = text.split("%", 1);
  const [before = "", after] = plain.split("::", 2);
  const head = bytesOfGroups(before);
  const bytes = new Uint8Array(IPV6_BYTES);
  bytes.set(head);
  if (after !== undefined) {
    const tail = bytesOfGroups(after);
    bytes.set(tail, IPV6_BYTES - tail.length);
  }
  const isMapped = MAPPED_PREFIX.every((byte, index) => bytes[index] === byte);
  return isMapped ? bytes.slice(IPV6_BYTES - IPV4_BYTES) : bytes;
}

/** `2001:db8`, also with an IPv4 address as its last group; "" is no byte. */
function bytesOfGroups(text: string): number[] {
  if (text === "") return [];
  return text.split(":").flatMap((group) => {
    if (group.includes(".")) return group.split(".").map(Number);
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}
