// Plotly is large. A page loads it when one of its figures comes near the view, and draws that figure.
(() => {
  let library;
  const load = (address) => (library ??= new Promise((loaded) => {
    const script = document.createElement("script");
    script.src = address;
    script.onload = loaded;
    document.head.append(script);
  }));

  const draw = async (figure) => {
    await load(figure.dataset.library);
    for (const waiting of figure.querySelectorAll("script[type='text/x-plotly']")) {
      const script = document.createElement("script");
      script.textContent = waiting.textContent;
      waiting.replaceWith(script);
    }
  };

  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((e) => e.isIntersecting)) {
      watch.unobserve(entry.target);
      draw(entry.target);
    }
  }, { rootMargin: "600px" });
  document.querySelectorAll(".plotly-figure").forEach((figure) => watch.observe(figure));
})();
