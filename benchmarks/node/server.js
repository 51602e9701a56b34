// Socket.IO for Node on its default engine (ws); --port 0 lets the system choose.
"use strict";

const fs = require("node:fs");
const http = require("node:http");
const https = require("node:https");
const { Server } = require("socket.io");
const { options, serve } = require("./events.js");

const pem = options.certificate && fs.readFileSync(options.certificate);
const server = pem ? https.createServer({ cert: pem, key: pem }) : http.createServer();
serve(new Server(server), options.namespaces);

server.listen({ port: options.port, host: "127.0.0.1", backlog: 4096 }, () =>
  console.log(`LISTENING ${server.address().port}`),
);
