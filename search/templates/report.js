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
    const figure = JSON.parse(graph.querySelector("script").textContent);
    figure.layout.font.color = text();
    figure.layout.dragmode = false; // or a finger on a graph could not scroll the page
    await Plotly.newPlot(graph, figure.data, figure.layout, { displayModeBar: false, responsive: true });
  }
  document.body.dataset.drawn = graphs.length;

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const graph of graphs) Plotly.relayout(graph, { "font.color": text() });
  });
  addEventListener("beforeprint", () => {
    for (const graph of graphs) {
      const width = graph.classList.contains("slice") ? 330 : 680; // of A4 with its margins, in CSS pixels
      Plotly.relayout(graph, { "font.color": "#222222", autosize: false, width, height: graph.clientHeight });
    }
  });
  addEventListener("afterprint", () => {
    for (const graph of graphs) Plotly.relayout(graph, { "font.color": text(), autosize: true, width: null, height: null });
  });
})().catch(error => {
  console.error(error);
  document.getElementById("without-graphs").hidden = false;
  for (const graph of document.querySelectorAll(".graph")) graph.remove();
});
