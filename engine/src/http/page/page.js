// The status page: asks /status each second and /history each five, and shows what they say. Whatever comes from
// outside is set as text, never as markup.

import { drawCharts, keepHistory } from "./charts.js";
import { count, duration } from "./words.js";

const STATUS_EVERY_MS = 1000;
const HISTORY_EVERY_MS = 5000;
/** Looks over which a rate is taken. */
const RATE_LOOKS = 5;
const MARKS = { ok: "●", degraded: "▲", failed: "✖" };

/** Frames of each feed and points of each sink at the last looks. */
const looks = [];
let answeredAt = Date.now();

const byId = (id) => document.getElementById(id);

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

const sum = (reasons) => Object.values(reasons).reduce((all, n) => all + n, 0);

/** Rows of a table: a heading and, a row, its cells; a cell is a text, or { text, className } or { node }. */
function fill(table, heads, rows, caption) {
  const head = element("tr");
  heads.forEach(([name, className]) => head.append(element("th", name, className)));
  const body = element("tbody");
  for (const row of rows) {
    const line = element("tr");
    row.forEach((cell, at) => {
      const made = element(at === 0 ? "th" : "td", cell?.text ?? (cell?.node ? undefined : cell), cell?.className);
      if (cell?.node) made.append(cell.node);
      if (heads[at][1]) made.classList.add(heads[at][1]);
      line.append(made);
    });
    body.append(line);
  }
  const top = element("thead");
  top.append(head);
  table.replaceChildren(...(caption ? [element("caption", caption)] : []), top, body);
}

function marked(name, state) {
  const node = element("span");
  node.append(element("span", `${MARKS[state] ?? ""} `, state), name);
  node.title = state;
  return { node };
}

const alarming = (n) => ({ text: count(n), className: n > 0 ? "warn" : "" });

function perSecond(status, read) {
  const [old, now] = [looks[0], looks.at(-1)];
  const span = now.elapsed_s - old.elapsed_s;
  return span > 0 ? (read(now) - (read(old) ?? 0)) / span : 0;
}

function alertItem(alert) {
  const item = element("li", undefined, alert.severity === "page" ? "failed" : "degraded");
  const since = new Date(alert.since_ns / 1e6).toISOString().slice(11, 19);
  const next = `alert since ${since} UTC; docs/RUNBOOK.md#${alert.name} says what to do`;
  item.append("⚑ ", element("b", alert.name), element("span", ` ${alert.summary}`, "cause"), element("span", next, "next"));
  return item;
}

function showParts(parts, alerts) {
  const wrong = parts.filter((part) => part.state !== "ok");
  const failed = wrong.filter((part) => part.state === "failed").length;
  const items = wrong.map((part) => {
    const item = element("li", undefined, part.state);
    const text = element("span", ` ${part.cause}`, "cause");
    item.append(`${MARKS[part.state]} `, element("b", part.name), text, element("span", part.next, "next"));
    return item;
  });
  items.push(...alerts.map(alertItem));
  byId("wrong").hidden = items.length === 0;
  byId("wrong").querySelector("ul").replaceChildren(...items);
  const said = [[failed, "failed"], [wrong.length - failed, "degraded"]].filter(([n]) => n > 0);
  const text = said.map(([n, what]) => `${n} ${what}`).join(", ") || "all is well";
  verdict(text, failed > 0 ? "failed" : wrong.length > 0 ? "degraded" : "ok");
}

function verdict(text, state) {
  byId("verdict").textContent = `${MARKS[state] ?? "?"} ${text}`;
  byId("verdict").className = state;
  document.title = state === "ok" ? "tickline" : `${MARKS[state] ?? "?"} ${text} – tickline`;
}

function showFeeds(status, states, nowNs) {
  const heads = [["feed"], ["msg/s"], ["last tick"], ["lag", "extra"], ["lost"], ["holes", "extra"], ["undecodable", "extra"], ["messages", "extra"], ["points", "extra"]];
  const rows = Object.entries(status.feeds).filter(([name]) => name !== "_engine").map(([name, feed]) => [
    marked(name, states.get(`feeds.${name}`) ?? "unknown"),
    count(perSecond(status, (look) => look.feeds[name])),
    feed.last_ns === null ? "never" : `${duration(Math.max(0, nowNs - feed.last_ns))} ago`,
    duration(feed.lag_ns),
    feed.gaps === null ? "unknown" : alarming(feed.ledger.lost_before_receive + feed.ledger.lost_overload),
    count(feed.gaps),
    alarming(feed.ledger.undecodable),
    count(feed.frames),
    count(feed.points),
  ]);
  fill(byId("feeds"), heads, rows);
}

function showSinks(status, states) {
  const heads = [["sink"], ["points/s"], ["written"], ["in flight", "extra"], ["on disk"], ["rejected"], ["dropped"], ["to stored p50", "extra"], ["p99", "extra"], ["p99.9", "extra"]];
  const worst = (name) => ["failed", "degraded"].find((state) => [`sinks.${name}`, `sinks.${name}.spool`].some((part) => states.get(part) === state)) ?? "ok";
  const rows = Object.entries(status.sinks).map(([name, sink]) => [
    marked(name, worst(name)),
    count(perSecond(status, (look) => look.sinks[name])),
    count(sink.ledger.written),
    count(sink.ledger.in_flight),
    count(sink.ledger.spooled),
    alarming(sum(sink.ledger.rejected)),
    alarming(sum(sink.ledger.dropped)),
    ...["p50", "p99", "p999"].map((quantile) => duration(sink.publish_to_ack_ns.count > 0 ? sink.publish_to_ack_ns[quantile] : null)),
  ]);
  fill(byId("sinks"), heads, rows);
}

