// Two people in two browsers at the auction house:
//   node browser.mjs ADDRESS SCENARIO ARTIFACTS CHROMIUM ACCOUNTS
// ACCOUNTS is {name: password} in JSON. A step that fails ends the run with its error.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";

const [address, scenario, artifacts, chromiumPath, accounts] = process.argv.slice(2);
const { chromium } = createRequire(import.meta.url)("playwright-core");
const passwords = JSON.parse(accounts);

const SCENARIOS = {
  desktop: { query: "", transport: "websocket", context: { viewport: { width: 1280, height: 900 } } },
  polling: { query: "?transport=polling", transport: "polling", context: { viewport: { width: 1280, height: 900 }, colorScheme: "dark" } },
  restart: { query: "", transport: "websocket", context: {} },
  phone: { query: "", transport: "websocket", context: { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true } },
};
const FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];
const RUNS_FOR = 12; // seconds: long enough for the bids below on a busy machine, short enough to wait for
const { query, transport, context: options } = SCENARIOS[scenario];

class Person {
  static async enter(browser, name) {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    const person = new Person(name, page);
    page.setDefaultTimeout(15_000);
    page.on("pageerror", (error) => person.troubles.push(error.message));
    page.on("request", (request) => person.note(request.url()));
    page.on("websocket", (socket) => person.noteSocket(socket.url()));
    await person.open(`/login`);
    await page.fill("[name=name]", name);
    await page.fill("[name=password]", passwords[name]);
    await page.click("main button");
    await page.waitForSelector('form[action="/logout"]');
    return person;
  }

  constructor(name, page) { Object.assign(this, { name, page, troubles: [] }); }

  // Nothing may come from elsewhere.
  note(url) {
    if (!url.startsWith(address) && !url.startsWith("blob:")) this.troubles.push(url);
  }

  // Polling only means polling only; where pages ask for nothing, the client's own choice is a WebSocket.
  noteSocket(url) {
    const isOwn = url.startsWith(address.replace("http", "ws"));
    if (!isOwn || this.page.url().includes("transport=polling")) this.troubles.push(url);
  }

  open(path) { return this.page.goto(address + path); }
  text(field) { return this.page.locator(`[data-field="${field}"]`).first().textContent(); }
  shot(name) { return this.page.screenshot({ path: join(artifacts, `auction-${scenario}-${name}.png`), fullPage: true }); }

  async watch(path) {
    await this.open(path + query);
    await this.page.waitForSelector(`[data-live="on"][data-transport="${transport}"]`);
  }

  async bid(amount) {
    await this.page.fill("#price", amount);
    await this.page.click("[data-bid] button:not([type])");
  }

  async sees(field, wanted, within) {
    await this.page.waitForFunction(
      ([name, text]) => document.querySelector(`[data-field="${name}"]`).textContent === text,
      [field, wanted], { timeout: within, polling: 20 },
    );
  }

  async answer(pattern) {
    const line = this.page.locator("[data-answer]");
    await line.filter({ hasText: pattern }).waitFor();
    return line.textContent();
  }
}

async function sell(seller, title) {
  const { page } = seller;
  await seller.open("/sell");
  const photo = await page.evaluate(() => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 480 });
    const pen = canvas.getContext("2d");
    pen.fillStyle = "#8c3b2a"; pen.fillRect(0, 0, 640, 480);
    pen.fillStyle = "#f2d9a0"; pen.beginPath(); pen.arc(320, 240, 150, 0, 7); pen.fill();
    return canvas.toDataURL("image/jpeg").split(",")[1];
  });
  await page.setInputFiles("[name=photo]", { name: "photo.jpg", mimeType: "image/jpeg", buffer: Buffer.from(photo, "base64") });
  await page.waitForSelector("[data-preview] img");
  await page.fill("[name=title]", title);
  await page.selectOption("[name=category]", "Other");
  await page.fill("[name=price]", "10");
  await page.fill("[name=length]", String(RUNS_FOR));
  await page.selectOption("[name=unit]", "seconds");
  await seller.shot("sell");
  await page.click("text=Put it on the block");
  await page.waitForSelector("[data-auction]");
  return new URL(page.url()).pathname;
}

