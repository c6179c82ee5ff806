// Lays out the page's data. Nothing is fetched but the pictures beside this file, and every name is
// inserted as text, never as markup.
"use strict";

const atlas = JSON.parse(document.getElementById("data").textContent);
const place = (id) => document.getElementById(id);
const AT_ONCE = 400; // units in the grid before "Show more"

// All units, with the values to search and sort by.
const everyUnit = atlas.layers.flatMap((layer) =>
  layer.units.map((unit, number) => ({
    layer,
    number,
    ...unit,
    dead: unit.top.length === 0,
    peak: unit.top.length ? unit.top[0][0] : 0,
    preferred: unit.top.length && unit.classes ? atlas.classes[unit.classes[0][0]] : "",
  }))
);

const ORDERS = [
  ["unit", "unit number", () => 0],
  ["peak", "strongest activation", (a, b) => b.peak - a.peak],
  ["selectivity", "class selectivity", (a, b) => b.selectivity - a.selectivity],
  ["frequent", "highest activation frequency", (a, b) => b.activation_frequency - a.activation_frequency],
  ["rare", "lowest activation frequency", (a, b) => a.activation_frequency - b.activation_frequency],
].slice(0, atlas.statistics ? 5 : 2);

const state = { layer: atlas.layers[0], unit: null, shown: [], limit: AT_ONCE };

// Small helpers

