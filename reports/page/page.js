"use strict";
// Without this script every word of the page can be read; it sorts tables and copies sources.
const words = JSON.parse(document.getElementById("words").textContent);

function say(text) {
  document.getElementById("status").textContent = text;
}

function sort(table, column, header) {
  const body = table.tBodies[0];
  const order = { none: "ascending", ascending: "descending", descending: "none" };
  const next = order[header.getAttribute("aria-sort") || "none"];
  for (const other of table.tHead.querySelectorAll("th[aria-sort]")) other.setAttribute("aria-sort", "none");
  header.setAttribute("aria-sort", next);
  const rows = [...body.rows];
  const collator = new Intl.Collator(document.documentElement.lang, { numeric: true });
  const place = (row) => Number(row.dataset.row);
  const key = (row) => row.cells[column].dataset.value;
  const figures = rows.every((row) => !Number.isNaN(Number(key(row))));
  const sign = next === "descending" ? -1 : 1;
  rows.sort((one, other) => {
    if (next === "none") return place(one) - place(other);
    const [a, b] = [key(one), key(other)];
    if (a === "" || b === "") return (a === "") - (b === "") || place(one) - place(other);
    return sign * (figures ? Number(a) - Number(b) : collator.compare(a, b)) || place(one) - place(other);
  });
  if (next === "none") delete table.dataset.sorted;
  else table.dataset.sorted = next;
  body.append(...rows);
  say(words[next].replace("{column}", header.querySelector("button").dataset.name));
}

for (const table of document.querySelectorAll("table.sortable")) {
  const headers = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
  headers.forEach((header, column) => {
    if (!header.textContent.trim()) return;
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.name = header.dataset.name;
    button.append(...header.childNodes);
    header.append(button);
    header.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => sort(table, column, header));
  });
}

for (const scroll of document.querySelectorAll(".scroll")) {
  new ResizeObserver(() => {
    scroll.previousElementSibling.dataset.wide = scroll.scrollWidth > scroll.clientWidth;
  }).observe(scroll);
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // A page from a file, or in a frame, may have no clipboard of its own.
    const area = document.createElement("textarea");
    area.value = text;
    area.setAttribute("aria-label", words.copy);
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const done = await copy(document.getElementById(button.dataset.copy).textContent);
    say(done ? words.copied : words.failed);
    const before = button.dataset.text || button.textContent;
    button.dataset.text = before;
    button.textContent = done ? words.copied : words.failed;
    button.focus();
    setTimeout(() => { button.textContent = before; }, 2000);
  });
}

const opened = [];
addEventListener("beforeprint", () => {
  opened.push(...document.querySelectorAll("details.print:not([open])"));
  for (const details of opened) details.open = true;
});
addEventListener("afterprint", () => {
  for (const details of opened.splice(0)) details.open = false;
});
