// A client that comes back: `node node_restart.mjs URL TRANSPORT`. Prints a line for each thing that happens to it
// and ends when its second connection has answered.

import { io } from "socket.io-client";

const [url, transport] = process.argv.slice(2);
const socket = io(url, { transports: [transport], reconnectionDelay: 20, reconnectionDelayMax: 40 });
let connections = 0;

socket.on("disconnect", (reason) => console.log(`disconnect ${reason}`));
socket.on("connect", async () => {
  connections += 1;
  console.log(`connect ${await socket.emitWithAck("echo", connections)}`);
  if (connections === 2) socket.close();
});
