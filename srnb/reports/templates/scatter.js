/* Dots that are photographs: named where the pointer is, opened in the inspector by a click. See controls/scatter.py. */
(root) => {
  const said = root.querySelector(".said"), dots = root.querySelectorAll("circle"), hint = said.textContent;
  const same = (dot) => [...dots].filter((other) => other.dataset.photograph === dot.dataset.photograph);
  const name = (dot) => {
    said.textContent = dot.querySelector("title").textContent;
    for (const other of same(dot)) other.classList.add("same");
  };
  const open = (dot) => {
    const thumbs = [...document.querySelectorAll(".inspector .thumbs button")];
    const thumb = thumbs.find((button) => button.title === dot.dataset.photograph);
    if (!thumb) said.textContent = `${dot.dataset.photograph} is in no inspector of this page`;
    else {
      thumb.click();
      thumb.closest(".inspector").scrollIntoView({ block: "center" });
    }
  };
  for (const dot of dots) {
    for (const event of ["pointerenter", "focus"]) dot.addEventListener(event, () => name(dot));
    for (const event of ["pointerleave", "blur"]) {
      dot.addEventListener(event, () => {
        said.textContent = hint;
        for (const other of dots) other.classList.remove("same");
      });
    }
    dot.addEventListener("click", () => open(dot));
    dot.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.stopPropagation();
      open(dot);
    });
  }
}
