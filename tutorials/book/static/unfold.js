// Unfolds a call of a function that has its lines on this page: opened, it takes a copy of them.

document.addEventListener("toggle", (event) => {
  const call = event.target;
  if (!call.open || !call.matches("details.call[data-def]") || call.querySelector(".source")) return;
  const { def, first, last } = call.dataset;
  if (call.parentElement.closest(`details[data-def="${def}"]`)) return; // it calls itself
  const lines = document.createElement("div");
  lines.className = "source";
  for (let line = Number(first); line <= Number(last); line++) lines.append(copyOf(line));
  lines.prepend(copyOf(def));
  call.querySelector("summary").after(lines);
}, true); // this event does not bubble

// The row of a line, with all calls in it folded; what they had been given is left out.
function copyOf(line) {
  const row = document.getElementById(`L${line}`).cloneNode(true);
  row.removeAttribute("id");
  for (const call of row.querySelectorAll("details")) {
    call.open = false;
    if (call.dataset.def) call.querySelector(".source")?.remove();
  }
  return row;
}
