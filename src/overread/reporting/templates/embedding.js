// Cases as points: colours by the column that is chosen; a case under the pointer is marked in every picture.
"use strict";
for (const chart of document.querySelectorAll(".embedding")) {
  const palettes = JSON.parse(chart.dataset.palettes), dots = [...chart.querySelectorAll(".clouds .dot")];
  const chosen = chart.querySelector(".choose select");
  chosen.addEventListener("input", () => {
    const column = Number(chosen.value);
    for (const dot of dots) {
      const colour = palettes[column][Number(dot.dataset.g.split(" ")[column])];
      dot.setAttribute("fill", colour);
      dot.setAttribute("stroke", colour);
    }
    for (const legend of chart.querySelectorAll(".groups[data-column]")) legend.hidden = legend.dataset.column !== chosen.value;
  });
  for (const dot of dots) {
    for (const [event, on] of [["mouseenter", true], ["mouseleave", false]]) {
      dot.addEventListener(event, () => {
        for (const other of dots) if (other.dataset.n === dot.dataset.n) other.classList.toggle("near", on);
      });
    }
  }
  chart.querySelector(".choose").hidden = false;
}
