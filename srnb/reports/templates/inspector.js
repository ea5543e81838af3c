/* Look closely at pictures of one scene: see inspector.py. `root` holds a figure for each picture, which it replaces. */
(root) => {
  const make = (tag, parent, properties = {}) => parent.appendChild(Object.assign(document.createElement(tag), properties));
  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
  const scenes = [...root.querySelectorAll(".scene")].map((scene) => ({
    name: scene.dataset.name,
    pictures: [...scene.querySelectorAll("figure")].map((figure) => ({
      image: figure.querySelector("img"), name: figure.dataset.name, note: figure.dataset.note, cache: {} })),
  }));
  const names = scenes[0].pictures.map((picture) => picture.name);
  const truth = names.indexOf("HR");
  const first = Math.max(0, names.indexOf(root.dataset.left)), second = Math.max(0, names.indexOf(root.dataset.right));
  const others = names.map((_, index) => index).filter((index) => index !== first && index !== second).reverse();
  const state = { scene: 0, mode: "slider", shown: [first, second, ...others].slice(0, 4), split: 0.5,
    difference: false, blink: false, zoom: 0, x: 0, y: 0, moved: false };

  const places = (window.inspectors ??= {}), before = root.dataset.keep && places[root.dataset.keep];
  root.querySelector(".still").hidden = true;
  const thumbs = make("div", root, { className: "thumbs" });
  const bar = make("div", root, { className: "bar" });
  const stage = make("div", root, { className: "stage", tabIndex: 0 });
  const hint = make("p", root, { className: "hint", textContent: "Drag the line or the picture · click, then wheel, or pinch, " +
    "to zoom · keys: arrows (Shift: by ten), + − 0 1, hold B to blink, D difference, [ ] photograph" });
  stage.setAttribute("role", "application");
  stage.setAttribute("aria-label", hint.textContent);
  root.setAttribute("data-lm-suppress-shortcuts", "true");

  const panes = [0, 1, 2, 3].map((number) => {
    const element = make("div", stage, { className: "pane" }), canvas = make("canvas", element);
    const label = make("div", element, { className: "label" }), select = make("select", label);
    names.forEach((name, index) => make("option", select, { value: index, textContent: name }));
    select.ariaLabel = "picture";
    const note = make("span", label);
    select.onchange = () => { state.shown[number] = +select.value; draw(); };
    for (const event of ["pointerdown", "wheel", "keydown"]) label.addEventListener(event, (e) => e.stopPropagation());
    return { element, canvas, label, select, note };
  });
  const line = make("div", panes[0].element, { className: "line" });
  panes[0].element.append(panes[1].label);

  const group = (title, entries, choose) => {
    const set = make("span", bar, { className: "group", ariaLabel: title });
    set.setAttribute("role", "group");
    return entries.map(([value, text, help]) => {
      const button = make("button", set, { type: "button", textContent: text, title: help || title, ariaLabel: help && text.length < 2 ? help : null });
      button.onclick = () => { choose(value); draw(); };
      button.value = value;
      return button;
    });
  };
  const modes = group("view", [["slider", "slider"], ...[2, 3, 4].filter((count) => count <= names.length)
    .map((count) => [count, count === 2 ? "2 side by side" : `${count}`, `${count} side by side`])], (value) => { state.mode = value; fitted(); });
  const zooms = group("zoom", [[0, "fit"], [1, "1:1", "one pixel of the picture is one of the screen"], [2, "2×"],
    [4, "4×"], [8, "8×"]], (value) => { state.zoom = value; state.moved = value !== 0; if (!value) centre(); });
  const marks = group("look", truth < 0 ? [["blink", "blink", "hold: the other picture"]]
    : [["blink", "blink", "hold: the other picture"], ["difference", "difference", "distance from HR, five times as strong"]],
    (value) => { if (value === "difference") state.difference = !state.difference; });
  if (root.requestFullscreen) group("size", [["full", "full screen"]], () =>
    document.fullscreenElement === root ? document.exitFullscreen() : root.requestFullscreen());
  const blinking = (on) => { if (state.blink !== on) { state.blink = on; draw(); } };
  marks[0].onclick = null;
  marks[0].onpointerdown = () => blinking(true);
  for (const event of ["onpointerup", "onpointerleave", "onpointercancel"]) marks[0][event] = () => blinking(false);

  const full = () => {
    const images = scenes[state.scene].pictures.map((picture) => picture.image);
    const largest = images.reduce((a, b) => (b.naturalWidth > a.naturalWidth ? b : a));
    return [largest.naturalWidth, largest.naturalHeight];
  };
  const ratio = () => window.devicePixelRatio || 1;
  const tallest = () => window.innerHeight * (parseFloat(getComputedStyle(root).getPropertyValue("--tallest")) || 0.78);
  const fit = () => {
    const [width, height] = full(), box = panes[0].canvas;
    return Math.min(box.width / width, box.height / height);
  };
  const zoom = () => state.zoom || fit();
  const centre = () => { const [width, height] = full(); state.x = width / 2; state.y = height / 2; };
  const fitted = () => { if (!state.moved) { state.zoom = 0; centre(); } };

  /* The pixels of a picture at the size of HR, or their distance from HR. */
  const pixels = (picture, kind) => {
    if (picture.cache[kind]) return picture.cache[kind];
    const [width, height] = full(), canvas = Object.assign(document.createElement("canvas"), { width, height });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.imageSmoothingEnabled = false;
    context.drawImage(picture.image, 0, 0, width, height);
    if (kind === "difference") {
      const hr = pixels(scenes[state.scene].pictures[truth], "plain").getContext("2d").getImageData(0, 0, width, height).data;
      const data = context.getImageData(0, 0, width, height), values = data.data;
      for (let at = 0; at < values.length; at += 4) {
        const distance = 5 * (Math.abs(values[at] - hr[at]) + Math.abs(values[at + 1] - hr[at + 1]) +
          Math.abs(values[at + 2] - hr[at + 2])) / 3;
        values[at] = distance * 1.5; values[at + 1] = distance * 0.9; values[at + 2] = distance * 0.4;
      }
      context.putImageData(data, 0, 0);
    }
    return (picture.cache[kind] = canvas);
  };

  /* PSNR on luma of what is seen of a picture, from the pictures of this page. */
  const psnr = (picture, canvas) => {
    if (truth < 0 || picture === scenes[state.scene].pictures[truth]) return "";
    const [width, height] = full(), z = zoom();
    const left = Math.floor(clamp(state.x - canvas.width / 2 / z, 0, width - 1));
    const top = Math.floor(clamp(state.y - canvas.height / 2 / z, 0, height - 1));
    const wide = Math.ceil(clamp(canvas.width / z, 1, width - left)), high = Math.ceil(clamp(canvas.height / z, 1, height - top));
    const [a, b] = [picture, scenes[state.scene].pictures[truth]].map((each) =>
      pixels(each, "plain").getContext("2d").getImageData(left, top, wide, high).data);
    let sum = 0;
    for (let at = 0; at < a.length; at += 4) {
      const d = (65.481 * (a[at] - b[at]) + 128.553 * (a[at + 1] - b[at + 1]) + 24.966 * (a[at + 2] - b[at + 2])) / 255;
      sum += d * d;
    }
    const mean = sum / (a.length / 4);
    return mean ? `seen: ${(10 * Math.log10(65025 / mean)).toFixed(1)} dB` : "";
  };

  const paint = (canvas, index, from = 0, to = 1) => {
    const picture = scenes[state.scene].pictures[index], [width, height] = full(), z = zoom();
    const context = canvas.getContext("2d"), differs = state.difference && index !== truth;
    context.save();
    context.beginPath();
    context.rect(from * canvas.width, 0, (to - from) * canvas.width, canvas.height);
    context.clip();
    context.imageSmoothingEnabled = z < 2 && picture.image.naturalWidth === width;
    context.imageSmoothingQuality = "high";
    context.drawImage(differs ? pixels(picture, "difference") : picture.image,
      Math.round(canvas.width / 2 - state.x * z), Math.round(canvas.height / 2 - state.y * z),
      Math.round(width * z), Math.round(height * z));
    context.restore();
  };

  let later;
  const measure = () => panes.forEach((pane, number) => {
    if (pane.element.hidden && !(state.mode === "slider" && number === 1)) return;
    const picture = scenes[state.scene].pictures[state.shown[number]];
    const seen = psnr(picture, panes[0].canvas);
    pane.note.textContent = [picture.note, state.moved ? seen : ""].filter(Boolean).join(" · ");
  });

  function draw() {
    const slider = state.mode === "slider", count = slider ? 1 : +state.mode, [width, height] = full();
    const across = slider ? 1 : root.clientWidth < 560 ? 1 : count === 4 ? 2 : count;
    stage.style.gridTemplateColumns = `repeat(${across}, 1fr)`;
    line.hidden = !slider;
    (slider ? panes[0] : panes[1]).element.append(panes[1].label);
    panes[1].label.classList.toggle("right", slider);
    panes.forEach((pane, number) => {
      pane.element.hidden = number >= count;
      pane.select.value = state.shown[number];
      if (number >= count) return;
      const wide = (stage.clientWidth - 4 * (across - 1)) / across;
      const tall = Math.min((wide * height) / width, tallest());
      const size = [Math.round(wide * ratio()), Math.round(tall * ratio())];
      pane.canvas.style.height = `${tall}px`;
      if (pane.canvas.width !== size[0] || pane.canvas.height !== size[1]) [pane.canvas.width, pane.canvas.height] = size;
    });
    if (!state.zoom) centre();
    const halves = [0, 1].map((side) => panes[0].canvas[side ? "height" : "width"] / 2 / zoom());
    state.x = width > 2 * halves[0] ? clamp(state.x, halves[0], width - halves[0]) : width / 2;
    state.y = height > 2 * halves[1] ? clamp(state.y, halves[1], height - halves[1]) : height / 2;
    panes.slice(0, count).forEach((pane, number) => {
      pane.canvas.getContext("2d").clearRect(0, 0, pane.canvas.width, pane.canvas.height);
      if (slider) {
        const sides = state.blink ? [state.shown[1], state.shown[0]] : state.shown;
        paint(pane.canvas, sides[0], 0, state.split);
        paint(pane.canvas, sides[1], state.split, 1);
        line.style.left = `${100 * state.split}%`;
      } else {
        paint(pane.canvas, state.shown[state.blink ? (number + 1) % count : number]);
      }
    });
    modes.forEach((button) => button.setAttribute("aria-pressed", button.value === String(state.mode)));
    zooms.forEach((button) => button.setAttribute("aria-pressed", +button.value === state.zoom));
    if (marks[1]) marks[1].setAttribute("aria-pressed", state.difference);
    chosen.forEach((button, index) => button.setAttribute("aria-pressed", index === state.scene));
    root.dataset.state = JSON.stringify({ ...state, zoom: zoom() });
    const { mode, split, difference, zoom: zoomed, x, y, moved } = state;
    if (root.dataset.keep) places[root.dataset.keep] = { mode, split, difference, zoom: zoomed, x, y, moved };
    clearTimeout(later);
    later = setTimeout(measure, 120);
  }

  const chosen = scenes.map((scene, index) => {
    const button = make("button", thumbs, { type: "button", title: scene.name });
    make("img", button, { src: scene.pictures.at(-1).image.src, alt: scene.name });
    button.onclick = () => go(index);
    return button;
  });
  thumbs.hidden = scenes.length < 2;
  const go = async (index) => {
    state.scene = (index + scenes.length) % scenes.length;
    await Promise.all(scenes[state.scene].pictures.map((picture) => picture.image.decode().catch(() => {})));
    state.moved = false;
    fitted();
    draw();
  };

  const magnify = (factor, pane, event) => {
    const box = pane.canvas.getBoundingClientRect(), before = zoom();
    const after = clamp(before * factor, Math.min(fit(), 1), 32);
    const dx = (event.clientX - box.left) * ratio() - pane.canvas.width / 2;
    const dy = (event.clientY - box.top) * ratio() - pane.canvas.height / 2;
    state.x += dx / before - dx / after;
    state.y += dy / before - dy / after;
    state.moved = after > fit() * 1.001;
    state.zoom = state.moved ? after : 0;
    draw();
  };
  const pointers = new Map();
  let grip = "", spread = 0;
  panes.forEach((pane) => {
    const canvas = pane.canvas, place = (event) => {
      const box = canvas.getBoundingClientRect();
      return clamp((event.clientX - box.left) / box.width, 0, 1);
    };
    pane.element.addEventListener("pointerdown", (event) => {
      stage.focus({ preventScroll: true });
      pane.element.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, event);
      const near = Math.abs(place(event) - state.split) * canvas.clientWidth < 24;
      grip = state.mode === "slider" && (near || !state.zoom) ? "line" : "picture";
      spread = 0;
      if (grip === "line") { state.split = place(event); draw(); }
    });
    pane.element.addEventListener("pointermove", (event) => {
      const last = pointers.get(event.pointerId);
      if (!last) return;
      pointers.set(event.pointerId, event);
      if (pointers.size === 2) {
        const [a, b] = [...pointers.values()], now = Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
        if (spread) magnify(now / spread, pane, { clientX: (a.clientX + b.clientX) / 2, clientY: (a.clientY + b.clientY) / 2 });
        spread = now;
      } else if (grip === "line") {
        state.split = place(event);
        draw();
      } else {
        state.x -= ((event.clientX - last.clientX) * ratio()) / zoom();
        state.y -= ((event.clientY - last.clientY) * ratio()) / zoom();
        draw();
      }
    });
    for (const end of ["pointerup", "pointercancel"]) {
      pane.element.addEventListener(end, (event) => { pointers.delete(event.pointerId); spread = 0; });
    }
    pane.element.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !stage.contains(document.activeElement)) return; // the page scrolls until a picture is clicked
      event.preventDefault();
      event.stopPropagation();
      magnify(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.002)), pane, event);
    }, { passive: false });
  });

  const middle = () => {
    const box = panes[0].canvas.getBoundingClientRect();
    return { clientX: box.left + box.width / 2, clientY: box.top + box.height / 2 };
  };
  root.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
    const far = event.shiftKey ? 0.1 : 0.01, wide = panes[0].canvas.width / zoom(), high = panes[0].canvas.height / zoom();
    const sideways = (way) => {
      if (state.mode === "slider") state.split = clamp(Math.round((state.split + way * far) * 1000) / 1000, 0, 1);
      else state.x += way * far * wide;
    };
    const keys = {
      ArrowLeft: () => sideways(-1), ArrowRight: () => sideways(1),
      ArrowUp: () => (state.y -= far * high), ArrowDown: () => (state.y += far * high),
      "+": () => magnify(1.25, panes[0], middle()), "=": () => magnify(1.25, panes[0], middle()),
      "-": () => magnify(0.8, panes[0], middle()), 0: () => zooms[0].click(), 1: () => zooms[1].click(),
      b: () => (state.blink = true), d: () => truth >= 0 && (state.difference = !state.difference),
      "[": () => go(state.scene - 1), "]": () => go(state.scene + 1),
    };
    const act = keys[event.key] || keys[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
    draw();
  });
  root.addEventListener("keyup", (event) => { if (event.key.toLowerCase() === "b") blinking(false); });
  go(0).then(() => { Object.assign(state, before || {}); new ResizeObserver(() => draw()).observe(root); });
}
