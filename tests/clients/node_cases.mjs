// Cases for socket.io-client against node_app.py. `node node_cases.mjs URL TRANSPORT [PART OF A NAME]` runs all
// that name this transport and prints one JSON object: {"case": null, or the error}.

import assert from "node:assert/strict";
import { io } from "socket.io-client";

const [URL_, transport, part = ""] = process.argv.slice(2);
const TRANSPORTS = {
  websocket: { transports: ["websocket"] },
  polling: { transports: ["polling"] },
  upgrade: { transports: ["polling", "websocket"] },
};
const ALL = Object.keys(TRANSPORTS);
const CASE_MS = 15_000;

class Clients {
  constructor(transport) {
    this.transport = transport;
    this.open = [];
  }

  // A client that is not connected yet.
  make(namespace = "", options = {}) {
    const socket = io(URL_ + namespace, {
      ...TRANSPORTS[this.transport], forceNew: true, reconnection: false, ...options,
    });
    this.open.push(socket);
    return socket;
  }

  async connected(namespace, options) {
    const socket = this.make(namespace, options);
    await event(socket, "connect");
    return socket;
  }

  // Connected, and upgraded where it will be.
  async settled(namespace, options) {
    const socket = await this.connected(namespace, options);
    const engine = socket.io.engine;
    if (this.transport === "upgrade" && engine.transport.name !== "websocket") {
      await event(engine, "upgrade");
    }
    return socket;
  }

  close() {
    this.open.forEach((socket) => socket.close());
  }
}

function event(emitter, name) {
  return new Promise((resolve, reject) => {
    emitter.once(name, (...args) => resolve(args));
    if (name === "connect") emitter.once("connect_error", reject);
  });
}

function collected(socket, name, count) {
  return new Promise((resolve) => {
    const got = [];
    socket.on(name, (...args) => {
      got.push(args.length === 1 ? args[0] : args);
      if (got.length === count) resolve(got);
    });
  });
}

const cases = {};
const define = (name, transports, run) => { cases[name] = { transports, run }; };

define("the transport is the one asked for", ALL, async (clients) => {
  const socket = await clients.settled();
  assert.equal(socket.io.engine.transport.name, clients.transport === "polling" ? "polling" : "websocket");
  assert.equal(socket.io.engine.id.length, 20);
  assert.notEqual(socket.id, socket.io.engine.id);
});

define("echo of all kinds of data", ALL, async (clients) => {
  const socket = await clients.connected();
  const data = [1, -1.5, "text é € 😀 \u2028 \u001e", null, true, { a: [1, { b: {} }] }, [], {}, ""];
  const back = event(socket, "echo");
  assert.deepEqual(await socket.emitWithAck("echo", ...data), data[0]);
  assert.deepEqual(await back, data);
});

define("send and message", ALL, async (clients) => {
  const socket = await clients.connected();
  const back = event(socket, "message");
  socket.send("hello");
  assert.deepEqual(await back, ["hello"]);
});

define("binary both ways", ALL, async (clients) => {
  const socket = await clients.settled();
  const reply = await socket.emitWithAck("reversed", Buffer.from([1, 2, 3]));
  assert.deepEqual(Buffer.from(reply), Buffer.from([3, 2, 1]));
  const back = event(socket, "echo");
  socket.emit("echo", { a: Buffer.from("x"), b: [Uint8Array.of(255, 0)] }, "between", Buffer.alloc(0));
  const [first, second, third] = await back;
  assert.deepEqual([Buffer.from(first.a), Buffer.from(first.b[0])], [Buffer.from("x"), Buffer.from([255, 0])]);
  assert.equal(second, "between");
  assert.equal(Buffer.from(third).length, 0);
  const blobs = event(socket, "blobs");
  socket.emit("blobs", 50_000);
  const [got] = await blobs;
  assert.equal(Buffer.from(got.first).length, 50_000);
  assert.deepEqual([Buffer.from(got.list[1].deep), got.text], [Buffer.from([2, 3]), "é"]);
});

define("acknowledgements", ALL, async (clients) => {
  const socket = await clients.connected();
  const ack = (name, ...args) => new Promise((resolve) => socket.emit(name, ...args, (...got) => resolve(got)));
  assert.deepEqual(await ack("nothing"), []);
  assert.deepEqual(await ack("two"), [1, { k: null }]);
  assert.deepEqual(await ack("echo", "a", 2), ["a", 2]);
});

define("no acknowledgement, no harm", ALL, async (clients) => {
  const socket = await clients.connected();
  await assert.rejects(socket.timeout(100).emitWithAck("nobody listens"), /timed out/);
  await assert.rejects(socket.timeout(100).emitWithAck("fails"), /timed out/);
  assert.equal(await socket.emitWithAck("echo", 1), 1);
});

