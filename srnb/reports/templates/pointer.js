/* A photograph with a square that is moved by clicks, drags and arrow keys: see controls/pointer.py. */
export default {
  render({ model, el }) {
    const names = "http://www.w3.org/2000/svg";
    const svg = el.appendChild(document.createElementNS(names, "svg"));
    svg.setAttribute("tabindex", "0");
    svg.setAttribute("role", "application");
    svg.setAttribute("aria-label", "photograph: click on a place, or move the square by arrow keys");
    svg.setAttribute("data-lm-suppress-shortcuts", "true");
    svg.style.cssText = "display:block;max-width:100%;cursor:crosshair;touch-action:none";
    const image = svg.appendChild(document.createElementNS(names, "image"));
    const squares = [["#000", 4], ["#fff", 2]].map(([stroke, width]) => {
      const square = svg.appendChild(document.createElementNS(names, "rect"));
      for (const [key, value] of Object.entries({ stroke, "stroke-width": width, fill: "none",
        "vector-effect": "non-scaling-stroke" })) square.setAttribute(key, value);
      return square;
    });
    const draw = () => {
      const [width, height, side] = ["width", "height", "side"].map((name) => model.get(name));
      svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
      svg.style.width = `${Math.min(310, 300 * width / height)}px`;
      for (const [key, value] of Object.entries({ href: model.get("picture"), width, height }))
        image.setAttribute(key, value);
      for (const square of squares) {
        square.setAttribute("x", model.get("centre")[0] - side / 2);
        square.setAttribute("y", model.get("centre")[1] - side / 2);
        square.setAttribute("width", side);
        square.setAttribute("height", side);
      }
    };
    const move = (x, y) => {
      model.set("centre", [[x, "width"], [y, "height"]].map(([value, name]) => {
        const length = model.get(name), half = Math.min(model.get("side"), length) / 2;
        return Math.round(Math.min(Math.max(value, half), length - half));
      }));
      model.save_changes();
    };
    const there = (event) => {
      const box = svg.getBoundingClientRect(), zoom = model.get("width") / box.width;
      move((event.clientX - box.left) * zoom, (event.clientY - box.top) * zoom);
    };
    svg.addEventListener("pointerdown", (event) => {
      svg.setPointerCapture(event.pointerId);
      svg.focus();
      there(event);
    });
    svg.addEventListener("pointermove", (event) => event.buttons && there(event));
    svg.addEventListener("keydown", (event) => {
      const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (!way) return;
      event.preventDefault();
      event.stopPropagation();
      const far = (event.shiftKey ? 10 : 1) * Math.max(1, model.get("width") / svg.clientWidth);
      const [x, y] = model.get("centre");
      move(x + way[0] * far, y + way[1] * far);
    });
    for (const name of ["picture", "width", "height", "side", "centre"]) model.on(`change:${name}`, draw);
    draw();
  },
};
