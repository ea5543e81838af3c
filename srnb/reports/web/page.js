// The part of the page that its reader sees: pictures in, progress, before and after, files out.
"use strict";

(() => {
  const PREVIEW = 6e6; // pixels of a preview; the file has all of them
  const PIXELS_PER_GIB = 4e6; // what a picture may have for each GiB of the device, of which browsers name 8 at most
  const KEPT = 5; // pictures that stay to be looked at; the files of all stay

  const section = document.getElementById("try");
  const part = (name) => section.querySelector(`.${name}`);
  const content = (id) => document.getElementById(id).textContent;
  const networks = JSON.parse(content("try-networks"));
  const limit = (navigator.deviceMemory || 4) * PIXELS_PER_GIB;
  const megapixels = (pixels) => `${+(pixels / 1e6).toPrecision(3)} megapixels`;
  const jobs = []; // {file, name, state, …}, in the order in which they came
  let current = null, shown = null, worker = null;

  // ---- choice of the network

  const network = () => networks[part("network").value || 0];
  const share = () => (network().ends.length > 1 ? part("share").value / 100 : 0);

  function describeChoice() {
    const { ends, scale, note } = network();
    part("blend").hidden = ends.length < 2;
    if (ends.length > 1) [part("first").textContent, part("second").textContent] = ends.map((end) => end.name);
    part("share").setAttribute("aria-valuetext", `${part("share").value} % ${ends.at(-1).name}`);
    part("note").textContent = `Enlarges ${scale} times. ${note}`;
  }

  function chooseAgain() {
    describeChoice();
    if (shown && !current) start(shown);
  }

  // ---- pictures in

  async function take(files) {
    const added = files.map((file) => ({ file, name: file.name || "picture", state: "waiting" }));
    if (!added.length) return;
    jobs.push(...added);
    say("");
    listJobs();
    if (!current) await startNext();
  }

  async function startNext() {
    const next = jobs.find((job) => job.state === "waiting");
    if (next) await start(next);
  }

  // Width and height without decoding, so that what is too large is said before the work
  function measure(file) {
    return new Promise((resolve) => {
      const image = new Image(), address = URL.createObjectURL(file);
      const end = () => {
        URL.revokeObjectURL(address);
        resolve([image.naturalWidth, image.naturalHeight]);
      };
      image.onload = image.onerror = end;
      image.src = address;
    });
  }

  async function start(job) {
    current = job;
    Object.assign(job, { state: "at work", network: network(), share: share(), problem: "" });
    part("bar").hidden = false;
    part("progress").value = 0;
    part("progress-text").textContent = `Reading ${job.name} …`;
    listJobs();
    const [width, height] = await measure(job.file);
    if (current !== job) return;
    if (width * height === 0) return fail(job, "this browser cannot read it as a picture");
    if (width * height > limit) return fail(job, `it has ${megapixels(width * height)}; on this device ${megapixels(limit)} are possible. Make it smaller first`);
    worker = new Worker(workerAddress, { name: "picture" });
    worker.onmessage = ({ data }) => current === job && hear(job, data);
    worker.onerror = (event) => current === job && fail(job, event.message || "the browser stopped the work");
    const modules = { simd: content("try-kernel"), relaxed: content("try-kernel-relaxed") };
    const { ends, ...description } = job.network;
    worker.postMessage({ file: job.file, network: description, weights: ends.map((end) => content(end.weights)), modules, share: job.share, source, previewPixels: PREVIEW });
  }

  const source = ["try-engine", "try-png", "try-picture"].map(content).join("\n");
  const workerAddress = URL.createObjectURL(new Blob([source], { type: "text/javascript" })); // no module: file:// forbids them

  function hear(job, { opened, progress, piece, done, failed }) {
    if (opened) {
      const { before, width, height, reduction } = opened, { scale } = job.network;
      Object.assign(job, { width, height, reduction, before: canvas(before), after: canvas() });
      [job.after.width, job.after.height] = [before.width, before.height];
      before.close?.();
      job.after.getContext("2d").drawImage(job.before, 0, 0); // until its tiles are there
      tellProgress(job, 0);
      show(job);
      part("size").textContent = `${width} × ${height} → ${width * scale} × ${height * scale}`;
    }
    if (progress) {
      const left = (progress.seconds / progress.done) * (1 - progress.done);
      tellProgress(job, progress.done, progress.seconds > 1 ? `, about ${duration(left)} left` : "");
    }
    if (piece) {
      const context = job.after.getContext("2d");
      context.clearRect(piece.left, piece.top, piece.image.width, piece.image.height);
      context.drawImage(piece.image, piece.left, piece.top);
      piece.image.close();
    }
    if (done) {
      Object.assign(job, { state: "done", blob: done.blob, seconds: done.seconds });
      leave();
      show(job);
    }
    if (failed) fail(job, failed);
  }

  function canvas(bitmap) {
    const element = document.createElement("canvas");
    if (bitmap) {
      [element.width, element.height] = [bitmap.width, bitmap.height];
      element.getContext("2d").drawImage(bitmap, 0, 0);
    }
    return element;
  }

  function fail(job, reason) {
    Object.assign(job, { state: "not done", problem: reason });
    say(`${job.name}: ${reason}.`);
    leave();
  }

  function cancel() {
    current.state = current.blob ? "done" : "cancelled";
    say(`${current.name}: cancelled.`);
    leave();
  }

  // The worker's end is the end of its tiles and of its memory.
  function leave() {
    worker?.terminate();
    worker = current = null;
    part("bar").hidden = true;
    const finished = jobs.filter((job) => job.after && job !== shown);
    for (const job of finished.slice(0, -KEPT)) job.before = job.after = null;
    listJobs();
    setTimeout(startNext);
  }

  // ---- what is seen

  const say = (text) => (part("message").textContent = text);
  const duration = (seconds) => (seconds < 90 ? `${Math.max(1, Math.round(seconds))} s` : `${Math.round(seconds / 60)} min`);

  function tellProgress(job, done, rest = "") {
    part("progress").value = done;
    part("progress-text").textContent = `${job.name}: ${Math.floor(done * 100)} %${rest}`;
  }

  // The network that enlarged a picture
  function title({ network: { title, ends }, share }) {
    return ends.length < 2 || share === 1 ? title : share === 0 ? `${title}, ${ends[0].name}` : `${title}, ${Math.round(share * 100)} % ${ends[1].name}`;
  }

  function fileName(job) {
    return `${job.name.replace(/\.[^.]*$/, "") || "picture"}_x${job.network.scale}.png`;
  }

  function show(job) {
    if (!job.after) return;
    shown = job;
    part("result").hidden = false;
    part("before").replaceChildren(job.before);
    part("after").replaceChildren(job.after);
    part("stage").style.setProperty("--aspect", job.width / job.height);
    part("right").textContent = title(job);
    const facts = [`${job.width} × ${job.height} → ${job.width * job.network.scale} × ${job.height * job.network.scale}`];
    if (job.seconds && job.state === "done") facts.push(`${duration(job.seconds)}`, `${(job.blob.size / 1e6).toFixed(1)} MB`);
    if (job.reduction > 1) facts.push(`shown at 1/${job.reduction} of its size`);
    part("size").textContent = facts.join(" · ");
    link(part("save"), job);
    listJobs();
  }

  function link(anchor, job) {
    anchor.hidden = !job.blob || job.state !== "done";
    if (anchor.hidden) return;
    job.address ??= [];
    if (job.address[0] !== job.blob) {
      if (job.address[1]) URL.revokeObjectURL(job.address[1]);
      job.address = [job.blob, URL.createObjectURL(job.blob)];
    }
    anchor.href = job.address[1];
    anchor.download = fileName(job);
  }

  function listJobs() {
    part("jobs").hidden = jobs.length < 2;
    part("jobs").replaceChildren(
      ...jobs.map((job) => {
        const row = document.createElement("li"), name = document.createElement(job.after ? "button" : "span"), state = document.createElement("span"), save = document.createElement("a");
        name.textContent = job.name;
        name.className = job === shown ? "name here" : "name";
        if (job.after) Object.assign(name, { type: "button", onclick: () => show(job) });
        state.textContent = job.problem ? `${job.state}: ${job.problem}` : job.state;
        state.className = "state";
        save.textContent = "download";
        link(save, job);
        row.append(name, state, save);
        return row;
      }),
    );
  }

  // ---- wiring

  function pictures(transfer) {
    return [...(transfer?.files ?? [])].filter((file) => file.type.startsWith("image/") || !file.type);
  }

  function listen() {
    part("network").append(...networks.map(({ title }, value) => Object.assign(document.createElement("option"), { value, textContent: title })));
    part("choice").hidden = networks.length < 2;
    part("network").addEventListener("change", chooseAgain);
    part("share").addEventListener("input", describeChoice);
    part("share").addEventListener("change", chooseAgain);
    part("file").addEventListener("change", (event) => {
      take([...event.target.files]);
      event.target.value = ""; // the same file may be chosen again
    });
    part("example").addEventListener("click", ({ currentTarget }) => {
      const [, type, code] = currentTarget.firstElementChild.src.match(/^data:(.*?);base64,(.*)$/);
      take([new File([Uint8Array.from(atob(code), (letter) => letter.charCodeAt(0))], "example.jpg", { type })]);
    });
    for (const name of ["dragenter", "dragover", "dragleave", "drop"])
      addEventListener(name, (event) => {
        if (![...(event.dataTransfer?.types ?? [])].includes("Files")) return;
        event.preventDefault();
        part("drop").classList.toggle("over", name === "dragover" || name === "dragenter");
        if (name === "drop") take(pictures(event.dataTransfer));
      });
    addEventListener("paste", (event) => take(pictures(event.clipboardData)));
    part("cancel").addEventListener("click", cancel);
    const stage = part("stage");
    part("line").addEventListener("input", ({ target }) => stage.style.setProperty("--x", `${target.value}%`));
    for (const choice of section.querySelectorAll("[name=try-zoom]")) choice.addEventListener("change", () => stage.style.setProperty("--zoom", choice.value));
    stage.addEventListener("pointermove", (event) => {
      if (event.buttons) return; // the line is being dragged
      const box = stage.getBoundingClientRect();
      stage.style.setProperty("--from", `${((event.clientX - box.left) / box.width) * 100}% ${((event.clientY - box.top) / box.height) * 100}%`);
    });
    part("limit").textContent = `PNG, JPEG, WebP and whatever else this browser shows, up to ${megapixels(limit)}.`;
    describeChoice();
  }

  const needed = ["WebAssembly", "Worker", "OffscreenCanvas", "createImageBitmap", "CompressionStream", "DecompressionStream"];
  const missing = needed.filter((name) => !(name in window));
  if (missing.length) {
    part("drop").hidden = part("example").hidden = true;
    say(`This browser is too old for it: it lacks ${missing.join(", ")}. Chrome 94, Firefox 113, Safari 16.4 and later have them.`);
  } else listen();
})();
