/* The slider through the moments of a crop. A training renews its panel while somebody holds the slider: place, grip and
   focus are kept under the panel's key, and a drag is heard by the document, which outlives the slider. */
(root) => {
  const every = (window.srnbTraining ||= {}), state = (every[root.dataset.key] ||= { step: null });
  const slider = root.querySelector(".crop input"), folded = root.querySelector("details");
  if (folded) {
    folded.open = !!state.open;
    folded.ontoggle = () => { if (folded.isConnected) state.open = folded.open; };
  }
  if (!slider) {
    root.querySelector(".moments img")?.classList.add("now");
    return;
  }
  const moments = [...root.querySelectorAll(".moments img")], last = moments.length - 1;
  const caption = root.querySelector(".moments figcaption");
  const show = (index) => {
    moments.forEach((image, number) => image.classList.toggle("now", number === index));
    caption.textContent = moments[index].alt;
    slider.value = index;
    slider.setAttribute("aria-valuetext", moments[index].alt);
  };
  const choose = (index) => {
    state.step = index === last ? null : +moments[index].dataset.step; // at the end it stays with what is newest
    show(index);
  };
  state.drag = (event) => {
    const box = slider.getBoundingClientRect(), place = (event.clientX - box.left) / box.width;
    choose(Math.round(Math.min(1, Math.max(0, place)) * last));
  };
  if (!state.heard) {
    state.heard = true;
    document.addEventListener("pointermove", (event) => { if (state.held) state.drag(event); });
    for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, () => { state.held = false; });
  }
  slider.onpointerdown = (event) => {
    event.preventDefault();
    slider.focus({ preventScroll: true });
    state.held = true;
    state.drag(event);
  };
  slider.oninput = () => choose(+slider.value);
  slider.onkeydown = (event) => event.stopPropagation(); // Lab has shortcuts of its own for arrows
  slider.onfocus = () => { state.focus = true; };
  slider.onblur = () => setTimeout(() => { if (slider.isConnected) state.focus = false; }); // not when it is replaced
  slider.hidden = false;
  const steps = moments.map((image) => +image.dataset.step);
  const nearest = (step) => steps.reduce((a, b, index) => (Math.abs(b - step) < Math.abs(steps[a] - step) ? index : a), 0);
  show(state.step === null ? last : nearest(state.step));
  if (state.focus) slider.focus({ preventScroll: true });
}
