/** The sending side of one connection of the soak. */
import type net from "node:net";
import { setImmediate as turn, setTimeout as delay } from "node:timers/promises";
import { pattern } from "../support/pattern.ts";
import type { Transport } from "../support/transports.ts";
import { messageBytes, patternStart } from "./tcp-plan.ts";
import type { Plan } from "./tcp-plan.ts";

/** Sends all of the plan's bytes in writes of all sizes, and ends the connection or breaks it off in the middle. */
export async function send(plan: Plan, transport: Transport, socket: net.Socket): Promise<void> {
  const { lengthBytes, resets, sendRandom: random } = plan;
  let offset = 0;
  while (offset < lengthBytes && !socket.destroyed) {
    if (resets && offset > lengthBytes / 2) return breakOff(transport, socket);
    const length = Math.min(lengthBytes - offset, messageBytes(random));
    const hasRoom = socket.write(pattern(patternStart(plan) + offset, length));
    offset += length;
    if (!hasRoom && !socket.destroyed) await drainOrClose(socket);
    else if (random.chance(0.3)) await (random.chance(0.5) ? turn() : delay(random.int(0, 3)));
  }
  socket.end();
}

function breakOff(transport: Transport, socket: net.Socket): void {
  if (transport === "tcp") socket.resetAndDestroy();
  else socket.destroy();
}

function drainOrClose(socket: net.Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off("drain", done).off("close", done);
      resolve();
    };
    socket.on("drain", done).on("close", done);
  });
}
