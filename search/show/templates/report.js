// Tables whose headers sort them by what their cells show: numbers by size, words after them, nothing at the end.
for (const table of document.querySelectorAll("table.sortable")) {
  const [body] = table.tBodies;
  [...table.tHead.rows[0].cells].forEach((header, column) => {
    const button = document.createElement("button"); // Tab and Enter reach it
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => {
      const sign = header.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      for (const other of table.querySelectorAll("th[aria-sort]")) other.removeAttribute("aria-sort");
      header.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      const keyed = [...body.rows].map(row => ({ row, key: sortKey(row.cells[column].textContent) }));
      keyed.sort(({ key: one }, { key: other }) => one.rank - other.rank || sign * inOrder(one.value, other.value));
      body.append(...keyed.map(({ row }) => row));
    });
  });
}

function sortKey(text) {
  const word = text.replace("★", "").trim();
  const number = parseFloat(word.replaceAll(",", "").replaceAll("−", "-"));
  if (word === "") return { rank: 2, value: word };
  return Number.isNaN(number) ? { rank: 1, value: word } : { rank: 0, value: number };
}

function inOrder(one, other) {
  return typeof one === "number" ? one - other : one.localeCompare(other);
}

// plotly.js is packed in this page, so nothing is fetched; what it draws is in the script elements of type JSON.
(async () => {
  const graphs = [...document.querySelectorAll(".graph")];
  if (graphs.length === 0) return;
  const bytes = Uint8Array.from(atob(document.getElementById("plotly").textContent.trim()), c => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const library = document.createElement("script");
  library.textContent = await new Response(stream).text();
  document.head.append(library);

  const text = () => getComputedStyle(document.body).color;
  for (const graph of graphs) {
    const { data, layout } = JSON.parse(graph.querySelector("script").textContent);
    layout.font.color = text();
    layout.dragmode = false; // or a finger on a graph could not scroll the page
    if (graph.clientWidth < 480) narrow(layout);
    await Plotly.newPlot(graph, data, layout, { displayModeBar: false, responsive: true });
  }
  document.body.dataset.drawn = graphs.length;

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const graph of graphs) Plotly.relayout(graph, { "font.color": text() });
  });
  addEventListener("beforeprint", () => {
    for (const graph of graphs) Plotly.relayout(graph, { "font.color": "#222222", autosize: false, ...onPaper(graph) });
  });
  addEventListener("afterprint", () => {
    for (const graph of graphs) Plotly.relayout(graph, { "font.color": text(), autosize: true, width: null, height: null });
  });

  // Titles and ticks that fit a phone; the legend has more rows there, and takes the room that it needs.
  function narrow(layout) {
    layout.title.font.size = 13;
    if (layout.showlegend !== false) {
      layout.margin.b = 48;
      Object.assign(layout.legend, { y: -0.28, yref: "paper", yanchor: "top" });
    }
    if (layout.xaxis2) { // side by side: room between the last tick of one and the first of the other
      layout.xaxis.domain[1] -= 0.03;
      layout.xaxis2.domain[0] += 0.03;
    }
    for (const note of layout.annotations ?? []) if (note.ax) note.ax = Math.abs(note.ax); // off the axis
    for (const name of Object.keys(layout)) if (/^xaxis/.test(name)) layout[name].nticks ??= 4;
  }

  // The size of a graph on A4 with its margins, in CSS pixels.
  function onPaper(graph) {
    if (graph.classList.contains("slice")) return { width: 330, height: 260 };
    const { classList } = graph;
    return { width: 680, height: classList.contains("matrix") ? 640 : classList.contains("low") ? 240 : 380 };
  }
})().catch(error => {
  console.error(error);
  document.getElementById("without-graphs").hidden = false;
  for (const graph of document.querySelectorAll(".graph")) graph.remove();
});
