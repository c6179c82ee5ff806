// On a telephone the menu lies over the page: it is closed once a page is chosen in it.
export default function () {
  if (window.deconvvizClosesMenu) return;
  window.deconvvizClosesMenu = true;
  document.addEventListener("click", ({ target }) => {
    if (!matchMedia("(max-width: 640px)").matches) return;
    if (!target.closest("[data-testid=stSidebarNavLink]")) return;
    document.querySelector("[data-testid=stSidebarCollapseButton] button")?.click();
  });
}
