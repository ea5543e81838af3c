/* Frames of one detail between two networks, and their dots on a plane: see controls/dial.py. */
(root) => {
  const frames = [...root.querySelectorAll("figure")], dot = root.querySelector(".now"), range = root.querySelector("input");
  const row = root.querySelector(".frames");
  root.querySelector(".turn").hidden = false;
  row.style.display = "block";
  const turn = () => {
    frames.forEach((frame, number) => (frame.hidden = number !== +range.value));
    const { x, y, name } = frames[range.value].dataset;
    dot.setAttribute("cx", x);
    dot.setAttribute("cy", y);
    range.setAttribute("aria-valuetext", name);
  };
  range.addEventListener("input", turn);
  range.addEventListener("keydown", (event) => event.stopPropagation()); // JupyterLab's shortcuts must not hear it
  turn();
}
