
"use strict";

const LISTED = 10; // rows of a table
const BARS = 10; // that are there before one asks for more
const REACH = { mouse: 12, pen: 16, touch: 24 }; // pixels
// Okabe and Ito's colours, which the colour-blind can tell apart. The one that
// the background would swallow is left out.
const COLOURS = ["#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9"];
const LAST = { light: "#000000", dark: "#f0e442" };

const data = JSON.parse(document.getElementById("data").textContent);
const count = data.title.length;
const shown = new Uint8Array(count).fill(1);
const chosen = { genres: new Set(), moods: new Set() };
const dark = matchMedia("(prefers-color-scheme: dark)");

const element = (id) => document.getElementById(id);
const number = (value) => value.toLocaleString("en");

function make(tag, text = "", properties = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  return Object.assign(made, properties);
}

/* Names of a track */

const nameOf = (column, track) =>
  column.of[track].map((index) => column.names[index]).join("; ");

const plain = (text) =>
  text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

let texts = null; // made when first searched

function textOf(track) {
  texts ??= data.title.map((title, each) =>
    plain([nameOf(data.artist, each), title, nameOf(data.album, each)].join("\n")));
  return texts[track];
}

/* Filters: all that is chosen has to hold */

function filter() {
  const words = plain(element("search").value).split(/\s+/).filter(Boolean);
  const wanted = Object.entries(chosen).map(([name, set]) => [data[name].of, [...set]]);
  for (let track = 0; track < count; track++) {
    shown[track] =
      wanted.every(([of, names]) => names.every((each) => of[track].includes(each))) &&
      words.every((word) => textOf(track).includes(word));
  }
}

function update() {
  filter();
  const left = shown.reduce((sum, each) => sum + each, 0);
  element("shown").textContent = `${number(left)} of ${number(count)} tracks shown`;
  bars.forEach((each) => each.update(left));
  hideTip();
  draw();
  fillTables();
}

/* Bars */

function tally(name) {
  const counts = new Uint32Array(data[name].names.length);
  data[name].of.forEach((each, track) => {
    if (shown[track]) each.forEach((index) => counts[index]++);
  });
  return counts;
}

const ranked = (counts) => [...counts.keys()].sort((a, b) => counts[b] - counts[a]);

function makeBars(name) {
  const rows = ranked(tally(name)).map((index) => {
    const button = make("button", "", { type: "button" });
    const amount = make("span");
    button.append(make("span", data[name].names[index]), amount);
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => {
      if (!chosen[name].delete(index)) chosen[name].add(index);
      update();
    });
    return { index, button, amount };
  });
  const more = make("button", `${number(rows.length - BARS)} more`, { type: "button" });
  more.addEventListener("click", () => {
    more.replaceWith(...rows.slice(BARS).map(({ button }) => button));
    rows[BARS].button.focus();
  });
  const here = rows.slice(0, BARS).map(({ button }) => button);
  element(name).append(...here, ...(rows.length > BARS ? [more] : []));
  if (!rows.length) element(name).append(make("p", "none", { className: "note" }));
  return {
    update(left) {
      const counts = tally(name);
      for (const { index, button, amount } of rows) {
        amount.textContent = number(counts[index]);
        button.style.setProperty("--part", `${(100 * counts[index]) / (left || 1)}%`);
        button.setAttribute("aria-pressed", chosen[name].has(index));
      }
    },
  };
}

/* Map */

const canvas = element("map");
const onScreen = { x: new Float32Array(count), y: new Float32Array(count) };
const groups = new Uint8Array(count); // which colour each track has
const places = data.map ? data.map.of : [];
const placed = [...places.keys()].filter((track) => places[track]);
const edge = placed.reduce(
  ([x, y], track) => [
    [Math.min(x[0], places[track][0]), Math.max(x[1], places[track][0])],
    [Math.min(y[0], places[track][1]), Math.max(y[1], places[track][1])],
  ],
  [[0, 0], [0, 0]],
);
const size = Math.max(1.5, Math.min(6, 120 / Math.sqrt(placed.length)));

