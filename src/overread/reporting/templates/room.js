// The reading room: shows one image after the other, keeps call, confidence and time, and saves them as a file.
"use strict";
{
  const facts = JSON.parse(document.getElementById("room-facts").textContent);
  const pixels = JSON.parse(document.getElementById("room-pixels").textContent);
  const room = document.querySelector(".room"), find = (what) => room.querySelector(what), all = (what) => [...room.querySelectorAll(what)];
  const [depth, high, wide] = facts.shape;
  const canvas = find("canvas"), viewer = find(".viewer"), pen = canvas.getContext("2d");
  const picture = pen.createImageData(wide, high);
  const sliders = { level: find("[name=level]"), width: find("[name=width]") };
  const window_ = { low: facts.start[0], high: facts.start[1] };
  const session = { reader: "", began: "", ended: "", answers: {}, spent: {}, at: 0, saved: true };
  const now = { levels: null, slice: 0, call: "", seconds: 0, since: null, paused: false, zoom: null, smooth: null };
  const keep = () => `overread-room-${facts.room}-${session.reader}`;
  canvas.width = wide;
  canvas.height = high;

  // The image -------------------------------------------------------------------------------------------------------

  function levels(item) {
    const text = atob(pixels[item]), bytes = new Uint8Array(text.length);
    for (let k = 0; k < text.length; k++) bytes[k] = text.charCodeAt(k);
    if (facts.bytes === 1) return bytes;
    const view = new DataView(bytes.buffer), words = new Uint16Array(bytes.length / 2);
    for (let k = 0; k < words.length; k++) words[k] = view.getUint16(2 * k, true);
    return words;
  }

  function draw() {
    const grey = new Uint8ClampedArray(facts.depth), span = Math.max(window_.high - window_.low, 1);
    for (let level = 0; level < facts.depth; level++) grey[level] = 255 * (level - window_.low) / span;
    const start = now.slice * high * wide, out = picture.data;
    for (let k = 0; k < high * wide; k++) {
      out[4 * k] = out[4 * k + 1] = out[4 * k + 2] = grey[now.levels[start + k]];
      out[4 * k + 3] = 255;
    }
    pen.putImageData(picture, 0, 0);
    if (depth > 1) find(".slice").textContent = `slice ${now.slice + 1} of ${depth}`;
    const middle = (window_.low + window_.high) / 2, unit = facts.offset === null ? "" : " HU", shift = facts.offset || 0;
    sliders.level.value = 1000 * middle / (facts.depth - 1);
    sliders.width.value = 1000 * span / (facts.depth - 1);
    find(".window output").textContent = `L ${Math.round(middle + shift)}  W ${Math.round(span)}${unit}`;
  }

  // As large as fits: pixels twice their size or more are enlarged by whole numbers, and not smoothed.
  function fit() {
    const tall = high * facts.aspect, ratio = window.devicePixelRatio || 1;
    let scale = Math.min(viewer.clientWidth / wide, viewer.clientHeight / tall);
    const isLarge = scale >= 2;
    if (isLarge) scale = Math.floor(scale * ratio) / ratio;
    if (now.zoom) scale *= 2;
    canvas.style.width = `${wide * scale}px`;
    canvas.style.height = `${tall * scale}px`;
    canvas.style.transform = now.zoom ? `translate(${now.zoom[0]}px, ${now.zoom[1]}px)` : "";
    canvas.classList.toggle("smooth", now.smooth === null ? !isLarge && !now.zoom : now.smooth);
  }

  function turn(steps) {
    const slice = Math.min(Math.max(now.slice + steps, 0), depth - 1);
    if (slice === now.slice) return;
    now.slice = slice;
    draw();
  }

  function setWindow(middle, span) {
    const most = facts.depth - 1;
    span = Math.min(Math.max(span, most / 250), most);
    middle = Math.min(Math.max(middle, 0), most);
    window_.low = middle - span / 2;
    window_.high = middle + span / 2;
    draw();
  }

  // The clock: it stands while the page is hidden or paused ---------------------------------------------------------

  function tick() {
    if (now.since !== null) now.seconds += (performance.now() - now.since) / 1000;
    now.since = stage() === "reading" && !now.paused && !document.hidden ? performance.now() : null;
  }

  function pause() {
    tick();
    now.paused = !now.paused;
    find(".covered").hidden = !now.paused;
    tick();
  }

  // The way through the room ----------------------------------------------------------------------------------------

  const stage = () => room.dataset.stage;

  function go(name) {
    room.dataset.stage = name;
    find(".door").hidden = name !== "door";
    find(".reading").hidden = name !== "reading";
    find(".end").hidden = name !== "end";
    if (name === "end") find("textarea").value = JSON.stringify(result(), null, 1);
    window.scrollTo(0, 0);
  }

  function show(at) {
    if (stage() === "reading") {
      tick();
      session.spent[session.at + 1] = now.seconds;
    }
    session.at = at;
    if (at >= facts.count) {
      session.ended = session.ended || new Date().toISOString();
      store();
      return go("end");
    }
    go("reading");
    const before = session.answers[at + 1], spent = session.spent[at + 1] || (before ? before.seconds : 0);
    Object.assign(now, { levels: levels(at), slice: depth >> 1, call: before ? before.call : "", seconds: spent, since: null, zoom: null });
    if (now.paused) pause();
    find(".place").textContent = `image ${at + 1} of ${facts.count}`;
    find(".clock").textContent = `reader ${session.reader}`;
    find(".progress i").style.width = `${100 * at / facts.count}%`;
    find(".progress").setAttribute("aria-valuenow", at);
    find("[data-do=back]").disabled = at === 0;
    mark(before ? before.confidence : 0);
    fit();
    draw();
    viewer.focus({ preventScroll: true });
    tick();
  }

  function mark(sure) {
    for (const button of all("[data-call]")) button.setAttribute("aria-pressed", button.dataset.call === now.call);
    for (const button of all("[data-sure]")) button.setAttribute("aria-pressed", Number(button.dataset.sure) === sure);
    find(".sure").classList.toggle("waits", !now.call);
  }

  function call(what) {
    now.call = what;
    mark(0);
  }

  function answer(confidence) {
    if (!now.call) {
      find(".calls").classList.remove("asked");
      void find(".calls").offsetWidth; // so that the hint shows again
      find(".calls").classList.add("asked");
      return;
    }
    tick();
    const item = session.at + 1, before = session.answers[item];
    const isOther = before && (before.call !== now.call || before.confidence !== confidence);
    session.answers[item] = { item, call: now.call, confidence, seconds: Math.round(now.seconds * 10) / 10, changes: (before ? before.changes : 0) + (isOther ? 1 : 0) };
    session.saved = false;
    store();
    show(session.at + 1);
  }

  function back() {
    if (session.at > 0) show(session.at - 1);
  }

  // Keeping and saving ----------------------------------------------------------------------------------------------

  function result() {
    const answers = Object.values(session.answers).sort((a, b) => a.item - b.item);
    return { format: facts.format, room: facts.room, reader: session.reader, began: session.began, ended: session.ended, of: facts.count, answers };
  }

  function store() {
    try { localStorage.setItem(keep(), JSON.stringify(result())); } catch { /* a browser that keeps nothing still saves the file */ }
  }

  function stored() {
    try { return JSON.parse(localStorage.getItem(keep())); } catch { return null; }
  }

  function save() {
    const name = `real-or-fake-${facts.room}-${session.reader}.json`, link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([JSON.stringify(result(), null, 1)], { type: "application/json" }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    session.saved = true;
    find(".saved").textContent = `Saved as ${name}, where your browser puts its files.`;
    find(".saved").hidden = false;
  }

  function begin(reader) {
    session.reader = reader;
    const before = stored();
    session.answers = Object.fromEntries((before ? before.answers : []).map((one) => [one.item, one]));
    session.began = before ? before.began : new Date().toISOString();
    session.ended = before ? before.ended : "";
    let first = 0;
    while (session.answers[first + 1]) first++;
    show(first);
  }

  // What the reader does --------------------------------------------------------------------------------------------

  find("form").addEventListener("submit", (event) => {
    event.preventDefault();
    begin(find("#reader").value.trim());
  });
  find("#reader").addEventListener("input", (event) => {
    session.reader = event.target.value.trim();
    const before = session.reader ? stored() : null;
    find(".resumed").hidden = !before;
    if (before) find(".resumed").textContent = `${before.answers.length} of ${facts.count} images were read under this code; you go on from there.`;
  });
  const deeds = { back, pause, save, window: () => setWindow((facts.start[0] + facts.start[1]) / 2, facts.start[1] - facts.start[0]) };
  room.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.call) call(button.dataset.call);
    if (button.dataset.sure) answer(Number(button.dataset.sure));
    if (button.dataset.do) deeds[button.dataset.do]();
    if (button.dataset.window) {
      const [low, top] = facts.windows[button.dataset.window];
      setWindow((low + top) / 2, top - low);
    }
    if (stage() === "reading") viewer.focus({ preventScroll: true });
  });
  for (const slider of Object.values(sliders)) {
    slider.addEventListener("input", () => setWindow(sliders.level.value / 1000 * (facts.depth - 1), sliders.width.value / 1000 * (facts.depth - 1)));
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || stage() === "door") return;
    const key = event.key.toLowerCase();
    if (key === "arrowleft" || key === "backspace") { back(); event.preventDefault(); return; }
    if (stage() !== "reading") return;
    if (key === "p") pause();
    if (now.paused) return;
    if (key === "r") call("real");
    else if (key === "f") call("fake");
    else if (key >= "1" && key <= "4" && key.length === 1) answer(Number(key));
    else if (key === "w") deeds.window();
    else if (key === "s") { now.smooth = !canvas.classList.contains("smooth"); fit(); }
    else if (key === "z") enlarge();
    else if (key === "arrowup") turn(-1);
    else if (key === "arrowdown") turn(1);
    else return;
    event.preventDefault();
  });
  viewer.addEventListener("wheel", (event) => {
    event.preventDefault();
    turn(Math.sign(event.deltaY));
  }, { passive: false });

  let pointer = null;
  function enlarge() {
    const box = viewer.getBoundingClientRect(), shown = canvas.getBoundingClientRect();
    const shift = (at, start, size, most) => Math.min(Math.max(start + size / 2 - at, -most / 2), most / 2);
    if (now.zoom) now.zoom = null;
    else if (!pointer) now.zoom = [0, 0];
    else now.zoom = [shift(pointer.x, box.left, box.width, shown.width), shift(pointer.y, box.top, box.height, shown.height)];
    fit();
  }
  let held = null;
  viewer.addEventListener("pointerdown", (event) => {
    if (now.paused || event.target.closest("button")) return;
    held = { x: event.clientX, y: event.clientY, middle: (window_.low + window_.high) / 2, span: window_.high - window_.low };
    viewer.setPointerCapture(event.pointerId);
  });
  viewer.addEventListener("pointermove", (event) => {
    pointer = { x: event.clientX, y: event.clientY };
    if (!held) return;
    const step = (facts.depth - 1) / 600;
    setWindow(held.middle + step * (event.clientY - held.y), held.span + step * (event.clientX - held.x));
  });
  for (const end of ["pointerup", "pointercancel"]) viewer.addEventListener(end, () => { held = null; });

  document.addEventListener("visibilitychange", tick);
  window.addEventListener("resize", () => { if (stage() === "reading") fit(); });
  window.addEventListener("beforeunload", (event) => { if (!session.saved) event.preventDefault(); });
  const banner = document.querySelector(".banner");
  if (banner) room.style.setProperty("--above", `${banner.offsetHeight}px`);
}
