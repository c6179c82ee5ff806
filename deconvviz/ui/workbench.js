// The picture with projections lit over it, the layers, and the units as tiles. Whatever a hover
// shows was sent with the tiles; only a choice goes to the server.
const benches = new WeakMap();
const TOUR = [
  ["stage", "This is your picture as the network gets it. The bright lines over it are what single \
units of the network respond to. Move the slider below to see one or the other."],
  ["layers", "The network works in layers. Units of the lowest see edges and colours in a few \
pixels, those of the highest parts of things. Each button shows the strongest unit of a layer; \
click one."],
  ["tiles", "Each tile is a unit: the part of your picture that it looks at, and what it responds \
to there. Point at a tile to see it alone over the picture; click it for more below."],
  ["stage", "Click anywhere in your picture: the tiles become the units that are most active at \
that place."],
  ["answer", "This is the network's answer. Click a class to see the units that raise it, and \
switch some off: does the answer change? At the bottom of the page you can ask how far a picture \
can be trusted."],
];
const KEYS = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };

function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

function inside(share) {
  return Math.min(0.999, Math.max(0, share));
}

function button(className, pressed, onclick) {
  const node = make("button", className);
  node.type = "button";
  node.setAttribute("aria-pressed", String(pressed));
  node.onclick = onclick;
  return node;
}

function loaded(source) {
  return new Promise((resolve) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = () => resolve(null);
    image.src = source;
  });
}

// The address of a picture on one of the shelves; undefined if it has not arrived.
function source(name) {
  const shelf = Object.values(window.deconvvizShelves || {}).find((one) => name in one);
  return shelf && shelf[name];
}

function pictureNames({ picture, layers, tiles }) {
  const names = tiles.flatMap((tile) => [tile.projection, tile.patch]);
  return [picture.src, ...layers.map((layer) => layer.picture), ...names].filter(Boolean);
}

// A projection with its grey made transparent.
function lit(image) {
  const canvas = make("canvas");
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  const values = pixels.data;
  for (let at = 0; at < values.length; at += 4) {
    let most = 0;
    for (let channel = at; channel < at + 3; channel++) {
      const signed = values[channel] - 128;
      most = Math.max(most, Math.abs(signed));
      values[channel] = 128 + 1.5 * signed;
    }
    values[at + 3] = 3 * most;
  }
  context.putImageData(pixels, 0, 0);
  return canvas;
}

// What is dropped or pasted anywhere goes to the page's uploader.
function offer(files) {
  const input = document.querySelector(".st-key-own-pictures input[type=file]");
  if (!input || !files || !files.length) return false;
  const transfer = new DataTransfer();
  [...files].forEach((file) => transfer.items.add(file));
  input.files = transfer.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
  return true;
}

function takeFiles() {
  if (window.deconvvizTakesFiles) return;
  window.deconvvizTakesFiles = true;
  const holdsFiles = (event) => event.dataTransfer && [...event.dataTransfer.types].includes("Files");
  document.addEventListener("dragover", (event) => holdsFiles(event) && event.preventDefault());
  document.addEventListener("drop", (event) => {
    const uploader = event.composedPath().some((node) => node.dataset?.testid === "stFileUploader");
    if (!holdsFiles(event) || uploader) return; // each takes its own
    event.preventDefault(); // else the browser goes to the file
    offer(event.dataTransfer.files);
  });
  document.addEventListener("paste", (event) => {
    if (offer(event.clipboardData && event.clipboardData.files)) event.preventDefault();
  });
}