const palette = () => [...COLOURS, dark.matches ? LAST.dark : LAST.light];
const style = (name) => getComputedStyle(document.body).getPropertyValue(name);

function colour() {
  const name = element("colours").value;
  const firsts = new Uint32Array(data[name].names.length);
  data[name].of.filter((each) => each.length).forEach(([first]) => firsts[first]++);
  const named = ranked(firsts).filter((index) => firsts[index]).slice(0, palette().length);
  data[name].of.forEach(([first], track) => {
    const place = named.indexOf(first);
    groups[track] = place < 0 ? named.length : place;
  });
  const names = [...named.map((index) => data[name].names[index]), "other or none"];
  const swatches = [...palette().slice(0, named.length), style("--other")];
  element("legend").replaceChildren(
    ...names.map((each, index) => {
      const line = make("li");
      const swatch = make("i");
      swatch.style.background = swatches[index];
      line.append(swatch, each);
      return line;
    }),
  );
  return swatches;
}

function arrange() {
  const { clientWidth: width, clientHeight: height } = canvas;
  const scale = devicePixelRatio || 1;
  canvas.width = width * scale;
  canvas.height = height * scale;
  const margin = 12;
  const spans = edge.map(([low, high]) => high - low || 1);
  // The same scale for both: distances are what the map is about.
  const unit = Math.min((width - 2 * margin) / spans[0], (height - 2 * margin) / spans[1]);
  for (const track of placed) {
    const [x, y] = places[track];
    onScreen.x[track] = width / 2 + (x - edge[0][0] - spans[0] / 2) * unit;
    onScreen.y[track] = height / 2 - (y - edge[1][0] - spans[1] / 2) * unit;
  }
}

function draw() {
  if (!data.map) return;
  const pen = canvas.getContext("2d");
  pen.setTransform(canvas.width / canvas.clientWidth, 0, 0, canvas.height / canvas.clientHeight, 0, 0);
  pen.clearRect(0, 0, canvas.clientWidth, canvas.clientHeight);
  const dot = (track) => {
    pen.beginPath();
    pen.arc(onScreen.x[track], onScreen.y[track], size, 0, 2 * Math.PI);
    pen.fill();
  };
  pen.fillStyle = style("--filtered");
  placed.filter((track) => !shown[track]).forEach(dot);
  const swatches = colour();
  // The commonest first, so that they do not hide the others.
  for (const group of [swatches.length - 1, ...swatches.keys()].slice(0, swatches.length)) {
    pen.fillStyle = swatches[group];
    placed.filter((track) => shown[track] && groups[track] === group).forEach(dot);
  }
}

function nearest(x, y, reach) {
  let [best, least] = [-1, reach ** 2];
  for (const track of placed) {
    if (!shown[track]) continue;
    const distance = (onScreen.x[track] - x) ** 2 + (onScreen.y[track] - y) ** 2;
    if (distance < least) [best, least] = [track, distance];
  }
  return best;
}

function hideTip() {
  element("tip").hidden = element("ring").hidden = true;
}

function point(event) {
  const { left, top } = canvas.getBoundingClientRect();
  const track = nearest(event.clientX - left, event.clientY - top, REACH[event.pointerType] ?? REACH.mouse);
  if (track < 0) return hideTip();
  const tip = element("tip");
  const scores = Object.entries(data.scores)
    .filter(([, values]) => values[track] !== null)
    .map(([name, values]) => `${name.replace("mood_", "")} ${score(values[track])}`);
  const lines = [nameOf(data.artist, track), data.title[track], nameOf(data.genres, track), ...scores];
  tip.replaceChildren(...lines.map((line) => make("div", line)));
  const [x, y] = [onScreen.x[track], onScreen.y[track]];
  Object.assign(element("ring").style, { left: `${x}px`, top: `${y}px` });
  tip.hidden = element("ring").hidden = false;
  const beside = x + 14 + tip.offsetWidth <= canvas.clientWidth;
  tip.style.left = `${beside ? x + 14 : Math.max(0, x - 14 - tip.offsetWidth)}px`;
  tip.style.top = `${Math.max(0, Math.min(y, canvas.clientHeight - tip.offsetHeight))}px`;
}

