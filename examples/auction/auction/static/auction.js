// Everything that moves: the countdowns, the live auction page, the live front page, the photo preview.
"use strict";

(() => {
  const page = document.body.dataset;
  const find = (selector, root = document) => root.querySelector(selector);
  const findAll = (selector, root = document) => [...root.querySelectorAll(selector)];
  const ANSWER_WITHIN = 8000;

  // --- The server's clock -------------------------------------------------------------------------------
  // Measured against performance.now(), which no change of the visitor's own clock can move. A message that
  // was long on its way makes the server seem behind, never ahead: so the largest offset seen is the best.

  let offset = Number(page.serverNow) - performance.now();
  const serverNow = () => performance.now() + offset;
  const setClock = (moment) => { offset = Math.max(offset, moment - performance.now()); };

  // --- Countdowns ---------------------------------------------------------------------------------------

  const two = (number) => String(number).padStart(2, "0");

  function parts(left) {
    const seconds = Math.max(0, Math.ceil(left / 1000));
    return {
      days: Math.floor(seconds / 86400),
      hours: Math.floor(seconds / 3600) % 24,
      minutes: Math.floor(seconds / 60) % 60,
      seconds: seconds % 60,
    };
  }

  function short({ days, hours, minutes, seconds }) {
    if (days) return `${days}d ${hours}h`;
    if (hours) return `${hours}h ${two(minutes)}m`;
    return `${two(minutes)}:${two(seconds)}`;
  }

  function drawCountdown(element) {
    const left = Number(element.dataset.ends) - serverNow();
    element.classList.toggle("urgent", left < 60_000);
    if ("short" in element.dataset) {
      element.textContent = left > 0 ? short(parts(left)) : "Ended";
      return;
    }
    element.hidden = false;
    find('[data-unit="days"]', element).hidden = left < 86_400_000;
    for (const [unit, number] of Object.entries(parts(left))) {
      find(`[data-unit="${unit}"] b`, element).textContent = unit === "days" ? number : two(number);
    }
  }

  const drawCountdowns = () => findAll("[data-ends]").forEach(drawCountdown);

  // --- Moments in the visitor's own time ----------------------------------------------------------------

  const dayAndTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

  function drawMoment(element, moment) {
    element.dateTime = new Date(moment).toISOString();
    element.textContent = dayAndTime.format(moment);
  }

  const drawMoments = () => findAll("time[data-moment]")
    .filter((element) => element.dataset.moment)
    .forEach((element) => drawMoment(element, Number(element.dataset.moment)));

  // --- The connection -----------------------------------------------------------------------------------

  function connect() {
    if (typeof io === "undefined") return null;
    const asked = new URLSearchParams(location.search).get("transport") || page.transports || "";
    const transports = asked.split(",").map((name) => name.trim()).filter((name) => ["polling", "websocket"].includes(name));
    // Saying goodbye while the page goes keeps the count of watchers right at once, by polling too.
    const options = { closeOnBeforeunload: true };
    const socket = io(transports.length ? { ...options, transports } : options);
    const show = (state, text) => findAll("[data-live]").forEach((element) => {
      element.dataset.live = state;
      element.textContent = text;
      element.dataset.transport = socket.io.engine?.transport?.name ?? "";
    });
    socket.on("connect", () => {
      show("on", "Live");
      socket.io.engine.once("upgrade", () => show("on", "Live"));
    });
    socket.on("connect_error", () => show("lost", "Reconnecting"));
    socket.on("disconnect", (reason) => {
      show("lost", "Reconnecting");
      // The client comes back by itself, but not when it was the server that said goodbye.
      if (reason === "io server disconnect") setTimeout(() => socket.connect(), 1000);
    });
    return socket;
  }

  // --- One auction --------------------------------------------------------------------------------------

  class AuctionPage {
    constructor(root, socket) {
      this.root = root;
      this.socket = socket;
      this.id = Number(root.dataset.auction);
      this.version = -1;
      this.revision = 0;
      this.form = find("[data-bid]", root);
      this.input = this.form?.elements.price;
      this.offered = this.input?.value;
      this.form?.addEventListener("submit", (event) => this.submit(event));
      find(".offers", root)?.addEventListener("click", (event) => this.offer(event));
      this.drawStanding(findAll("[data-recent] .who", root).map((who) => who.textContent), root.dataset.status);
      if (socket) this.listen();
    }

    listen() {
      this.socket.on("connect", () => this.watch());
      this.socket.on("state", (state) => this.draw(state));
      this.socket.on("watchers", (count) => this.drawCount(count));
    }

    // At the first connection and at every later one: rooms do not outlive a connection.
    watch() {
      this.revision = 0;
      this.socket.timeout(ANSWER_WITHIN).emit("watch", { id: this.id }, (error, answer) => {
        if (error || !answer.ok) return;
        this.drawCount(answer.count);
        this.draw(answer.state);
      });
    }

    field(name) { return find(`[data-field="${name}"]`, this.root); }

    write(name, text) {
      const element = this.field(name);
      if (element) element.textContent = text;
    }

    draw(state) {
      setClock(state.server_now);
      if (state.id !== this.id || state.version <= this.version) return;
      const isNews = this.version >= 0 || String(state.version) !== this.root.dataset.version;
      this.version = state.version;
      this.drawPrice(state);
      this.drawOffers(state);
      this.drawRecent(state.recent);
      this.drawStanding(state.recent.map((bid) => bid.bidder), state.status);
      this.write("result", state.result);
      if (state.status !== "open") this.root.classList.add("over");
      if (isNews) this.tell(state);
      if (state.bidder !== page.user) this.forget();
    }

    drawPrice(state) {
      this.write("label", state.label);
      this.write("price", state.price);
      this.write("bidder", state.bidder ?? "");
      this.write("bids", state.bids);
      this.write("minimum", state.minimum);
      this.field("bidder-line").hidden = !state.bidder;
      find("[data-plural]", this.root).hidden = state.bids === 1;
    }

    // What the visitor has typed stays; a suggestion that nobody has touched moves along with the price.
    drawOffers(state) {
      if (!this.form) return;
      if (this.input.value === this.offered || this.input.value === "") this.input.value = state.offers[0] ?? "";
      this.offered = state.offers[0] ?? "";
      const buttons = state.offers.map((amount) => {
        const button = document.createElement("button");
        Object.assign(button, { type: "button", className: "quiet", textContent: `€${amount}` });
        button.dataset.offer = amount;
        return button;
      });
      find(".offers", this.form).replaceChildren(...buttons);
    }

    drawRecent(recent) {
      const line = find("[data-bid-line]", this.root);
      find("[data-no-bids]", this.root).hidden = recent.length > 0;
      find("[data-recent]", this.root).replaceChildren(...recent.map((bid) => {
        const row = line.content.cloneNode(true);
        find(".who", row).textContent = bid.bidder;
        find("b", row).textContent = bid.price;
        drawMoment(find("time", row), bid.placed_at);
        return row;
      }));
    }

    drawStanding(bidders, status) {
      const leads = bidders[0] === page.user;
      const took_part = Boolean(page.user) && bidders.includes(page.user);
      find('[data-standing="leading"]', this.root).hidden = !(took_part && leads);
      find('[data-standing="outbid"]', this.root).hidden = !(took_part && !leads);
      find("[data-won]", this.root).hidden = !(took_part && leads && status === "sold");
    }

    drawCount(count) {
      setClock(count.server_now);
      if (count.id !== this.id || count.revision <= this.revision) return;
      this.revision = count.revision;
      this.write("watchers", count.watchers);
      find("[data-watchers]", this.root).hidden = false;
    }

    tell(state) {
      const price = this.field("price");
      price.classList.remove("fresh");
      void price.offsetWidth; // starts the animation anew
      price.classList.add("fresh");
      find("[data-announcer]", this.root).textContent =
        state.status === "open" ? `${state.bidder} bids ${state.price}.` : state.result;
    }

    offer(event) {
      const amount = event.target.dataset.offer;
      if (!amount) return;
      this.input.value = amount;
      this.input.focus();
    }

    // Without the live connection's script the form goes its plain way, to the server and back.
    submit(event) {
      if (!this.socket) return;
      event.preventDefault();
      if (!this.socket.connected) {
        this.say("The connection is lost, so the bid was not sent. Try again in a moment.", "bad");
        return;
      }
      const button = find("button:not([type])", this.form);
      button.disabled = true;
      this.say("", "");
      const bid = { id: this.id, price: this.input.value };
      this.socket.timeout(ANSWER_WITHIN).emit("bid", bid, (error, answer) => {
        button.disabled = false;
        if (error) this.say("The house did not answer. Look at the bids before you try again.", "bad");
        else this.answered(answer);
      });
    }

    answered(answer) {
      if (!answer.ok) {
        this.say(answer.reason, "bad");
        return;
      }
      this.input.value = this.offered; // taken, so the next suggestion may replace it
      this.say("Your bid counts.", "good");
      this.draw(answer.state);
    }

    // "Your bid counts" is no longer true once somebody has bid more; a refusal stays to be read.
    forget() {
      if (find("[data-answer]", this.root).classList.contains("good")) this.say("", "");
    }

    say(text, kind) {
      const line = find("[data-answer]", this.root);
      line.textContent = text;
      line.className = `answer ${kind}`;
    }
  }

  // --- The front page -----------------------------------------------------------------------------------

  class FloorPage {
    constructor(root, socket) {
      this.root = root;
      this.versions = new Map();
      this.visits = 0;
      socket.on("connect", () => this.enter(socket));
      socket.on("glance", (glance) => this.draw(glance));
    }

    enter(socket) {
      socket.emit("floor", () => { this.root.dataset.floor = "live"; });
      if (this.visits++) this.refresh(); // what happened while the connection was lost
    }

    draw(glance) {
      setClock(glance.server_now);
      const card = find(`[data-card="${glance.id}"]`, this.root);
      if (!card) {
        if (glance.version === 0) this.refreshSoon(); // newly listed; it may belong on this page
        return;
      }
      if (glance.version < (this.versions.get(glance.id) ?? 0)) return;
      this.versions.set(glance.id, glance.version);
      find('[data-field="price"]', card).textContent = glance.price;
      const bids = find('[data-field="bids"]', card);
      if (bids) {
        bids.textContent = glance.bids;
        find("[data-plural]", card).hidden = glance.bids === 1;
      }
      if (glance.status !== "open") this.close(card, glance.status);
    }

    close(card, status) {
      card.classList.add("over");
      const tag = document.createElement("span");
      Object.assign(tag, { className: "tag over", textContent: status === "sold" ? "Sold" : "Ended" });
      find("[data-badge]", card).replaceChildren(tag);
    }

    refreshSoon() {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.refresh(), 500);
    }

    async refresh() {
      const answer = await fetch(location.href).catch(() => null);
      if (!answer?.ok) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      this.root.replaceChildren(...find("[data-floor]", fresh).childNodes);
      drawCountdowns();
    }
  }

  // --- The photo of a new item --------------------------------------------------------------------------

  function previewPhoto(input) {
    const hint = find("[data-photo-hint]");
    const rule = hint.textContent;
    input.addEventListener("change", () => {
      const [file] = input.files;
      const isTooLarge = Boolean(file) && file.size > Number(input.dataset.max);
      hint.textContent = isTooLarge ? `This photo is too large. ${rule}` : rule;
      hint.classList.toggle("bad", isTooLarge);
      if (!file || isTooLarge) {
        input.value = "";
        return;
      }
      const image = new Image();
      image.alt = `The photo you chose: ${file.name}`;
      image.src = URL.createObjectURL(file);
      find("[data-preview]").replaceChildren(image);
    });
  }

  // A page that comes back from the browser's memory is as old as it looks, and its connection is closed.
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

  // --- Start --------------------------------------------------------------------------------------------

  drawCountdowns();
  drawMoments();
  setInterval(drawCountdowns, 200);
  findAll("[data-photo]").forEach(previewPhoto);

  const lot = find("[data-auction]");
  const floor = find("[data-floor]");
  const socket = lot || floor ? connect() : null;
  if (lot) new AuctionPage(lot, socket);
  if (floor && socket) new FloorPage(floor, socket);
})();