function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function drawn(tag, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

const short = (value) => Number(value.toPrecision(3)).toString();
const percent = (share) => {
  const hundredths = 100 * share;
  if (share > 0 && hundredths < 0.1) return "less than 0.1 %";
  if (share < 1 && hundredths > 99.9) return "more than 99.9 %";
  return `${hundredths.toFixed(hundredths < 10 ? 1 : 0)} %`;
};
const spaced = (number) => number.toLocaleString("en").replaceAll(",", "\u202f");
const count = (number, what) => `${spaced(number)} ${what}${number === 1 ? "" : "s"}`;
const address = (layer, number) =>
  `#${encodeURIComponent(layer.name)}${number === undefined ? "" : `/${number}`}`;

// Pictures: a sheet has a column for each activation, patches above projections

function tile(unit, column, row, alt) {
  const { k, folder } = atlas;
  const { number, tile: [high, wide] } = unit.layer;
  const image = make("img", {
    src: `${folder}/${number}/${unit.number}.png`,
    alt,
    loading: "lazy",
    decoding: "async",
    style: `width:${100 * k}%;height:200%;left:${-100 * column}%;top:${-100 * row}%`,
  });
  return make("div", { class: "tile", style: `aspect-ratio:${wide}/${high}` }, image);
}

// The grid

function entry(unit, withLayer) {
  const name = `unit ${unit.number}`;
  const link = make("a", { href: address(unit.layer, unit.number) });
  if (unit.dead) {
    link.append(make("div", { class: "dead" }, "dead"));
  } else {
    link.append(make("div", { class: "pair" },
      tile(unit, 0, 0, `Patch with the strongest activation of ${name} of ${unit.layer.name}`),
      tile(unit, 0, 1, "and its projection")));
  }
  link.append(make("div", { class: "name" }, name,
    make("span", {}, unit.dead ? "" : short(unit.peak))));
  if (withLayer) link.append(make("div", { class: "layer" }, unit.layer.name));
  return make("li", {}, link);
}

function found() {
  const words = place("search").value.toLowerCase().split(/[\s/]+/)
    .filter((word) => word && word !== "unit");
  const fits = (unit) => words.every((word) =>
    word === "dead" ? unit.dead
      : /^\d+$/.test(word) ? unit.number === Number(word) || unit.layer.name === word
        : unit.layer.name.toLowerCase().includes(word) || unit.preferred.toLowerCase().includes(word));
  const among = words.length ? everyUnit.filter(fits)
    : everyUnit.filter((unit) => unit.layer === state.layer);
  const order = ORDERS.find(([key]) => key === place("sort").value) || ORDERS[0];
  return among.sort((a, b) => order[2](a, b) || a.layer.number - b.layer.number || a.number - b.number);
}

function showGrid() {
  const searching = place("search").value.trim() !== "";
  state.shown = found();
  const some = state.shown.slice(0, state.limit);
  place("units").replaceChildren(...some.map((unit) => entry(unit, searching)));
  place("more").hidden = some.length === state.shown.length;
  const dead = state.shown.filter((unit) => unit.dead).length;
  const tail = dead ? `, ${dead} of them dead` : "";
  place("count").textContent = searching
    ? `${count(state.shown.length, "unit")} found in all layers${tail}`
    : `${count(state.shown.length, "unit")} of ${state.layer.name}${tail}. ${state.layer.receptive_field}`;
  for (const link of place("layers").children) {
    if (!searching && link.dataset.layer === state.layer.name) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
  markChosen();
}

function markChosen() {
  const here = state.unit ? address(state.unit.layer, state.unit.number) : null;
  for (const link of place("units").querySelectorAll("a")) {
    if (link.getAttribute("href") === here) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

// One unit

function tiles(unit, row, what, caption) {
  const columns = Math.ceil(Math.sqrt(atlas.k));
  const images = unit.top.map(([value, picture], nth) => {
    const alt = `${what} ${nth + 1} of ${unit.top.length}: activation ${short(value)}, picture ${picture}`;
    const made = tile(unit, nth, row, alt);
    made.title = alt;
    return made;
  });
  return make("figure", {},
    make("div", { class: "tiles", style: `grid-template-columns:repeat(${columns},1fr)` }, ...images),
    make("figcaption", {}, caption));
}

function statistics(unit) {
  const list = make("dl");
  const add = (term, value) => list.append(make("dt", {}, term), make("dd", {}, value));
  if (!unit.dead) add("strongest activation", short(unit.peak));
  if (atlas.statistics) {
    add("mean activation", short(unit.mean));
    add("activation frequency", `${percent(unit.activation_frequency)} of the pictures`);
    add("active positions", `${percent(unit.active)} of all`);
    if (unit.preferred) {
      add("preferred class", `${unit.preferred}, selectivity ${unit.selectivity.toFixed(2)} (0 none, 1 this class alone)`);
    }
  }
  return list;
}

function classMeans(unit) {
  if (!unit.classes || unit.dead || unit.classes.length < 2) return [];
  const most = unit.classes[0][1];
  const rows = unit.classes.flatMap(([label, mean]) => {
    const bar = make("i", { style: `width:${most > 0 ? 100 * Math.max(0, mean) / most : 0}%` });
    return [make("span", {}, atlas.classes[label]), make("div", {}, bar), make("span", {}, short(mean))];
  });
  return [make("h3", {}, "Mean activation by class"), make("div", { class: "bars" }, ...rows)];
}

function histogram(unit) {
  if (!unit.histogram) return [];
  const { inactive, first, counts } = unit.histogram;
  const words = `Inactive in ${spaced(inactive)} of ${count(atlas.pictures, "picture")}.`;
  const heading = make("h3", {}, "Peak activation by picture");
  if (!counts.length) return [heading, make("p", {}, words)];
  const [wide, high, left, below] = [420, 130, 8, 30];
  const most = Math.max(...counts), step = (wide - 2 * left) / counts.length;
  const edge = (nth) => atlas.edges[Math.min(first + nth, atlas.edges.length - 1)];
  const peak = counts.indexOf(most);
  const mode = `Most often, in ${count(most, "picture")}, its peak lies between ${short(edge(peak))} and ${short(edge(peak + 1))}.`;
  const svg = drawn("svg", { viewBox: `0 0 ${wide} ${high + below}`, role: "img",
    "aria-label": `Pictures by the unit's peak, from ${short(edge(0))} to ${short(edge(counts.length))}. ${mode}` });
  counts.forEach((number, nth) => {
    const tall = (high - 6) * number / most;
    const bar = drawn("rect", { x: left + nth * step, y: high - tall, width: Math.max(0.5, step - 1), height: tall });
    bar.append(drawn("title", {}, `${short(edge(nth))} to ${short(edge(nth + 1))}: ${count(number, "picture")}`));
    svg.append(bar);
  });
  svg.append(drawn("line", { x1: left, x2: wide - left, y1: high, y2: high }));
  const ends = [[left, "start", 0], [wide / 2, "middle", counts.length >> 1], [wide - left, "end", counts.length]];
  for (const [x, anchor, nth] of counts.length > 3 ? ends : [ends[0], ends[2]]) {
    const at = anchor === "middle" ? left + nth * step : x;
    svg.append(drawn("text", { x: at, y: high + 14, "text-anchor": anchor }, short(edge(nth))));
  }
  svg.append(drawn("text", { x: wide / 2, y: high + 27, "text-anchor": "middle" },
    "the unit's peak in a picture, two bins per octave"));
  return [heading, svg, make("p", { class: "soft" }, `${mode} ${words}`)];
}

function positions(unit) {
  const rows = unit.top.map(([value, picture, label, y, x], nth) => make("tr", {},
    make("th", { scope: "row" }, `${nth + 1}`), make("td", {}, short(value)),
    make("td", {}, `${picture}`), make("td", {}, atlas.classes[label] ?? ""),
    make("td", {}, `${y}, ${x}`)));
  const head = ["", "activation", "picture", "class", "row, column"];
  return [make("h3", {}, "Positions"), make("table", {},
    make("thead", {}, make("tr", {}, ...head.map((name) => make("th", { scope: "col" }, name)))),
    make("tbody", {}, ...rows))];
}

function showUnit() {
  const unit = state.unit, section = place("unit");
  document.title = unit ? `${unit.layer.name}/${unit.number}, ${atlas.title}` : atlas.title;
  markChosen();
  if (!unit) {
    section.replaceChildren(make("p", { class: "soft hint" }, "Choose a unit to see all of its pictures."));
    return;
  }
  const parts = [make("p", { class: "back" },
    make("a", { href: address(unit.layer) }, `All units of ${unit.layer.name}`)),
  make("h2", {}, `${unit.layer.name}, unit ${unit.number}`),
    make("p", { class: "soft" }, unit.layer.receptive_field)];
  if (unit.dead) {
    parts.push(make("p", {}, `This unit is dead: it is not above zero anywhere in any of the ${count(atlas.pictures, "picture")}.`));
  } else {
    parts.push(make("div", { class: "nines" },
      tiles(unit, 0, "Patch", "Patches of the pictures with its strongest activations, row by row from the strongest"),
      tiles(unit, 1, "Projection", `Their projections, rule ${atlas.rule}`)));
  }
  parts.push(statistics(unit), ...classMeans(unit), ...(unit.dead ? [] : histogram(unit)),
    ...(unit.dead ? [] : positions(unit)));
  section.replaceChildren(...parts);
  section.scrollTop = 0;
}

// The address says which layer and unit is shown

function follow() {
  const [name, number] = location.hash.slice(1).split("/").map((part) => {
    try { return decodeURIComponent(part); } catch { return ""; }
  });
  const layer = atlas.layers.find((one) => one.name === name);
  const unit = layer && /^\d+$/.test(number ?? "")
    ? everyUnit.find((one) => one.layer === layer && one.number === Number(number)) : undefined;
  const before = state.layer;
  state.layer = layer ?? state.layer;
  state.unit = unit ?? null;
  if (layer && !unit) place("search").value = "";
  if (state.layer !== before || !place("units").children.length || (layer && !unit)) {
    state.limit = AT_ONCE;
    showGrid();
  }
  showUnit();
  if (unit && matchMedia("(max-width: 62rem)").matches) place("unit").scrollIntoView();
}

function step(by) {
  const at = state.shown.indexOf(state.unit);
  const next = state.shown[at < 0 ? 0 : at + by];
  if (!next) return;
  location.hash = address(next.layer, next.number);
  follow(); // the event comes later than the next key may
  const link = place("units").children[state.shown.indexOf(next)];
  if (link) link.scrollIntoView({ block: "nearest" });
}

// Start

for (const [key, name] of ORDERS) place("sort").append(make("option", { value: key }, name));
for (const layer of atlas.layers) {
  const link = make("a", { href: address(layer) }, layer.name);
  link.dataset.layer = layer.name;
  place("layers").append(link);
}
let waiting = 0;
place("search").addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => { state.limit = AT_ONCE; showGrid(); }, 120);
});
place("sort").addEventListener("change", showGrid);
place("finder").addEventListener("submit", (event) => event.preventDefault());
place("more").addEventListener("click", () => { state.limit += AT_ONCE; showGrid(); });
place("skip").addEventListener("click", (event) => { event.preventDefault(); place("units").focus(); });
document.addEventListener("keydown", (event) => {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/" && !typing) { event.preventDefault(); place("search").focus(); }
  if (event.key === "Escape" && typing) { place("search").value = ""; showGrid(); place("units").focus(); }
  if (!typing && event.key === "ArrowRight") step(1);
  if (!typing && event.key === "ArrowLeft") step(-1);
});
addEventListener("hashchange", follow);
follow();