/* Tables */

const score = (value) => (value / data.unit).toFixed(2);

const danceability = data.scores.danceability ?? [];
const danced = [...danceability.keys()]
  .filter((track) => danceability[track] !== null)
  .sort((a, b) => danceability[b] - danceability[a]);

const disagreements = data.disagreements.of;
const apart = (track) => disagreements[track][4] - disagreements[track][2];
const contested = [...disagreements.keys()]
  .filter((track) => disagreements[track])
  .sort((a, b) => apart(b) - apart(a));

function fill(id, heads, order, cells) {
  const found = [];
  for (const track of order) {
    if (found.length === LISTED) break;
    if (shown[track]) found.push(track);
  }
  const line = (tag, content) => {
    const row = make("tr");
    row.append(...content.map((text) => make(tag, text, { className: /^\d\.\d+$/.test(text) ? "number" : "" })));
    return row;
  };
  const rows = found.map((track) =>
    line("td", [nameOf(data.artist, track), data.title[track], ...cells(track)]));
  const none = line("td", ["none"]);
  element(id).replaceChildren(line("th", ["Artist", "Title", ...heads]), ...(rows.length ? rows : [none]));
}

const SAYS = {
  scores: (value) => score(value),
  ranks: (value) => `more than in ${Math.round((100 * value) / data.unit)} %`,
};

function fillTables() {
  const cells = (track) => [score(danceability[track])];
  fill("most", ["Score"], danced, cells);
  fill("least", ["Score"], [...danced].reverse(), cells);
  if (!contested.length) return;
  const { kind, items, sources } = data.disagreements;
  fill("disagreements", ["Item", "Higher", "Lower"], contested, (track) => {
    const [item, lowBy, low, highBy, high] = disagreements[track];
    return [
      items[item],
      `${SAYS[kind](high)} (${sources[highBy]})`,
      `${SAYS[kind](low)} (${sources[lowBy]})`,
    ];
  });
}

/* What does not change */

const ABOUT = {
  scores:
    "For each track, the score on which two sources differ most: two models, " +
    "or a model and the estimate from the auto-taggers' tags.",
  ranks:
    "For each track, the tag on which two auto-taggers differ most, if one of them is sure of it. " +
    "They were trained on different people's tags, so their activations cannot be compared, but ranks " +
    "can: the percentage says in how many of the tracks here the model finds less of the tag.",
};

function describe() {
  const chosenBy = data.query ? ` that match ${data.query}` : "";
  element("counts").textContent =
    `${number(count)} tracks${chosenBy}, ${number(data.analysed)} of them analysed, ${number(data.hours)} hours`;
  element("about-disagreements").textContent = contested.length
    ? ABOUT[data.disagreements.kind]
    : "No two sources differ: nothing here has two scores, or they are the same.";
  element("version").textContent = `Made by ${data.maker}.`;
  element("mapped").hidden = !data.map;
  element("about-map").textContent = data.map
    ? `${number(placed.length)} tracks. Those that sound alike to ${data.map.model} are close together; ` +
      `the map shows ${Math.round(100 * data.map.share)} % of the variance of its embeddings.`
    : "There are no embeddings of these tracks in the cache; beet soundtags -f makes them.";
}

const bars = ["genres", "moods"].map(makeBars);
describe();
arrange();
update();

element("search").addEventListener("input", update);
element("reset").addEventListener("click", () => {
  element("search").value = "";
  Object.values(chosen).forEach((set) => set.clear());
  update();
});
element("colours").addEventListener("change", draw);
dark.addEventListener("change", draw);
canvas.addEventListener("pointermove", point);
canvas.addEventListener("pointerdown", point);
canvas.addEventListener("pointerleave", (event) => {
  if (event.pointerType !== "touch") hideTip();
});
new ResizeObserver(() => {
  hideTip();
  arrange();
  draw();
}).observe(canvas);
