// Draws `data.tiles` as buttons. A change of the chosen tile alone keeps the buttons, and with them
// the keyboard's focus and the scroll position.
const drawn = new WeakMap();

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function button(tile, what, pick) {
  const made = element(pick ? "button" : "div", "tile");
  made.dataset.name = tile.name;
  made.title = tile.alt;
  const pictures = element("div", "pictures");
  tile.pictures.forEach((source, place) => {
    const image = element("img");
    image.src = source;
    image.alt = place ? "" : tile.alt;
    pictures.append(image);
  });
  const caption = element("div", "caption");
  caption.append(element("span", "", `${what} ${tile.name}`), element("span", "", tile.caption));
  made.append(pictures, caption);
  if (pick) {
    made.type = "button";
    made.onclick = () => pick(tile.name);
  }
  return made;
}

export default function ({ data, parentElement, setTriggerValue }) {
  const grid = parentElement.querySelector(".grid");
  const signature = JSON.stringify([data.tiles, data.what, data.clickable]);
  grid.setAttribute("aria-label", data.label);
  if (drawn.get(grid) !== signature) {
    drawn.set(grid, signature);
    const pick = data.clickable ? (name) => setTriggerValue("picked", name) : null;
    const widest = Math.max(1, ...data.tiles.map((tile) => tile.pictures.length));
    grid.style.setProperty("--tile", widest > 1 ? "9rem" : "5.4rem");
    grid.replaceChildren(...data.tiles.map((tile) => button(tile, data.what, pick)));
  }
  for (const made of grid.children) {
    const chosen = made.dataset.name === data.chosen;
    if (data.clickable) made.setAttribute("aria-pressed", String(chosen));
  }
}
