// The page: reads the data that stands in it, and shows what was measured.
import { render } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { Environment } from "./environment.jsx";
import { Findings } from "./findings.jsx";
import { GraphPage } from "./graphpage.jsx";
import { hasRanges, Layers, Ranges } from "./layers.jsx";
import { Model } from "./model.js";
import { Parity } from "./parity.jsx";
import { hasPlacement, Placement } from "./placement.jsx";
import { readRoute, writeRoute } from "./route.js";
import "./style.css";
import { Summary } from "./summary.jsx";
import { setTheme } from "./theme.js";

const data = JSON.parse(document.getElementById("data").textContent);
const models = new Map();

function modelAt(number) {
  if (!models.has(number)) models.set(number, new Model(data.models[number]));
  return models.get(number);
}

function pagesOf(model) {
  return [
    ["summary", "Summary", Summary],
    ["findings", `Findings`, Findings],
    model.kinds.length > 0 && ["graph", "Graph", GraphPage],
    model.parity && ["parity", "Parity", Parity],
    model.diagnosis?.layers.length > 0 && ["layers", "Layers", Layers],
    hasRanges(model) && ["ranges", "Ranges", Ranges],
    hasPlacement(model) && ["placement", "Placement", Placement],
    ["environment", "Environment", Environment],
  ].filter(Boolean);
}

function App() {
  const [route, setRoute] = useState(readRoute);
  useEffect(() => {
    const read = () => setRoute({ ...readRoute(), jump: Date.now() });
    addEventListener("hashchange", read);
    addEventListener("popstate", read);
    return () => {
      removeEventListener("hashchange", read);
      removeEventListener("popstate", read);
    };
  }, []);
  const go = (next, jump = false) => {
    const { jump: _, ...told } = { model: route.model, ...next };
    writeRoute(told);
    setRoute({ ...told, jump: jump ? Date.now() : route.jump });
    if (told.page !== route.page) scrollTo(0, 0);
  };
  const number = data.models[+route.model] ? +route.model : 0;
  const model = useMemo(() => (data.models.length ? modelAt(number) : null), [number]);
  if (!model) return <p class="nothing">No model was worked on.</p>;
  const pages = pagesOf(model);
  const [id, , Page] = pages.find(([each]) => each === route.page) ?? pages[0];
  return (
    <>
      <header>
        <h1><span class="brand">mnncompat</span> <span class="name" title={model.name}>{short(model.name.slice(model.name.lastIndexOf("/") + 1))}</span></h1>
        {data.models.length > 1 && (
          <label class="models">Model <select value={number} onChange={(event) => go({ page: id, model: event.target.value })}>
            {data.models.map((each, at) => <option value={at}>{short(each.model)}</option>)}
          </select></label>
        )}
        <Theme />
        <nav aria-label="Pages">{pages.map(([each, label]) => (
          <a href={`#page=${each}`} aria-current={each === id ? "page" : undefined} onClick={(event) => {
            event.preventDefault();
            go({ page: each });
          }}>{label}{each === "findings" && <span class="count">{model.findings.length}</span>}</a>
        ))}</nav>
      </header>
      <main class={id}><Page key={`${number}`} {...{ model, data, route, go, rules: data.rules }} /></main>
      <footer>mnncompat {data.version}, from this file alone: nothing is fetched.</footer>
    </>
  );
}

function short(path) {
  return path.length > 48 ? `…${path.slice(-47)}` : path || "model in memory";
}

function Theme() {
  const [theme, choose] = useState("auto");
  return (
    <label class="theme"><span class="spoken">Theme</span><select value={theme} onChange={(event) => {
      choose(event.target.value);
      setTheme(event.target.value);
    }}>{["auto", "light", "dark"].map((each) => <option value={each}>{each}</option>)}</select></label>
  );
}

performance.mark("shown");
render(<App />, document.getElementById("app"));
