"use strict";
// Whatever is pointed at, or chosen above, is named below its figure and shown in all of them.
(() => {
  const tags = [...document.querySelectorAll("[data-key]")];
  const names = new Map();
  const find = document.getElementById("find");

  function show(key) {
    document.body.classList.toggle("finding", key !== "");
    for (const tag of tags) tag.classList.toggle("on", key !== "" && tag.dataset.key === key);
  }

  function tell(tag) {
    const figure = tag.closest("figure");
    const title = tag.querySelector("title");
    if (figure && title) figure.querySelector("output").textContent = title.textContent;
  }

  document.addEventListener("pointerover", (event) => {
    const tag = event.target.closest("g.tag");
    if (tag) tell(tag);
  });
  document.addEventListener("click", (event) => {
    const tag = event.target.closest("g.tag");
    if (!tag) return;
    tell(tag);
    const key = tag.classList.contains("on") ? "" : tag.dataset.key;
    show(key);
    if (find) find.value = names.has(key) ? key : "";
  });
  if (!find) return;
  for (const row of document.querySelectorAll("tr[data-key]")) {
    const name = row.cells[0].textContent.replace(/ \S+$/, "");
    if (!names.has(row.dataset.key)) names.set(row.dataset.key, name);
  }
  for (const [key, name] of names) find.add(new Option(name, key));
  find.addEventListener("change", () => show(find.value));
})();
