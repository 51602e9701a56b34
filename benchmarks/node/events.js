// The events that every peer answers, and the options of the two JavaScript servers.
"use strict";

const { parseArgs } = require("node:util");

const { values } = parseArgs({
  options: {
    port: { type: "string", default: "0" },
    namespaces: { type: "string", default: "0" },
    certificate: { type: "string" },
  },
});

exports.options = {
  port: Number(values.port),
  namespaces: Number(values.namespaces),
  certificate: values.certificate,
};

exports.serve = (io, namespaces) => {
  const echoes = (socket) => socket.on("echo", (data) => socket.emit("echo", data));

  io.on("connection", (socket) => {
    echoes(socket);
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
  for (let number = 0; number < namespaces; number++) io.of(`/n${number}`).on("connection", echoes);
};