class Bench {
  constructor(root) {
    this.root = root;
    this.answer = make("div", "answer");
    const panes = make("div", "panes");
    const viewer = make("div", "viewer");
    this.stage = make("div", "stage");
    this.photo = make("img", "photo");
    this.canvas = make("canvas", "lit");
    this.frame = make("div", "frame");
    this.cross = make("div", "cross");
    this.marks = make("div", "marks");
    this.stage.append(this.photo, this.canvas, this.frame, this.cross, this.marks);
    const below = make("label", "below");
    this.slider = make("input");
    Object.assign(this.slider, { type: "range", min: 0, max: 100, value: 65 });
    this.slider.oninput = () => this.shade();
    below.append(make("span", "", "picture"), this.slider, make("span", "", "projection"));
    this.slider.setAttribute("aria-label", "From the picture to the projections over it");
    this.about = make("div", "about");
    viewer.append(this.stage, below, this.about);
    const side = make("div", "side");
    this.layers = make("div", "layers");
    this.layers.setAttribute("role", "group");
    this.layers.setAttribute("aria-label", "Layers, lowest first");
    this.heading = make("div", "heading");
    this.tiles = make("div", "tiles");
    this.tiles.setAttribute("role", "group");
    side.append(this.layers, this.heading, this.tiles);
    panes.append(viewer, side);
    this.tour = make("div", "tour");
    this.tour.hidden = true;
    this.tour.setAttribute("role", "status");
    this.tour.onkeydown = (event) => {
      if (event.key === "Escape") this.guide(null);
    };
    this.around = this.link("Show me around", () => this.guide(0));
    const top = make("div", "top");
    const links = make("div", "links");
    links.append(this.around, this.copyLink());
    top.append(this.answer, links);
    root.append(top, this.tour, panes);
    this.stage.onclick = (event) => this.pickPlace(event);
    this.stage.onkeydown = (event) => this.moveCross(event);
    this.stage.tabIndex = 0;
    this.stage.setAttribute("role", "group");
    this.stage.setAttribute("aria-label", "Picture: arrow keys move a cross, Enter shows its units");
    this.tiles.onkeydown = (event) => this.walk(event);
    this.shown = null;
    this.bitmaps = [];
    this.painted = undefined; // the tile over the picture; null for all of them
    this.turn = 0;
  }

  update(data, send) {
    window.removeEventListener("deconvviz-shelves", this.waiting);
    if (!pictureNames(data).every(source)) {
      this.waiting = () => this.update(data, send);
      window.addEventListener("deconvviz-shelves", this.waiting);
      return;
    }
    const focused = this.root.getRootNode().activeElement;
    this.redraw(data, send);
    if (!focused || focused.isConnected || !focused.dataset.focus) return;
    // what had the keyboard's focus was drawn anew
    const name = CSS.escape(focused.dataset.focus);
    const again = this.root.querySelector(`[data-focus="${name}"]`);
    if (again) again.focus({ preventScroll: true });
  }

  redraw(data, send) {
    const before = this.data || {};
    this.data = data;
    this.send = send;
    const changed = (name) => JSON.stringify(before[name]) !== JSON.stringify(data[name]);
    if (changed("answer")) this.drawAnswer();
    if (changed("layers")) this.drawLayers();
    if (changed("heading")) this.drawHeading();
    const picture = changed("picture");
    if (picture) {
      this.photo.src = source(data.picture.src);
      this.photo.alt = data.picture.alt;
      this.about.textContent = data.picture.about;
      this.stage.style.aspectRatio = `${data.picture.width} / ${data.picture.height}`;
      this.stage.style.setProperty("--ratio", data.picture.width / data.picture.height);
    }
    this.root.classList.toggle("crisp", data.crisp);
    if (changed("crisp")) this.painted = undefined;
    const others = picture || changed("tiles");
    if (others) this.drawTiles();
    this.mark(data.chosen);
    this.markUnits();
    this.at = data.place;
    this.cross.hidden = !data.place;
    if (data.place) this.showCross(...data.place);
    this.show(others ? null : this.shown); // a mouse stays on its tile
  }

  drawAnswer() {
    const { answer } = this.data;
    this.answer.replaceChildren(make("span", "lead", answer.lead));
    this.answer.classList.toggle("cut", Boolean(answer.back));
    for (const one of answer.classes) {
      const node = button("class", one.chosen, () => this.send("class", one.name));
      node.dataset.focus = `class ${one.name}`;
      node.append(make("span", "", one.label), make("b", "", one.probability));
      if (one.before) {
        const before = make("span", "before", one.before);
        before.title = "with all units on";
        node.append(before);
      }
      node.style.setProperty("--share", one.share);
      node.title = one.title;
      this.answer.append(node);
    }
    if (answer.rest) this.answer.append(make("span", "rest", answer.rest));
    if (answer.back) this.answer.append(this.link(answer.back, () => this.send("on", true)));
  }

