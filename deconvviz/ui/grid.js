// Draws `data.tiles`, as buttons where one is chosen. A change of the choice alone keeps the
// buttons, and with them the keyboard's focus and the scroll position.
const drawn = new WeakMap();

function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

function tileElement(tile, noun, pick) {
  const node = element(pick ? "button" : "div", "tile");
  node.dataset.channel = tile.channel;
  node.title = tile.alt;
  const pictures = element("div", "pictures");
  tile.pictures.forEach((source, place) => {
    const image = element("img");
    image.src = source;
    image.alt = place ? "" : tile.alt;
    pictures.append(image);
  });
  const caption = element("div", "caption");
  caption.append(element("span", "", `${noun} ${tile.channel}`), element("span", "", tile.caption));
  node.append(pictures, caption);
  if (pick) {
    node.type = "button";
    node.onclick = () => pick(String(tile.channel));
  }
  return node;
}

export default function ({ data: [data], parentElement, setTriggerValue }) {
  const grid = parentElement.querySelector(".grid");
  const clickable = data.chosen !== null;
  const signature = JSON.stringify([data.tiles, data.noun, clickable]);
  grid.setAttribute("aria-label", data.label);
  grid.classList.toggle("crisp", data.crisp);
  if (drawn.get(grid) !== signature) {
    drawn.set(grid, signature);
    const pick = clickable ? (channel) => setTriggerValue("picked", channel) : null;
    const widest = Math.max(1, ...data.tiles.map((tile) => tile.pictures.length));
    grid.style.setProperty("--tile", widest > 1 ? "7.4rem" : "5.4rem");
    grid.replaceChildren(...data.tiles.map((tile) => tileElement(tile, data.noun, pick)));
  }
  for (const node of grid.children) {
    const chosen = node.dataset.channel === String(data.chosen);
    if (clickable) node.setAttribute("aria-pressed", String(chosen));
  }
}
