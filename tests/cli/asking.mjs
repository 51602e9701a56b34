// asking.mjs URL TRANSPORT CLIENTS PAUSE_MS: each client sends one event after the other, until a line comes on stdin.
// Prints which of them were acknowledged and which failed, as JSON.
import { io } from "socket.io-client";

const [url, transport, clients, pauseMs] = process.argv.slice(2);
const told = { acknowledged: [], failed: [] };
let enough = false;
process.stdin.once("data", () => (enough = true));

await Promise.all(
  Array.from({ length: Number(clients) }, async (_, n) => {
    const socket = io(url, { transports: [transport], forceNew: true, reconnectionDelay: 20, reconnectionDelayMax: 50 });
    await new Promise((resolve) => socket.once("connect", resolve));
    for (let i = 0; !enough; i++) {
      const text = `${n}.${i}`;
      await socket.timeout(15000).emitWithAck("note", text).then(
        () => told.acknowledged.push(text),
        () => told.failed.push(text),
      );
      await new Promise((resolve) => setTimeout(resolve, Math.max(1, 2 * Math.random() * Number(pauseMs))));
    }
    socket.disconnect();
  }),
);
process.stdout.write(JSON.stringify(told), () => process.exit(0));