  // One step of the tour, or its end.
  guide(step) {
    TOUR.forEach(([name]) => this[name].classList.remove("toured"));
    this.tour.hidden = step === null;
    if (step === null) {
      this.around.focus({ preventScroll: true });
      return;
    }
    const [name, words] = TOUR[step];
    const last = step === TOUR.length - 1;
    this[name].classList.add("toured");
    const next = this.link(last ? "Done" : "Next", () => this.guide(last ? null : step + 1));
    const parts = [make("b", "", `${step + 1} of ${TOUR.length}`), make("span", "", words)];
    if (step) parts.push(this.link("Back", () => this.guide(step - 1)));
    if (!last) parts.push(this.link("Close", () => this.guide(null)));
    this.tour.replaceChildren(...parts, next);
    next.focus({ preventScroll: true });
    if (window.innerWidth <= 640) this[name].scrollIntoView({ block: "center" });
  }

  link(text, onclick) {
    const node = make("button", "back", text);
    node.type = "button";
    node.onclick = onclick;
    return node;
  }

  // The page's address, with what is chosen and stands in none, since a default may change. It
  // restores all but a person's own pictures.
  address() {
    const url = new URL(window.location.href);
    for (const [key, values] of Object.entries(this.data.link)) {
      if (!url.searchParams.has(key)) values.forEach((one) => url.searchParams.append(key, one));
    }
    return url.href;
  }

  copyLink() {
    const [place, said] = [make("div", "copy"), make("span")];
    said.setAttribute("role", "status");
    const node = this.link("copy link", async () => {
      const done = navigator.clipboard && navigator.clipboard.writeText(this.address());
      const copied = await Promise.resolve(done).then(() => Boolean(done), () => false);
      if (!copied) window.prompt("The link to this page", this.address());
      said.textContent = copied ? "copied" : "";
    });
    node.title = "Restores this page, but not pictures of your own: those are kept by a project";
    place.append(said, node);
    return place;
  }

  drawLayers() {
    this.layers.replaceChildren(
      ...this.data.layers.map((layer) => {
        const node = button("layer", layer.chosen, () => this.send("layer", layer.name));
        node.dataset.focus = `layer ${layer.name}`;
        node.title = layer.title;
        if (layer.picture) {
          const image = make("img");
          image.src = source(layer.picture);
          image.alt = "";
          node.append(image);
        }
        node.append(make("span", "", layer.name));
        return node;
      }),
    );
  }

  drawHeading() {
    const { text, back, against, mend, note } = this.data.heading;
    this.heading.replaceChildren(make("span", "", text));
    if (against) this.heading.append(this.choice(against));
    if (mend) this.heading.append(this.link(mend, () => this.send("mend", true)));
    if (back) this.heading.append(this.link(back, () => this.send("whole", true)));
    if (note) this.heading.append(make("span", "note", note));
  }

  choice({ label, options, chosen }) {
    const node = make("label", "choice");
    const list = make("select");
    list.append(...options.map((one) => new Option(one.label, one.name, false, one.name === chosen)));
    list.onchange = () => this.send("against", list.value);
    list.dataset.focus = "against";
    node.append(make("span", "", label), list);
    return node;
  }

  async drawTiles() {
    const turn = ++this.turn;
    const { tiles, picture } = this.data;
    [this.bitmaps, this.painted] = [[], undefined];
    this.tiles.setAttribute("aria-label", this.data.heading.text);
    this.tiles.replaceChildren(...tiles.map((tile, place) => this.tile(tile, place)));
    this.marks.replaceChildren(...tiles.map((tile, place) => this.dot(tile, place)));
    const photo = await loaded(source(picture.src));
    const images = await Promise.all(tiles.map((tile) => loaded(source(tile.projection))));
    if (turn !== this.turn || !photo) return;
    this.bitmaps = images.map((image) => image && lit(image));
    tiles.forEach((tile, place) => {
      const canvas = this.tiles.children[place].querySelector("canvas");
      if (canvas) this.drawPatch(canvas, photo, tile.box);
    });
    const factor = Math.max(1, Math.ceil(900 / Math.max(picture.width, picture.height)));
    this.canvas.width = picture.width * factor;
    this.canvas.height = picture.height * factor;
    this.painted = undefined;
    this.show(this.shown);
  }

