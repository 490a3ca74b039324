"use strict";

/* Maps: planes on which each track has a place */

const MARGIN = 12; // pixels between the edge of a plane and tracks
const GAP = 14; // pixels between a track and what is said of it
const REACH = { mouse: 12, pen: 16, touch: 24 }; // pixels
// Okabe and Ito's colours, which the colour-blind can tell apart. The one that
// the background would swallow is left out.
const COLOURS = ["#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9"];
const LAST = { light: "#000000", dark: "#f0e442" };
const dark = matchMedia("(prefers-color-scheme: dark)");

class Plane {
  /* `places` has an [x, y] or null for each track, `edge` the [low, high] of
     each axis; by default, all tracks just fit. */
  constructor(id, places, edge) {
    this.root = element(id);
    this.canvas = this.root.querySelector("canvas");
    this.ring = this.root.querySelector(".ring");
    this.places = places;
    this.placed = [...places.keys()].filter((track) => places[track]);
    this.edge = edge ?? this.extent();
    this.x = new Float32Array(places.length); // on the screen
    this.y = new Float32Array(places.length);
    this.size = Math.max(1.2, Math.min(6, 120 / Math.sqrt(this.placed.length)));
    this.root.hidden = !this.placed.length;
  }

  extent() {
    return [0, 1].map((axis) =>
      this.placed.reduce(
        ([low, high], track) => {
          const value = this.places[track][axis];
          return [Math.min(low, value), Math.max(high, value)];
        },
        [0, 0],
      ));
  }

  arrange() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const scale = devicePixelRatio || 1;
    this.canvas.width = width * scale;
    this.canvas.height = height * scale;
    const spans = this.edge.map(([low, high]) => high - low || 1);
    // The same scale for both: distances are what maps are about.
    const unit = Math.min((width - 2 * MARGIN) / spans[0], (height - 2 * MARGIN) / spans[1]);
    for (const track of this.placed) {
      const [x, y] = this.places[track];
      this.x[track] = width / 2 + (x - this.edge[0][0] - spans[0] / 2) * unit;
      this.y[track] = height / 2 - (y - this.edge[1][0] - spans[1] / 2) * unit;
    }
  }

  draw({ swatches, groups }) {
    if (this.root.hidden) return;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const pen = this.canvas.getContext("2d");
    pen.setTransform(this.canvas.width / width, 0, 0, this.canvas.height / height, 0, 0);
    pen.clearRect(0, 0, width, height);
    const { x, y, size } = this;
    const circle = (track) => {
      pen.beginPath();
      pen.arc(x[track], y[track], size, 0, 2 * Math.PI);
      pen.fill();
    };
    // Of many small dots, nobody sees the corners, and they take far less time.
    const square = (track) => pen.fillRect(x[track] - size, y[track] - size, 2 * size, 2 * size);
    const dot = size < 2 ? square : circle;
    pen.fillStyle = style("--filtered");
    this.placed.filter((track) => !shown[track]).forEach(dot);
    // The commonest first, so that they do not hide the others.
    for (const group of [swatches.length - 1, ...swatches.keys()].slice(0, swatches.length)) {
      pen.fillStyle = swatches[group];
      this.placed.filter((track) => shown[track] && groups[track] === group).forEach(dot);
    }
  }

  nearest(x, y, reach) {
    let [best, least] = [-1, reach ** 2];
    for (const track of this.placed) {
      if (!shown[track]) continue;
      const distance = (this.x[track] - x) ** 2 + (this.y[track] - y) ** 2;
      if (distance < least) [best, least] = [track, distance];
    }
    return best;
  }

  /* Put a ring around a track, or around none. */
  mark(track) {
    this.ring.hidden = !this.places[track];
    Object.assign(this.ring.style, { left: `${this.x[track]}px`, top: `${this.y[track]}px` });
  }
}

function emotions() {
  const { energy = [], valence = [] } = data.scores;
  return data.title.map((_, track) =>
    typeof energy[track] === "number" && typeof valence[track] === "number"
      ? [valence[track], energy[track]]
      : null);
}

/* Colours */

const palette = () => [...COLOURS, dark.matches ? LAST.dark : LAST.light];
const style = (name) => getComputedStyle(document.body).getPropertyValue(name);

/* Return a swatch for each group, and the group of each track. */
function colouring() {
  const name = element("colours").value;
  const firsts = new Uint32Array(data[name].names.length);
  data[name].of.filter((each) => each.length).forEach(([first]) => firsts[first]++);
  const named = ranked(firsts).filter((index) => firsts[index]).slice(0, palette().length);
  const groups = Uint8Array.from(data[name].of, ([first]) => {
    const place = named.indexOf(first);
    return place < 0 ? named.length : place;
  });
  const names = named.map((index) => data[name].names[index]);
  const swatches = [...palette().slice(0, named.length), style("--other")];
  explain([...names, "other or none"], swatches);
  return { swatches, groups };
}

function explain(names, swatches) {
  const lines = names.map((name, index) => {
    const swatch = make("i");
    swatch.style.background = swatches[index];
    const line = make("li");
    line.append(swatch, name);
    return line;
  });
  element("legend").replaceChildren(...lines);
}

/* What is shown of the track that is pointed at */

function hideTip() {
  element("tip").hidden = true;
  planes.forEach((plane) => plane.mark(-1));
}

function point(event, plane) {
  const { left, top } = plane.canvas.getBoundingClientRect();
  const reach = REACH[event.pointerType] ?? REACH.mouse;
  const track = plane.nearest(event.clientX - left, event.clientY - top, reach);
  if (track < 0) return hideTip();
  planes.forEach((each) => each.mark(track));
  const tip = element("tip");
  plane.root.after(tip);
  tip.replaceChildren(...factsOf(track));
  tip.hidden = false;
  placeTip(tip, plane, track);
}

/* Put it to the right of a track, to the left, below or above: what fits. */
function placeTip(tip, plane, track) {
  const [x, y] = [plane.x[track], plane.y[track]];
  const { clientWidth: width, clientHeight: height } = plane.canvas;
  const { offsetWidth: wide, offsetHeight: high } = tip;
  const onRight = x + GAP + wide <= width;
  const onLeft = x - GAP - wide >= 0;
  const below = y + GAP + high <= height;
  const left = onRight ? x + GAP : x - GAP - wide;
  const top = onRight || onLeft ? Math.min(y, height - high) : below ? y + GAP : y - GAP - high;
  tip.style.left = `${Math.max(0, left)}px`;
  tip.style.top = `${plane.root.offsetTop + Math.max(0, top)}px`;
}

function factsOf(track) {
  const lines = [make("b", data.title[track]), make("span", nameOf(data.artist, track))];
  for (const name of ["genres", "moods"]) {
    const yours = own[name].has(track) ? " (yours)" : "";
    const names = nameOf(data[name], track);
    if (names) lines.push(make("span", names + yours));
  }
  const scores = make("dl");
  for (const [name, values] of Object.entries(data.scores)) {
    if (values[track] === null) continue;
    scores.append(make("dt", wordOf(name)), make("dd", score(values[track])));
  }
  return [...lines.filter((line) => line.textContent), scores];
}
