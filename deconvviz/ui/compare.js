// Draws `data.left[chosen]` over `data.right`, cut off at a border that the slider moves. The
// choice, the zoom and the border stay when the data change.
const kept = new WeakMap();
const ZOOMS = [1, 2, 4, 8];

function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

function buttons(title, choose) {
  const group = element("div", "choice");
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", title);
  const show = (options, chosen) => {
    const made = options.map((text, place) => {
      const button = element("button", "", text);
      button.type = "button";
      button.setAttribute("aria-pressed", String(place === chosen));
      button.onclick = () => choose(place);
      return button;
    });
    const focused = [...group.querySelectorAll("button")].indexOf(group.getRootNode().activeElement);
    group.replaceChildren(element("span", "title", title), ...made);
    if (focused >= 0) made[focused]?.focus();
  };
  return { group, show };
}

function build(root) {
  const state = { data: null, chosen: 0, zoom: 0, border: 0.5 };
  const frame = element("div", "frame");
  const view = element("div", "view");
  const stage = element("div", "stage");
  const right = element("img");
  const left = element("img", "left");
  const line = element("div", "line");
  const leftName = element("span", "name");
  const rightName = element("span", "name right");
  const slider = element("input", "slider");
  const head = element("div", "head");
  const sides = buttons("Left", (place) => { state.chosen = place; draw(); });
  const zooms = buttons("Zoom", (place) => { zoomTo(place); });

  view.tabIndex = 0;
  right.draggable = left.draggable = false;
  Object.assign(slider, { type: "range", min: 0, max: 1000, step: 5 });
  stage.append(right, left);
  view.append(stage);
  frame.append(view, line, leftName, rightName);
  head.append(sides.group, zooms.group);
  root.replaceChildren(head, frame, slider);

  function factor() {
    const { width, height } = state.data;
    if (state.zoom > 0) return ZOOMS[state.zoom - 1];
    const room = root.clientWidth || width;
    return Math.min(room / width, Math.max(240, 0.7 * window.innerHeight) / height, 8);
  }

  function place() {  // the border, in the picture's own place under the scroll position
    const at = state.border * view.clientWidth;
    const cut = Math.max(0, stage.clientWidth - view.scrollLeft - at);
    left.style.clipPath = `inset(0 ${cut}px 0 0)`;
    line.style.left = `${at}px`;
    line.style.height = `${view.clientHeight}px`;
    leftName.style.opacity = state.border > 0.12 ? 1 : 0;
    rightName.style.opacity = state.border < 0.88 ? 1 : 0;
  }

  function snap() {  // onto the screen's pixels, else each is a mixture of two
    frame.style.left = frame.style.top = "0";
    const { left: x, top: y } = frame.getBoundingClientRect();
    const missing = (at) => Math.ceil(at * devicePixelRatio) / devicePixelRatio - at;
    [frame.style.left, frame.style.top] = [`${missing(x)}px`, `${missing(y)}px`];
  }

  function size() {
    const scale = factor();
    const width = Math.max(1, Math.floor(state.data.width * scale));
    const height = Math.max(1, Math.floor(state.data.height * scale));
    stage.style.width = `${width}px`;
    stage.style.height = `${height}px`;
    stage.classList.toggle("crisp", state.zoom > 1 || scale > 2);
    view.style.maxHeight = state.zoom > 0 ? "70vh" : "none";
    frame.style.width = slider.style.width = `min(100%, ${width}px)`;
    snap();
    place();
  }

  function zoomTo(place) {
    const middle = [
      (view.scrollLeft + view.clientWidth / 2) / stage.clientWidth,
      (view.scrollTop + view.clientHeight / 2) / stage.clientHeight,
    ];
    state.zoom = place;
    draw();
    view.scrollLeft = middle[0] * stage.clientWidth - view.clientWidth / 2;
    view.scrollTop = middle[1] * stage.clientHeight - view.clientHeight / 2;
  }

  function draw() {
    const { data } = state;
    state.chosen = Math.min(state.chosen, data.left.length - 1);
    const one = data.left[state.chosen];
    if (left.src !== one.source) left.src = one.source;
    if (right.src !== data.right.source) right.src = data.right.source;
    left.classList.toggle("small", one.width < data.width);
    left.alt = `${data.label}, ${one.name}`;
    right.alt = `${data.label}, ${data.right.name}`;
    leftName.textContent = one.name;
    rightName.textContent = data.right.name;
    sides.group.hidden = data.left.length < 2;
    sides.show(data.left.map((each) => each.name), state.chosen);
    zooms.show(["fit", ...ZOOMS.map((zoom) => `${zoom}×`)], state.zoom);
    slider.value = Math.round(1000 * state.border);
    slider.setAttribute("aria-label", `Border between ${one.name} and ${data.right.name}`);
    slider.setAttribute("aria-valuetext", `${Math.round(100 * state.border)} % ${one.name}`);
    view.setAttribute("aria-label", `${data.label}; the arrow keys move it where it is zoomed`);
    size();
  }

  function move(event) {
    const box = view.getBoundingClientRect();
    state.border = Math.min(1, Math.max(0, (event.clientX - box.left) / view.clientWidth));
    slider.value = Math.round(1000 * state.border);
    place();
  }

  slider.oninput = () => { state.border = slider.value / 1000; place(); };
  view.onscroll = place;
  line.onpointerdown = (event) => {
    line.setPointerCapture(event.pointerId);
    event.preventDefault();
  };
  line.onpointermove = (event) => { if (line.hasPointerCapture(event.pointerId)) move(event); };
  view.onpointerdown = (event) => {  // a mouse drags the picture; fingers scroll by themselves
    if (event.pointerType !== "mouse" || event.button) return;
    const from = [event.clientX + view.scrollLeft, event.clientY + view.scrollTop];
    view.setPointerCapture(event.pointerId);
    view.onpointermove = (moved) => {
      view.scrollLeft = from[0] - moved.clientX;
      view.scrollTop = from[1] - moved.clientY;
    };
    view.onpointerup = view.onpointercancel = () => { view.onpointermove = null; };
  };
  new ResizeObserver(() => { if (state.data) size(); }).observe(root);
  return { state, draw };
}

export default function ({ data: [data], parentElement }) {
  const root = parentElement.querySelector(".compare");
  if (!kept.has(root)) kept.set(root, build(root));
  const { state, draw } = kept.get(root);
  root.setAttribute("aria-label", data.label);
  state.data = data;
  draw();
}