  tile(tile, place) {
    const chosen = tile.channel === this.data.chosen;
    const cell = make("div", "cell");
    const node = button("tile", chosen, () => this.pick(tile.channel));
    node.dataset.channel = tile.channel;
    node.dataset.focus = `tile ${place}`;
    node.tabIndex = -1;
    node.title = tile.title;
    const pictures = make("div", "pictures");
    const patch = tile.patch ? make("img") : make("canvas");
    if (tile.patch) {
      patch.src = source(tile.patch);
      patch.alt = "";
    }
    const projection = make("img");
    projection.src = source(tile.projection);
    projection.alt = tile.alt;
    pictures.append(patch, projection);
    const caption = make("div", "caption");
    caption.append(make("span", "", `unit ${tile.channel}`), make("span", "", tile.caption));
    node.append(pictures, caption);
    cell.onmouseenter = node.onmouseenter = node.onfocus = () => this.show(place);
    cell.onmouseleave = node.onblur = () => this.show(null);
    const power = button("power", false, () => this.send("off", String(tile.channel)));
    power.tabIndex = -1; // by keyboard: the key O
    cell.append(node, power);
    return cell;
  }

  nodes() {
    return [...this.tiles.querySelectorAll(".tile")];
  }

  // Units' labels, and which units are off; no switch where there is no answer to change.
  markUnits() {
    const { tiles, off } = this.data;
    [...this.tiles.children].forEach((cell, at) => {
      const { channel } = tiles[at];
      const isOff = Boolean(off) && off.includes(channel);
      const power = cell.querySelector(".power");
      power.hidden = !off;
      power.textContent = isOff ? "off" : "switch off";
      power.title = `Switch unit ${channel} ${isOff ? "on again" : "off"} and see the answer (key O)`;
      power.setAttribute("aria-pressed", String(isOff));
      cell.classList.toggle("off", isOff);
      const label = this.data.labels[channel];
      cell.querySelector(".caption span").textContent = `unit ${channel}${label ? `: ${label}` : ""}`;
    });
  }

  dot(tile, place) {
    const node = make("button", "dot");
    node.type = "button";
    node.tabIndex = -1;
    node.title = tile.title;
    node.setAttribute("aria-hidden", "true"); // the tile says the same
    node.onclick = (event) => {
      event.stopPropagation();
      this.pick(tile.channel);
    };
    node.onmouseenter = () => this.show(place);
    node.onmouseleave = () => this.show(null);
    const [y, x] = tile.centre;
    const { width, height } = this.data.picture;
    const share = (at, length) => 100 * Math.min(Math.max((at + 0.5) / length, 0), 1);
    node.style.left = `${share(x, width)}%`;
    node.style.top = `${share(y, height)}%`;
    return node;
  }

  drawPatch(canvas, photo, [top, left, bottom, right]) {
    const side = Math.min(right - left, 256);
    const scale = side / (right - left);
    canvas.width = side;
    canvas.height = Math.max(1, Math.round((bottom - top) * scale));
    const context = canvas.getContext("2d");
    context.fillStyle = "rgb(128, 128, 128)";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.imageSmoothingEnabled = !this.data.crisp;
    context.drawImage(
      photo, -left * scale, -top * scale, photo.naturalWidth * scale, photo.naturalHeight * scale,
    );
  }

  put(node, [top, left, bottom, right]) {
    const { width, height } = this.data.picture;
    node.style.top = `${(100 * top) / height}%`;
    node.style.left = `${(100 * left) / width}%`;
    node.style.height = `${(100 * (bottom - top)) / height}%`;
    node.style.width = `${(100 * (right - left)) / width}%`;
  }

  // One unit's projection over the picture; of all units for null.
  show(place) {
    this.shown = place;
    const { tiles } = this.data;
    if (this.painted !== place) this.paint(place);
    const framed = place === null ? this.data.box : tiles[place].box;
    this.frame.hidden = !framed;
    if (framed) this.put(this.frame, framed);
    this.frame.classList.toggle("hovered", place !== null);
    [this.nodes(), [...this.marks.children]].forEach((group) =>
      group.forEach((node, at) => {
        node.classList.toggle("shown", at === place);
        node.classList.toggle("chosen", at === this.chosenPlace());
      }),
    );
    this.shade();
  }

