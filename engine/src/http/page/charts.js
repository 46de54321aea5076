// Charts of the last 15 minutes, drawn as SVG: time to the right, gaps where there is no value.

import { duration } from "./words.js";

const SAMPLES_MAX = 180;
const COLOURS = 8;
const HEIGHT = 150;
const EDGE = { left: 46, right: 8, top: 8, bottom: 18 };

/** Of each: its series, how a value is spoken (else as a number), and the least height of the picture (else 1). */
const CHARTS = [
  { title: "Messages a second", match: /^feeds\.(.+)\.frames_per_s$/ },
  { title: "Points stored a second", match: /^sinks\.(.+)\.points_per_s$/ },
  { title: "Latency p99", match: /^latency\.(?!due_)(.+)\.p99_ms$/, spoken: (ms) => duration(ms === null ? null : ms * 1e6), least: 0.001 },
  { title: "Points that wait, in memory or on disk", match: /^sinks\.(.+)\.waiting$/ },
  { title: "Messages lost a second", match: /^feeds\.(.+)\.lost_per_s$/ },
];

const kept = { at_ms: [], series: new Map(), every_s: 5 };
/** Time under the pointer, ms; null: none. */
let pointed = null;

/** Adds what is new; returns the time of the last sample, ms. */
export function keepHistory(news) {
  if (news && news.at_ms.length > 0) {
    const behind = kept.at_ms.length;
    kept.every_s = news.every_s;
    kept.at_ms.push(...news.at_ms);
    for (const [name, values] of Object.entries(news.series)) {
      if (!kept.series.has(name)) kept.series.set(name, Array(behind).fill(null));
      kept.series.get(name).push(...values);
    }
    for (const [name, values] of kept.series) {
      while (values.length < kept.at_ms.length) values.push(null);
      kept.series.set(name, values.slice(-SAMPLES_MAX));
    }
    kept.at_ms = kept.at_ms.slice(-SAMPLES_MAX);
  }
  return kept.at_ms.at(-1) ?? 0;
}

function svg(tag, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value));
  if (text !== undefined) made.textContent = text;
  return made;
}

function short(n) {
  if (n === null || n === undefined) return "–";
  const [size, unit] = [[1e9, "G"], [1e6, "M"], [1e3, "k"]].find(([size]) => Math.abs(n) >= size) ?? [1, ""];
  const value = n / size;
  return `${Number(value.toPrecision(3))}${unit}`;
}

/** The smallest of 1, 2 and 5 times a power of ten that is not below n. */
function ceiling(n) {
  const power = 10 ** Math.floor(Math.log10(n));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= n);
}

/** The series of a chart, those with the highest last value first; of too many the rest is left out and counted. */
function seriesOf(chart) {
  const found = [];
  for (const [name, values] of kept.series) {
    const named = name.match(chart.match);
    if (named) found.push({ name: named[1].replaceAll("_", " "), values });
  }
  const height = (values) => Math.max(...values.map((value) => value ?? 0));
  found.sort((a, b) => height(b.values) - height(a.values));
  return found;
}

function draw(chart, figure) {
  const all = seriesOf(chart);
  const series = all.slice(0, COLOURS);
  const picture = figure.querySelector("svg");
  const width = picture.clientWidth || 400;
  picture.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  const end = kept.at_ms.at(-1) ?? Date.now();
  const span = SAMPLES_MAX * kept.every_s * 1000;
  const spoken = chart.spoken ?? short;
  const top = ceiling(Math.max(chart.least ?? 1, ...series.flatMap(({ values }) => values.filter((value) => value !== null))));
  const x = (ms) => EDGE.left + (1 - (end - ms) / span) * (width - EDGE.left - EDGE.right);
  const y = (value) => HEIGHT - EDGE.bottom - (value / top) * (HEIGHT - EDGE.top - EDGE.bottom);
  const parts = [];
  for (const part of [0, 0.5, 1]) {
    const at = y(top * part);
    parts.push(svg("line", { class: "grid", x1: EDGE.left, x2: width - EDGE.right, y1: at, y2: at }));
    parts.push(svg("text", { x: EDGE.left - 5, y: at + 4, "text-anchor": "end" }, spoken(top * part)));
  }
  for (const minutes of [15, 10, 5, 0]) {
    const anchor = minutes === 15 ? "start" : minutes === 0 ? "end" : "middle";
    const text = minutes === 0 ? "now" : `−${minutes} min`;
    parts.push(svg("text", { x: x(end - minutes * 60000), y: HEIGHT - 4, "text-anchor": anchor }, text));
  }
  series.forEach(({ values }, colour) => parts.push(line(values, colour, x, y)));
  if (pointed !== null) {
    const at = x(kept.at_ms[nearest()]);
    parts.push(svg("line", { class: "cursor", x1: at, x2: at, y1: EDGE.top, y2: HEIGHT - EDGE.bottom }));
  }
  picture.replaceChildren(...parts);
  picture.timeAt = (offset) => end - (1 - (offset - EDGE.left) / (width - EDGE.left - EDGE.right)) * span;
  legend(figure.querySelector("ul"), series, all.length - series.length, spoken);
}

function line(values, colour, x, y) {
  let path = "";
  values.forEach((value, at) => {
    if (value === null) return;
    const from = at === 0 || values[at - 1] === null ? "M" : "L";
    path += `${from}${x(kept.at_ms[at]).toFixed(1)} ${y(value).toFixed(1)}`;
    // A value between two gaps is a dot.
    if (from === "M") path += "h0.1";
  });
  return svg("path", { class: `c${colour}`, d: path });
}

/** Position of the sample under the pointer, else of the last one. */
function nearest() {
  if (pointed === null) return kept.at_ms.length - 1;
  const away = kept.at_ms.map((at) => Math.abs(at - pointed));
  return away.indexOf(Math.min(...away));
}

function legend(list, series, more, spoken) {
  const at = nearest();
  const items = series.map(({ name, values }, colour) => {
    const item = document.createElement("li");
    const text = document.createElement("span");
    item.className = `c${colour}`;
    text.textContent = `${name} ${spoken(values[at])}`;
    item.append(text);
    return item;
  });
  if (pointed !== null && at >= 0) {
    items.push(document.createElement("li"));
    items.at(-1).textContent = new Date(kept.at_ms[at]).toISOString().slice(11, 19) + " UTC";
  } else if (more > 0) {
    items.push(document.createElement("li"));
    items.at(-1).textContent = `and ${more} lower ones`;
  }
  list.replaceChildren(...items);
}

function figureOf(place, chart) {
  const found = [...place.children].find((figure) => figure.dataset.title === chart.title);
  if (found) return found;
  const figure = document.createElement("figure");
  figure.dataset.title = chart.title;
  const caption = document.createElement("figcaption");
  caption.textContent = chart.title;
  const picture = svg("svg", { role: "img", "aria-label": chart.title });
  const point = (time) => {
    pointed = time;
    drawCharts(place);
  };
  picture.addEventListener("pointermove", (event) => point(picture.timeAt?.(event.offsetX) ?? null));
  picture.addEventListener("pointerleave", () => point(null));
  const list = document.createElement("ul");
  list.className = "legend";
  figure.append(caption, picture, list);
  place.append(figure);
  return figure;
}

/** Draws every chart that has a series. */
export function drawCharts(place) {
  for (const chart of CHARTS) {
    if (seriesOf(chart).length > 0) draw(chart, figureOf(place, chart));
  }
}