// Both watch the demo's camera; the first of the two that come back is the one who may bid.
async function meet(ada, grace) {
  await ada.open(`/${query}`);
  const camera = await ada.page.locator(".card", { hasText: "Rangefinder" }).locator("a").getAttribute("href");
  await ada.watch(camera);
  await grace.watch(camera);
  const isAdas = await ada.page.locator('[data-standing="leading"]').isVisible();
  return isAdas ? [grace, ada] : [ada, grace];
}

async function bidding(ada, grace) {
  const [first, second] = await meet(ada, grace);
  const minimum = Number(await first.page.inputValue("#price"));
  const lot = await first.page.locator("[data-auction]").getAttribute("data-auction");
  await first.sees("watchers", "2", 15_000);
  await second.sees("watchers", "2", 15_000);

  await first.bid("1");
  assert.match(await first.answer(/Too low/), /Too low: the next bid is €[\d.,]+ or more\./);
  await first.shot("too-low");

  await first.bid(minimum.toFixed(2));
  const price = `€${minimum.toFixed(2)}`;
  await second.sees("price", price, 15_000);
  await second.sees("bidder", first.name, 15_000);
  await first.answer(/Your bid counts/);
  await first.page.waitForSelector('[data-standing="leading"]:visible');

  // Straight back, in the other direction; the first bidder is told of it.
  const next = await second.page.inputValue("#price");
  await second.bid(next);
  await first.sees("price", `€${next}`, 15_000);
  await first.page.waitForSelector('[data-standing="outbid"]:visible');
  await first.shot("outbid");
  await second.shot("leading");

  // The front page moves too, and a watcher who leaves is counted out.
  await second.open(`/${query}`);
  await second.page.waitForSelector('[data-floor="live"]');
  await first.sees("watchers", "1", 30_000); // a polling browser may leave without a word: two pings
  const last = await first.page.inputValue("#price");
  await first.bid(last);
  await second.page.locator(`[data-card="${lot}"] [data-field="price"]`, { hasText: `€${last}` }).waitFor();
  await second.shot("front");
}

// The server goes away and comes back; whoever starts this script does it, between two lines.
async function restarting(ada, grace) {
  const [first, second] = await meet(ada, grace);
  const input = createInterface({ input: process.stdin });
  const isBack = new Promise((resolve) => input.once("line", resolve));
  console.log("stop the server");
  await first.page.waitForSelector('[data-live="lost"]');
  await first.bid(await first.page.inputValue("#price"));
  await first.answer(/The connection is lost/);
  await first.shot("lost");
  console.log("start the server");
  await isBack;
  input.close();
  for (const person of [first, second]) {
    await person.page.waitForSelector('[data-live="on"]', { timeout: 30_000 });
    await person.sees("watchers", "2", 15_000);
  }
  const amount = await first.page.inputValue("#price");
  await first.bid(amount);
  await second.sees("price", `€${amount}`, 15_000);
}

async function ending(ada, grace) {
  const path = await sell(ada, `Ends in a moment, ${scenario}`);
  await grace.watch(path);
  await ada.watch(path);
  assert.ok(await ada.page.locator("text=This is your own item").isVisible());
  await grace.bid("10");
  await grace.answer(/Your bid counts/);
  await ada.sees("bidder", "grace", 15_000);
  await grace.page.waitForSelector(".timer.urgent");
  await grace.shot("last-seconds");
  await grace.sees("result", "Sold to grace for €10.00.", (RUNS_FOR + 15) * 1000);
  await ada.sees("result", "Sold to grace for €10.00.", 15_000);
  await grace.page.waitForSelector("[data-won]:visible");
  assert.equal(await grace.page.locator("[data-bid]").isVisible(), false);
  await grace.shot("won");
  await grace.page.click("[data-won] a");
  await grace.page.waitForSelector("[data-purchases]");
  assert.match(await grace.page.locator("[data-purchases] li").first().textContent(), new RegExp(`Ends in a moment, ${scenario}`));
  await grace.shot("purchases");
  await ada.open("/purchases");
  assert.doesNotMatch(await ada.page.locator("main").textContent(), /Ends in a moment/);
}

const browser = await chromium.launch({ executablePath: chromiumPath, args: FLAGS });
try {
  const ada = await Person.enter(browser, "ada");
  const grace = await Person.enter(browser, "grace");
  if (scenario === "restart") {
    await restarting(ada, grace);
  } else {
    await bidding(ada, grace);
    await ending(ada, grace);
  }
  for (const person of [ada, grace]) assert.deepEqual(person.troubles, []);
  console.log(`${scenario}: ok`);
} finally {
  await browser.close();
}
