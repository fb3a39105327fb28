/** Not a test: the process that sends to the sockets of the UDP stress, from sockets that stay. It is told the places to send to. */
import nodeDgram from "node:dgram";
import { JumboPool } from "../../src/index.ts";
import { bindUdp } from "../../src/udp/index.ts";
import type { UdpReceiver } from "../../src/udp/index.ts";
import { Random } from "../support/random.ts";
import { targetOf } from "./udp-crowd.ts";
import { DATAGRAM_BYTES_MIN, writeMessage } from "./udp-datagram.ts";
import { PHASE_ID } from "./udp-life.ts";

const TICK_MS = 2;
const BURSTS_MAX = 4;
const BURST_MAX = 48;
const UDP_BYTES_MAX = 65_507;

const random = new Random(Number(process.argv[2]));
const pool = new JumboPool({ pageSizeBytes: 65_536, pagesMax: 128, stolenMax: 0 });
/** What is echoed comes here; nobody looks at it. */
const senders: Record<"4" | "6", UdpReceiver> = {
  4: await bindUdp({ pool, address: "127.0.0.1" }, () => {}),
  6: await bindUdp({ pool, address: "::1" }, () => {}),
};
const plain = nodeDgram.createSocket("udp4");
const buffer = Buffer.alloc(UDP_BYTES_MAX);
let targets: readonly number[] = [];
let messages = 0;

function message(lengthBytes: number, datagramBytes: number): Buffer {
  const bytes = buffer.subarray(0, lengthBytes);
  writeMessage(bytes, { phaseId: PHASE_ID, number: messages++, first: 0, datagramBytes });
  return bytes;
}

/** Of one datagram: short, of an Ethernet frame, or long. */
function lengthBytes(): number {
  const most = random.pick([60, 200, 1472, 1472, 9000]);
  return random.chance(0.005) ? random.int(9000, UDP_BYTES_MAX) : random.int(DATAGRAM_BYTES_MIN, most);
}

async function burst(): Promise<void> {
  const value = targets[random.int(0, targets.length - 1)];
  if (value === undefined) return;
  const { port, isIPv6 } = targetOf(value);
  const sender = senders[isIPv6 ? 6 : 4];
  const to = { address: isIPv6 ? "::1" : "127.0.0.1", port };
  const way = random.int(0, 9);
  if (way < 4) {
    const segmentBytes = random.int(60, 1400);
    const length =
      (random.int(1, Math.floor(UDP_BYTES_MAX / 1400)) - 1) * segmentBytes +
      random.int(DATAGRAM_BYTES_MIN, segmentBytes);
    await sender.sendBatch([{ bytes: message(length, segmentBytes), ...to }], { segmentBytes });
  } else if (way < 9) {
    for (let i = random.int(1, BURST_MAX); i > 0; i--) {
      const length = lengthBytes();
      await sender.send(message(length, length), to);
    }
  } else if (!isIPv6) {
    plain.send(Buffer.from(message(100, 100)), port, to.address);
    plain.send("", port, to.address);
  }
}

async function tick(): Promise<void> {
  for (let i = random.int(1, BURSTS_MAX); i > 0; i--) await burst().catch(() => {}); // a full buffer, or a port that is no more
  setTimeout(() => void tick(), TICK_MS);
}

plain.bind(0, "127.0.0.1", () => void tick());
process.on("message", (places: readonly number[]) => (targets = places.filter((place) => place !== 0)));
process.on("disconnect", () => process.exit());