define("the server asks", ALL, async (clients) => {
  const socket = await clients.settled();
  socket.on("question", (question, answer) => answer({ answer: question }));
  assert.deepEqual(await socket.emitWithAck("ask back", 7), { answer: 7 });
  assert.deepEqual(Buffer.from((await socket.emitWithAck("ask back", Buffer.from("b"))).answer), Buffer.from("b"));
  assert.equal(await socket.emitWithAck("ask in vain"), "timeout");
  const answered = event(socket, "answered");
  socket.emit("ask later");
  assert.deepEqual(await answered, [socket.id, { answer: "later" }]);
});

define("two namespaces on one connection", ALL, async (clients) => {
  const root = clients.make();
  const other = root.io.socket("/other");
  other.connect();
  clients.open.push(other);
  await Promise.all([event(root, "connect"), event(other, "connect")]);
  assert.equal(root.io.engine.id, other.io.engine.id);
  assert.notEqual(root.id, other.id);
  assert.deepEqual(await other.emitWithAck("echo", 1), ["other", 1]);
  assert.equal(await root.emitWithAck("echo", 1), 1);
  const left = event(other, "disconnect");
  other.emit("kick me");
  assert.deepEqual((await left)[0], "io server disconnect");
  assert.ok(root.connected);
  other.connect();
  await event(other, "connect");
  assert.deepEqual(await other.emitWithAck("echo", 2), ["other", 2]);
});

define("back at once while the disconnect handler still runs", ["websocket", "polling"], async (clients) => {
  const root = clients.make();
  const slow = root.io.socket("/slow");
  slow.connect();
  clients.open.push(slow);
  await Promise.all([event(root, "connect"), event(slow, "connect")]);
  const first = slow.id;
  slow.once("disconnect", () => slow.connect()); // what the documentation of Socket.IO shows
  slow.emit("kick me");
  await event(slow, "disconnect");
  await event(slow, "connect");
  assert.notEqual(slow.id, first);
  slow.disconnect();
  slow.connect();
  await event(slow, "connect");
  assert.ok(root.connected);
  assert.equal(await root.emitWithAck("echo", 1), 1);
});

define("namespaces that are open and that are not", ALL, async (clients) => {
  await clients.connected("/plain");
  const refused = clients.make("/no-such");
  const [error] = await event(refused, "connect_error");
  assert.equal(error.message, "Invalid namespace");
});

define("auth and refusals", ALL, async (clients) => {
  const welcome = clients.make("/door", { auth: { key: "gold", n: [1] } });
  const order = [];
  for (const name of ["before", "welcome", "connect"]) welcome.on(name, () => order.push(name));
  const [auth] = await event(welcome, "welcome");
  assert.deepEqual(auth, { key: "gold", n: [1] });
  assert.deepEqual(order, ["connect", "before", "welcome"]);

  for (const [key, message, data] of [
    ["wrong", "wrong key", { key: "wrong" }], ["bare", "Connection rejected by server", undefined],
    ["false", "Connection rejected by server", undefined], ["crash", "Internal server error", undefined],
  ]) {
    const refused = clients.make("/door", { auth: (give) => give({ key }) });
    refused.on("before", () => assert.fail("sent by a handler that refused"));
    const [error] = await event(refused, "connect_error");
    assert.deepEqual([error.message, error.data], [message, data]);
    assert.equal(refused.connected, false);
    refused.auth = { key: "gold" };
    refused.removeAllListeners("before");
    refused.connect();
    await event(refused, "connect");
  }
});

define("query and headers of the handshake", ALL, async (clients) => {
  const options = { query: { token: "t é" }, extraHeaders: { "X-Probe": "yes" } };
  const socket = await clients.connected("", options);
  const got = await new Promise((resolve) => socket.emit("headers", (...args) => resolve(args)));
  assert.deepEqual(got, ["t é", "yes", "/socket.io/"]);
});

define("volatile events arrive when they can", ALL, async (clients) => {
  const socket = await clients.settled();
  const { engine } = socket.io;
  while (!engine.transport.writable) await event(engine, "drain"); // the POST of its CONNECT may be answered later
  const back = event(socket, "echo");
  socket.volatile.emit("echo", "volatile");
  assert.deepEqual(await back, ["volatile"]);
});

define("rooms and broadcasts", ALL, async (clients) => {
  const [a, b, c] = await Promise.all([1, 2, 3].map(() => clients.connected()));
  const room = `room of ${a.id}`;
  for (const member of [a, b]) {
    const joined = event(member, "joined");
    member.emit("join", room);
    await joined;
  }
  const told = [[], [], []];
  [a, b, c].forEach((socket, n) => socket.on("told", (text) => told[n].push(text)));
  // Handlers may overtake each other: each is waited for.
  await a.emitWithAck("tell", room, "all of the room", true);
  await a.emitWithAck("tell", room, "not the sender", false);
  await a.emitWithAck("tell", c.id, "only c", true);
  await b.emitWithAck("tell", "no such room", "nobody", true);
  for (const socket of [a, b, c]) await socket.emitWithAck("leave", room);
  await a.emitWithAck("tell", room, "everybody has left", true);
  // An answer to each, after it, tells that what was sent before has arrived.
  for (const socket of [a, b, c]) await socket.emitWithAck("nothing");
  assert.deepEqual(told.map((got) => got.sort()), [
    ["all of the room"], ["all of the room", "not the sender"], ["only c"],
  ]);
});

