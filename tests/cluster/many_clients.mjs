// many_clients.mjs URL TRANSPORTS CLIENTS ROUNDS: each client asks and is answered ROUNDS times, and hears everybody.
// Prints what went wrong, by kind, as JSON.
import { io } from "socket.io-client";

const [url, transports, clients, rounds] = process.argv.slice(2);
const problems = {};
const note = (what) => (problems[what] = (problems[what] ?? 0) + 1);

const all = await Promise.all(
  Array.from({ length: Number(clients) }, async (_, n) => {
    const socket = io(url, {
      transports: transports.split(","),
      forceNew: true,
      reconnection: false,
      rejectUnauthorized: false,
    });
    socket.heard = 0;
    socket.on("disconnect", (reason) => socket.done || note(`disconnect: ${reason}`));
    socket.on("connect_error", (error) => note(`connect_error: ${error.message}`));
    socket.on("x", () => socket.heard++);
    await new Promise((resolve) => socket.on("connect", resolve).on("connect_error", resolve));
    return socket;
  }),
);

const workers = new Set();
await Promise.all(
  all.map(async (socket) => {
    for (let round = 0; round < Number(rounds); round++) {
      try {
        workers.add(await socket.timeout(20000).emitWithAck("worker"));
      } catch (error) {
        note(`ask: ${error.message}`);
        return;
      }
    }
    await socket.timeout(20000).emitWithAck("tell", "x", [1, "y".repeat(2000)], {}).catch(() => note("tell"));
  }),
);

const deadline = Date.now() + 20000;
while (all.some((socket) => socket.heard < all.length) && Date.now() < deadline) {
  await new Promise((resolve) => setTimeout(resolve, 20));
}
for (const socket of all) {
  if (socket.heard !== all.length) note(`heard ${socket.heard} of ${all.length}`);
  socket.done = true;
  socket.disconnect();
}
console.log(JSON.stringify({ problems, workers: [...workers].sort() }));
