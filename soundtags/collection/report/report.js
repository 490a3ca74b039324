"use strict";

const LISTED = 10; // rows of a table
const BARS = 12; // that are there before one asks for more
const CARDS = 8; // the same of lists

const data = JSON.parse(document.getElementById("data").textContent);
const count = data.title.length;
const shown = new Uint8Array(count).fill(1);
const chosen = { genres: new Set(), moods: new Set() };
const own = { genres: new Set(data.own.genres), moods: new Set(data.own.moods) };

const element = (id) => document.getElementById(id);
const number = (value) => value.toLocaleString("en");
const many = (value, noun) => `${number(value)} ${noun}${value === 1 ? "" : "s"}`;
const tracks = (value) => many(value, "track");
const score = (value) => (value / data.unit).toFixed(2);
const unbroken = (text) => text.replaceAll("-", "\u2011"); // by line ends
const wordOf = (field) => field.replace("mood_", "");

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
  element("shown").textContent = `${number(left)} of ${tracks(count)} shown`;
  bars.forEach((each) => each.update());
  hideTip();
  draw();
  fillTables();
}

function draw() {
  const found = colouring();
  planes.forEach((plane) => plane.draw(found));
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

function makeBar(name, index) {
  const button = make("button", "", { type: "button" });
  const label = make("span", data[name].names[index]);
  const amount = make("span");
  if (name === "moods" && data.taught.includes(data[name].names[index])) {
    label.append(" ", make("small", "taught"));
  }
  button.append(label, amount);
  button.addEventListener("click", () => {
    if (!chosen[name].delete(index)) chosen[name].add(index);
    update();
  });
  return { index, button, amount };
}

/* Fill a box with the first of some elements, and a button for the others. */
function fillBox(box, all, limit) {
  // None is hidden for the sake of a single one.
  const first = all.length > limit + 1 ? limit : all.length;
  box.append(...all.slice(0, first));
  if (first === all.length) return;
  const more = make("button", `${number(all.length - first)} more`, { type: "button" });
  more.addEventListener("click", () => {
    more.replaceWith(...all.slice(first));
    all[first].focus();
  });
  box.append(more);
}

function makeBars(name) {
  const rows = ranked(tally(name)).map((index) => makeBar(name, index));
  fillBox(element(name), rows.map(({ button }) => button), BARS);
  return {
    update() {
      const counts = tally(name);
      const most = counts.reduce((a, b) => Math.max(a, b), 1);
      for (const { index, button, amount } of rows) {
        amount.textContent = number(counts[index]);
        button.style.setProperty("--part", counts[index] / most);
        button.classList.toggle("empty", !counts[index]);
        button.setAttribute("aria-pressed", chosen[name].has(index));
      }
    },
  };
}

/* Tables */

const orders = {}; // of tracks by score, each made when first shown

function orderBy(name) {
  const values = data.scores[name] ?? [];
  orders[name] ??= [...values.keys()]
    .filter((track) => values[track] !== null)
    .sort((a, b) => values[b] - values[a]);
  return orders[name];
}

const disagreements = data.disagreements.of;
const apart = (track) => disagreements[track][4] - disagreements[track][2];
const contested = [...disagreements.keys()]
  .filter((track) => disagreements[track])
  .sort((a, b) => apart(b) - apart(a));

function fill(id, heads, order, cells) {
  const rows = order.map((track) => {
    const row = make("tr");
    const cell = make("td");
    cell.append(data.title[track], " ", make("span", nameOf(data.artist, track), { className: "note" }));
    row.append(cell, ...cells(track).map((text) => make("td", text)));
    return row;
  });
  const head = make("tr");
  head.append(...heads.map((text) => make("th", text)));
  const none = make("tr");
  none.append(make("td", "none", { colSpan: heads.length }));
  element(id).replaceChildren(head, ...(rows.length ? rows : [none]));
}

const SAYS = {
  scores: (value) => score(value),
  ranks: (value) => `${Math.round((100 * value) / data.unit)}\u00a0%`,
};

function fillTables() {
  const name = element("score").value;
  const found = orderBy(name).filter((track) => shown[track]);
  // No track is among the highest and the lowest.
  const half = Math.min(LISTED, Math.ceil(found.length / 2));
  const cells = (track) => [score(data.scores[name][track])];
  fill("most", ["Highest", "Score"], found.slice(0, half), cells);
  fill("least", ["Lowest", "Score"], found.slice(half).slice(-LISTED).reverse(), cells);
  if (!contested.length) return;
  const { kind, items, sources } = data.disagreements;
  const most = contested.filter((track) => shown[track]).slice(0, LISTED);
  fill("disagreements", ["Track", "Item", "Higher", "Lower"], most, (track) => {
    const [item, lowBy, low, highBy, high] = disagreements[track];
    return [
      items[item],
      `${SAYS[kind](high)} (${unbroken(sources[highBy])})`,
      `${SAYS[kind](low)} (${unbroken(sources[lowBy])})`,
    ];
  });
}

function offerScores() {
  const options = Object.keys(data.scores).map((name) => {
    const taught = data.taught.includes(wordOf(name)) ? " (taught)" : "";
    return make("option", wordOf(name) + taught, { value: name });
  });
  element("score").replaceChildren(...options);
}

/* Lists */

function showLists() {
  const cards = data.lists.map(({ title, count: length, first }) => {
    const card = make("article");
    const heading = make("h3", title);
    heading.append(make("span", tracks(length), { className: "note" }));
    const names = make("ol");
    names.append(...first.map((each) => make("li", each, { title: each })));
    card.append(heading, names);
    return card;
  });
  element("lists").hidden = !cards.length;
  fillBox(element("lists").lastElementChild, cards, CARDS);
  element("about-lists").textContent =
    "Made from all tracks of this page, best first; filters do not change them. beet soundlists writes them.";
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

function aboutLabels(name, what) {
  const having = data[name].of.filter((each) => each.length).length;
  const yours = own[name].size;
  return having
    ? `${tracks(having)} with a ${what}: ${number(having - yours)} from soundtags, ${number(yours)} from you.`
    : `No track has a ${what}.`;
}

function aboutSound() {
  if (!data.map) return "No track here has an embedding in the cache; beet soundtags -f makes them.";
  const { model, share } = data.map;
  const shows = share
    ? ` The map shows ${Math.round(100 * share)}\u00a0% of the variance of the embeddings of ${unbroken(model)}.`
    : "";
  return `${tracks(planes[0].placed.length)}. Those that sound alike are close together.${shows}`;
}

function aboutEmotion() {
  const placed = planes[1].placed.length;
  return placed
    ? `${tracks(placed)}. From left to right, valence rises; from bottom to top, energy.`
    : "No track here has energy and valence; beet soundtags -f finds them.";
}

function describe() {
  const chosenBy = data.query ? ` that match ${data.query}` : "";
  const analysed = data.analysed === count ? "all analysed" : `${number(data.analysed)} of them analysed`;
  const long = data.minutes < 90 ? many(data.minutes, "minute") : many(Math.round(data.minutes / 60), "hour");
  element("counts").textContent = `${tracks(count)}${chosenBy}, ${analysed}, ${long}`;
  element("about-genres").textContent = aboutLabels("genres", "genre");
  element("about-moods").textContent = aboutLabels("moods", "mood");
  element("about-sound").textContent = aboutSound();
  element("about-emotion").textContent = aboutEmotion();
  element("colouring").hidden = !planes.some((plane) => plane.placed.length);
  element("about-disagreements").textContent = contested.length
    ? ABOUT[data.disagreements.kind]
    : "No two sources differ: nothing here has two scores, or they are the same.";
  element("version").textContent = `Made by ${data.maker}.`;
}

const planes = [
  new Plane("sound", data.map ? data.map.of : []),
  new Plane("emotion", emotions(), [[0, data.unit], [0, data.unit]]),
];
const bars = ["genres", "moods"].map(makeBars);
offerScores();
showLists();
if (!data.genres.names.length) element("colours").value = "moods";
describe();
planes.forEach((plane) => plane.arrange());
update();

element("search").addEventListener("input", update);
element("reset").addEventListener("click", () => {
  element("search").value = "";
  Object.values(chosen).forEach((set) => set.clear());
  update();
});
element("score").addEventListener("change", fillTables);
element("colours").addEventListener("change", draw);
dark.addEventListener("change", draw);
for (const plane of planes) {
  const { canvas } = plane;
  canvas.addEventListener("pointermove", (event) => point(event, plane));
  canvas.addEventListener("pointerdown", (event) => point(event, plane));
  canvas.addEventListener("pointerleave", (event) => {
    if (event.pointerType !== "touch") hideTip();
  });
  new ResizeObserver(() => {
    hideTip();
    plane.arrange();
    plane.draw(colouring());
  }).observe(canvas);
}