define("reasons of the end as the client sees them", ALL, async (clients) => {
  const witness = await clients.connected();
  const end = async (make) => {
    const socket = await clients.settled();
    const { id } = socket;
    const gone = event(socket, "disconnect");
    make(socket);
    const [reason] = await gone;
    for (;;) {
      const entry = (await witness.emitWithAck("who left")).find(([sid]) => sid === id);
      if (entry) return [reason, entry[1]];
    }
  };
  assert.deepEqual(await end((socket) => socket.emit("kick me")), ["io server disconnect", "server disconnect"]);
  assert.deepEqual(await end((socket) => socket.disconnect()), ["io client disconnect", "client disconnect"]);
  if (clients.transport !== "polling") {
    assert.deepEqual(await end((socket) => socket.emit("drop me")), ["transport close", "transport close"]);
    assert.deepEqual(
      await end((socket) => socket.io.engine.transport.ws.terminate()), ["transport close", "transport close"]);
  }
});

define("large messages", ALL, async (clients) => {
  const socket = await clients.settled();
  const fits = "x".repeat(99_980); // `42["echo","…"]` and the acknowledgement's number around it
  assert.equal(await socket.emitWithAck("echo", fits), fits);
  const burst = await Promise.all([1, 2, 3, 4, 5].map((n) => socket.emitWithAck("echo", fits.slice(n))));
  assert.deepEqual(burst.map((text) => text.length), [99_979, 99_978, 99_977, 99_976, 99_975]);
  const gone = event(socket, "disconnect");
  socket.emit("echo", "x".repeat(100_001));
  const [reason] = await gone;
  assert.equal(reason, clients.transport === "polling" ? "transport error" : "transport close");
});

define("1,000 messages each way during an upgrade", ["upgrade"], async (clients) => {
  const socket = clients.make();
  const numbers = collected(socket, "number", 1_000);
  await event(socket, "connect");
  socket.emit("count to", 1_000);
  for (let n = 0; n < 1_000; n++) {
    socket.emit("number", n);
    if (n % 50 === 0) await new Promise(setImmediate); // spread over the upgrade
  }
  const expected = [...Array(1_000).keys()];
  assert.deepEqual(await numbers, expected);
  for (;;) {
    if (socket.io.engine.transport.name === "websocket") break;
    await event(socket.io.engine, "upgrade");
  }
  assert.deepEqual(await socket.emitWithAck("numbers"), expected);
});

define("reconnection after the line broke", ["websocket", "upgrade"], async (clients) => {
  const options = { reconnection: true, reconnectionDelay: 5, reconnectionDelayMax: 5 };
  const socket = await clients.settled("", options);
  for (let round = 0; round < 3; round++) {
    const before = socket.id;
    socket.emit("drop me");
    await event(socket, "disconnect");
    await event(socket, "connect");
    assert.notEqual(socket.id, before);
    assert.equal(await socket.emitWithAck("echo", round), round);
    if (socket.io.engine.transport.name !== "websocket") await event(socket.io.engine, "upgrade");
  }
});

define("200 clients at once", ["polling"], async (clients) => {
  const sockets = await Promise.all(Array.from({ length: 200 }, () => clients.connected()));
  assert.equal(new Set(sockets.map((socket) => socket.id)).size, 200);
  const told = sockets.map((socket) => event(socket, "told"));
  sockets[0].emit("tell", null, "everybody", true);
  assert.ok((await Promise.all(told)).every(([text]) => text === "everybody"));
  const acks = await Promise.all(sockets.map((socket, n) => socket.emitWithAck("echo", n)));
  assert.deepEqual(acks, [...Array(200).keys()]);
});

async function run(name) {
  const clients = new Clients(transport);
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done in ${CASE_MS} ms`)), CASE_MS);
  });
  try {
    await Promise.race([cases[name].run(clients), late]);
    return null;
  } catch (error) {
    return error.stack ?? String(error);
  } finally {
    clearTimeout(timer);
    clients.close();
  }
}

const results = {};
process.on("unhandledRejection", (error) => { results["unhandled rejection"] = String(error.stack); });
for (const [name, { transports }] of Object.entries(cases)) {
  if (transports.includes(transport) && name.includes(part)) results[name] = await run(name);
}
console.log(JSON.stringify(results));
process.exit(0);
