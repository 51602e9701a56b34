// Socket.IO for Bun on its own engine; --port 0 lets the system choose.
"use strict";

const { Server: Engine } = require("@socket.io/bun-engine");
const { Server } = require("socket.io");
const { options, serve } = require("./events.js");

const io = new Server();
const engine = new Engine({ path: "/socket.io/" });
io.bind(engine);
serve(io, options.namespaces);

const server = Bun.serve({ port: options.port, hostname: "127.0.0.1", ...engine.handler() });
console.log(`LISTENING ${server.port}`);
