// What moves on the page: the threshold slider of a ROC curve, the browser of errors, and notes on its cases.
"use strict";

// Wilson's interval for k of n at 95 %.
function wilson(k, n) {
  const z = 1.959964, p = k / n, d = 1 + z * z / n;
  const middle = (p + z * z / (2 * n)) / d;
  const half = z * Math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / d;
  return [Math.max(0, middle - half), Math.min(1, middle + half)];
}

function share(k, n) {
  if (!n) return "not defined";
  const [low, high] = wilson(k, n);
  return `${(k / n).toFixed(3)} (${low.toFixed(3)} to ${high.toFixed(3)}; ${k} of ${n})`;
}

for (const slider of document.querySelectorAll(".slider")) {
  const facts = JSON.parse(slider.querySelector("script").textContent);
  const range = slider.querySelector("input[type=range]");
  const prevalence = slider.querySelector("input[type=number]");
  const walker = slider.closest(".roc").querySelector(".walker");
  const say = (name, words) => { slider.querySelector(`[data-out=${name}]`).textContent = words; };
  const [left, top, width, height] = facts.frame;

  function update() {
    const at = Number(range.value), fpr = facts.fpr[at], tpr = facts.tpr[at], threshold = facts.threshold[at];
    walker.setAttribute("cx", left + fpr * width);
    walker.setAttribute("cy", top + (1 - tpr) * height);
    walker.style.display = "inline";
    say("threshold", threshold === null ? "above all" : threshold.toFixed(3));
    const tp = Math.round(tpr * facts.positives), fp = Math.round(fpr * facts.negatives);
    say("sensitivity", share(tp, facts.positives));
    say("specificity", share(facts.negatives - fp, facts.negatives));
    const asked = Number(prevalence.value) / 100;
    if (prevalence.value === "") {
      for (const name of ["ppv", "npv"]) say(name, "state a prevalence");
    } else if (!facts.enriched && Math.abs(asked - facts.prevalence) < 0.0006) {
      say("ppv", share(tp, tp + fp));
      say("npv", share(facts.negatives - fp, facts.negatives - fp + facts.positives - tp));
    } else {
      const hit = asked * tpr, alarm = (1 - asked) * fpr, miss = asked * (1 - tpr), clear = (1 - asked) * (1 - fpr);
      say("ppv", hit + alarm > 0 ? `${(hit / (hit + alarm)).toFixed(3)} (by Bayes' rule, no interval)` : "not defined");
      say("npv", miss + clear > 0 ? `${(clear / (miss + clear)).toFixed(3)} (by Bayes' rule, no interval)` : "not defined");
    }
  }

  if (facts.prevalence === null && !facts.enriched) continue;
  let start = 0;
  facts.threshold.forEach((t, k) => { if (t === null || t >= facts.start) start = k; });
  range.value = start;
  range.addEventListener("input", update);
  prevalence.addEventListener("input", update);
  slider.hidden = false;
  update();
}

// The browser of errors: sorts by a column, and shows only the rows asked for. In print and without script all rows stand.
for (const browser of document.querySelectorAll(".errors")) {
  const body = browser.querySelector("tbody"), sift = browser.querySelector(".sift");
  const rows = [...body.rows];

  function sieve() {
    const wanted = [...sift.querySelectorAll("[data-sift]")].map((control) => [control.dataset.sift, control.value]).filter(([, value]) => value !== "");
    let left = 0;
    for (const row of rows) {
      const fits = wanted.every(([name, value]) => {
        const own = row.getAttribute(`data-${name}`);
        return name === "score" ? own !== "" && Number(own) >= Number(value) : own === value;
      });
      row.hidden = !fits;
      left += fits;
    }
    sift.querySelector("output").textContent = `${left} of ${rows.length}`;
  }

  function order(heading) {
    const at = heading.cellIndex, isNumber = heading.dataset.sort === "number";
    const falls = heading.getAttribute("aria-sort") === "descending" ? false : isNumber || heading.getAttribute("aria-sort") === "ascending";
    const key = (row) => isNumber ? Number(row.cells[at].dataset.value) : row.cells[at].textContent;
    rows.sort((a, b) => (isNumber ? key(a) - key(b) : key(a).localeCompare(key(b))) * (falls ? -1 : 1));
    for (const other of browser.querySelectorAll("th")) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", falls ? "descending" : "ascending");
    body.append(...rows);
  }

  for (const heading of browser.querySelectorAll("th[data-sort]")) heading.addEventListener("click", () => order(heading));
  for (const control of sift.querySelectorAll("[data-sift]")) control.addEventListener("input", sieve);
  sift.hidden = false;
  sieve();
}

// Notes on cases: kept in this browser as they are typed, and given away as a file that the report reads.
for (const keeper of document.querySelectorAll(".keep-notes")) {
  const fields = [...document.querySelectorAll("[data-note]")];
  const place = `overread notes ${document.title}`, told = keeper.querySelector("output");
  const kept = () => { try { return JSON.parse(localStorage.getItem(place)) ?? {}; } catch { return {}; } };
  const keep = (notes) => {
    try { localStorage.setItem(place, JSON.stringify(notes)); } catch { told.textContent = "This browser keeps nothing: download before the page is closed."; }
  };
  const quoted = (words) => JSON.stringify(words).replaceAll("\u007f", "\\u007f");

  const before = kept();
  for (const field of fields) {
    field.value = before[field.dataset.note] ?? field.value;
    field.addEventListener("input", () => {
      for (const other of fields) if (other !== field && other.dataset.note === field.dataset.note) other.value = field.value;
      keep(Object.fromEntries(fields.filter((f) => f.value !== f.defaultValue).map((f) => [f.dataset.note, f.value])));
    });
  }
  keeper.querySelector("button").addEventListener("click", () => {
    const all = { ...JSON.parse(keeper.dataset.notes), ...Object.fromEntries(fields.map((f) => [f.dataset.note, f.value.trim()])) };
    const lines = Object.entries(all).filter(([, words]) => words).map(([name, words]) => `${quoted(name)} = ${quoted(words)}`);
    const text = `# Notes on cases, by pseudonym. No names of patients: they enter the report.\n[notes]\n${lines.join("\n")}\n`;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
    link.download = "notes.toml";
    keeper.dataset.text = text;
    link.click();
    told.textContent = `${lines.length} note${lines.length === 1 ? "" : "s"} written.`;
  });
  keeper.hidden = false;
}
