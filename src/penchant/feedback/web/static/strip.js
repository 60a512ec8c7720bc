// Narrow screens: the two responses are a strip that is swiped, with two buttons above it.

const $ = (id) => document.getElementById(id);

for (const place of ["left", "right"]) {
  $(`tab-${place}`).addEventListener("click", () => {
    const strip = $("responses");
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    strip.scrollTo({ left: place === "left" ? 0 : strip.scrollWidth, behavior: calm ? "auto" : "smooth" });
  });
}

$("responses").addEventListener("scroll", () => {
  const isRight = $("responses").scrollLeft > $("responses").clientWidth / 2;
  $("tab-left").setAttribute("aria-pressed", String(!isRight));
  $("tab-right").setAttribute("aria-pressed", String(isRight));
}, { passive: true });