  paint(place) {
    const { tiles } = this.data;
    const context = this.canvas.getContext("2d");
    const factor = this.canvas.width / this.data.picture.width;
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    context.imageSmoothingEnabled = !this.data.crisp;
    const order = place === null ? tiles.map((_, at) => tiles.length - 1 - at) : [place];
    for (const at of order) {
      const bitmap = this.bitmaps[at];
      if (!bitmap) continue;
      const [top, left, bottom, right] = tiles[at].box.map((value) => value * factor);
      context.drawImage(bitmap, left, top, right - left, bottom - top);
    }
    this.painted = place;
  }

  shade() {
    const share = this.slider.value / 100;
    this.photo.style.opacity = String(1 - 0.85 * share);
    this.canvas.style.opacity = String(Math.min(1, 0.2 + 1.2 * share) * (share > 0));
  }

  chosenPlace() {
    return this.data.tiles.findIndex((tile) => tile.channel === this.data.chosen);
  }

  mark(channel) {
    this.data.chosen = channel;
    const nodes = this.nodes();
    const chosen = this.chosenPlace();
    nodes.forEach((node, at) => {
      node.setAttribute("aria-pressed", String(at === chosen));
      node.tabIndex = at === Math.max(chosen, 0) ? 0 : -1;
    });
  }

  pick(channel) {
    this.send("unit", String(channel));
    this.mark(channel); // at once; the server's answer follows
    this.data.box = this.data.tiles[this.chosenPlace()].box;
    this.show(this.shown);
  }

  pickPlace(event) {
    const bounds = this.stage.getBoundingClientRect();
    this.showCross(
      inside((event.clientX - bounds.left) / bounds.width),
      inside((event.clientY - bounds.top) / bounds.height),
    );
    this.sendPlace();
  }

  sendPlace() {
    this.send("place", this.at.map((share) => share.toFixed(3)).join());
  }

  showCross(x, y) {
    this.at = [x, y];
    this.cross.hidden = false;
    this.cross.style.left = `${100 * x}%`;
    this.cross.style.top = `${100 * y}%`;
  }

  moveCross(event) {
    if (event.target !== this.stage) return; // a dot has its own keys
    const [x, y] = this.at || [0.5, 0.5];
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key === "Enter" && this.at) this.sendPlace();
    else if (event.key === "Escape" && this.data.heading.back) this.send("whole", true);
    else if (moves[event.key]) {
      const [across, down] = moves[event.key];
      this.showCross(inside(x + across / 32), inside(y + down / 32));
    } else return;
    event.preventDefault();
  }

  walk(event) {
    const nodes = this.nodes();
    const from = nodes.indexOf(event.target.closest(".tile"));
    if (event.key === "PageUp" || event.key === "PageDown") {
      const { layers } = this.data;
      const next = layers.findIndex((one) => one.chosen) + (event.key === "PageUp" ? 1 : -1);
      if (layers[next]) this.send("layer", layers[next].name);
    } else if (event.key === "Escape" && this.data.heading.back) {
      this.send("whole", true);
    } else if (event.ctrlKey || event.metaKey || event.altKey) {
      return; // the browser's own
    } else if (event.key.toLowerCase() === "o" && this.data.off && from >= 0) {
      this.send("off", nodes[from].dataset.channel);
    } else {
      const columns = getComputedStyle(this.tiles).gridTemplateColumns.split(" ").length;
      const step = { ArrowUp: -columns, ArrowDown: columns, ...KEYS }[event.key];
      if (step === undefined || from < 0) return;
      nodes[Math.min(nodes.length - 1, Math.max(0, from + step))].focus();
    }
    event.preventDefault();
  }
}

export default function ({ data: [data], parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".bench");
  takeFiles();
  if (!benches.has(root)) benches.set(root, new Bench(root));
  benches.get(root).update(data, setTriggerValue);
}
