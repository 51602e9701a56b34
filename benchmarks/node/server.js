// Socket.IO for Node on its default engine (ws); --port 0 lets the system choose.
"use strict";

const http = require("node:http");
const { Server } = require("socket.io");

const flag = process.argv.indexOf("--port");
const port = flag < 0 ? 0 : Number(process.argv[flag + 1]);
const server = http.createServer();
const io = new Server(server);

io.on("connection", (socket) => {
  socket.on("echo", (data) => socket.emit("echo", data));
  socket.on("ack", (data, reply) => reply(data));
  socket.on("broadcast", (data, reply) => {
    io.emit("broadcast", data);
    if (reply) reply();
  });
  socket.on("join", (room, reply) => {
    socket.join(room);
    if (reply) reply(true);
  });
  socket.on("room", (name, data) => io.to(name).emit("room", data));
});

server.listen({ port, host: "127.0.0.1", backlog: 4096 }, () => console.log(`LISTENING ${server.address().port}`));