function showPublishers(status, states) {
  const publishers = Object.entries(status.publishers);
  byId("publishing").hidden = publishers.length === 0;
  const heads = [["publisher"], ["state"], ["from the venue"], ["sent"], ["subscribers"], ["why", "text"]];
  const rows = publishers.map(([name, of]) => [
    marked(name, states.get(`publishers.${name}`)),
    of.state,
    count(of.venue_messages),
    count(of.messages),
    count(of.subscribers_joined),
    of.why,
  ]);
  fill(byId("publishers"), heads, rows);
}

function showStages(status) {
  const queues = Object.entries(status.queues).map(([name, queue]) => {
    const meter = element("meter");
    [meter.max, meter.value] = [queue.capacity, queue.waiting];
    [meter.low, meter.high, meter.optimum] = [queue.capacity / 2, queue.capacity * 0.9, 0];
    return [name, count(queue.waiting), count(queue.capacity), { node: meter }];
  });
  fill(byId("queues"), [["queue before"], ["waiting"], ["of"], ["fill"]], queues);
  const named = [...Object.entries(status.latency_ns), ...Object.entries(status.sinks).map(([name, sink]) => [`${name}: one write`, sink.write_ns])];
  const rows = named.filter(([, of]) => of.count > 0 || of.negative > 0).map(([name, of]) => [
    name.replaceAll("_", " "), duration(of.p50), duration(of.p99), duration(of.p999), duration(of.max), alarming(of.negative),
  ]);
  fill(byId("latencies"), [["latency since the start"], ["p50"], ["p99"], ["p99.9"], ["max"], ["below 0", "extra"]], rows);
}

function showLedger(ledger) {
  const dropped = sum(ledger.dropped_frames);
  const { balanced } = ledger;
  const rows = [
    ["messages", `${count(ledger.published)} published = ${count(ledger.sequenced)} numbered − ${count(ledger.duplicate)} duplicate + ${count(ledger.lost_before_receive)} lost before receive + ${count(ledger.lost_overload)} lost by overload`],
    ["frames", `${count(ledger.received)} received = ${count(ledger.decoded)} decoded + ${count(ledger.control)} control + ${count(ledger.undecodable)} undecodable + ${count(dropped)} dropped + ${count(ledger.queued)} queued`],
    ["points made", `${count(ledger.candidates)} candidates = ${count(ledger.points_made)} made + ${count(sum(ledger.suppressed))} suppressed + ${count(ledger.bad_points)} bad`],
    ["points stored", `${count(ledger.points)} given + ${count(ledger.recovered)} recovered = ${count(ledger.written)} written + ${count(sum(ledger.rejected))} rejected + ${count(sum(ledger.dropped))} dropped + ${count(ledger.spooled)} on disk + ${count(ledger.in_flight)} in flight`],
  ].map(([name, text]) => [name, { text, className: "text" }]);
  rows.push(["balance", { text: balanced ? "● it balances" : "✖ it does not balance", className: `text ${balanced ? "ok" : "failed"}` }]);
  fill(byId("ledger"), [["equation"], ["", "text"]], rows);
}

function show(status, nowNs) {
  const states = new Map(status.parts.map((part) => [part.name, part.state]));
  const feeds = Object.fromEntries(Object.entries(status.feeds).map(([name, feed]) => [name, feed.frames]));
  const sinks = Object.fromEntries(Object.entries(status.sinks).map(([name, sink]) => [name, sink.ledger.written]));
  // Another run counts from 0 again.
  if (looks.length > 0 && looks.at(-1).elapsed_s > status.elapsed_s) looks.length = 0;
  looks.push({ elapsed_s: status.elapsed_s, feeds, sinks });
  if (looks.length > RATE_LOOKS) looks.shift();
  byId("run").textContent = `${status.command} for ${duration(status.elapsed_s * 1e9)} · version ${status.build.version} (${status.build.profile}) · ${count(status.host.cores)} cores`;
  showParts(status.parts, status.alerts);
  showFeeds(status, states, nowNs);
  showSinks(status, states);
  showPublishers(status, states);
  showStages(status);
  showLedger(status.ledger);
}

async function ask(path) {
  const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(4000) });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return [await answer.json(), answer.headers];
}

async function lookAtStatus() {
  try {
    const [status, headers] = await ask("status");
    answeredAt = Date.now();
    // Ages are told by the engine's clock, not by this machine's.
    show(status, Number(headers.get("tickline-clock-ns")));
  } catch {
    verdict(`no answer for ${Math.round((Date.now() - answeredAt) / 1000)} s`, "failed");
  }
  setTimeout(lookAtStatus, STATUS_EVERY_MS);
}

async function lookAtHistory() {
  try {
    const [history] = await ask(`history?since=${keepHistory()}`);
    keepHistory(history);
    drawCharts(byId("charts"));
  } catch {
    // lookAtStatus says that there is no answer.
  }
  setTimeout(lookAtHistory, HISTORY_EVERY_MS);
}

addEventListener("resize", () => drawCharts(byId("charts")));
lookAtStatus();
lookAtHistory();
