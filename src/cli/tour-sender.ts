import { connect } from "node:net";
import { TOUR_BLOCK_BYTES, TOUR_BYTES, makeTourBlock, stampTourBlock } from "./tour-content.ts";

/**
 * A process of its own that connects to the port in its argument and sends the tour's content.
 *
 * A few blocks go round: one is stamped anew when the system has taken it.
 */
const BLOCKS_IN_FLIGHT = 4;

const socket = connect(Number(process.argv[2]), "127.0.0.1");
let sent = 0;

function sendNext(block: Buffer): void {
  if (sent === TOUR_BYTES / TOUR_BLOCK_BYTES) return void socket.end();
  stampTourBlock(block, sent++);
  socket.write(block, (error) => {
    if (!error) sendNext(block);
  });
}

process.once("disconnect", () => socket.destroy()); // whoever wanted this is gone
socket.on("close", () => {
  if (process.connected) process.disconnect(); // or it would keep this process alive
});
for (let i = 0; i < BLOCKS_IN_FLIGHT; i++) sendNext(makeTourBlock());
