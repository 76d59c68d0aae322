// The page with the graph, or two of them side by side.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { GraphCanvas } from "./canvas.jsx";
import { Details } from "./details.jsx";
import { ROOT } from "./graph.js";
import { TITLES } from "./model.js";
import { overlays } from "./overlays.js";
import { firstOpened, openTo } from "./scene.js";

const MOST_FOUND = 40;

export function GraphPage({ model, route, go, rules }) {
  const kind = model.graphs[route.graph] ? route.graph : model.kinds[0];
  const other = model.graphs[route.compare] && route.compare !== kind ? route.compare : "";
  const known = useMemo(() => overlays(model), [model]);
  const preferred = known.find((each) => each.id === "findings") ?? known[0];
  const overlay = known.find((each) => each.id === route.overlay) ?? preferred;
  const panes = useRef({});
  const opened = useRef(new Map());
  const graph = model.graphs[kind];
  const selected = useMemo(() => chosen(graph, route), [graph, route.node, route.group]);

  const openOf = (each) => {
    const key = `${model.name} ${each}`;
    if (!opened.current.has(key)) opened.current.set(key, route.open === "all" ? everything(model.graphs[each]) : firstOpened(model.graphs[each]));
    return opened.current.get(key);
  };
  const first = openOf(kind);
  if (selected?.node >= 0) openTo(graph, graph.drawn(selected.node), first);
  const related = useMemo(() => (other && selected ? nodesOf(graph, selected).flatMap((node) => model.mapped(kind, node, other)) : []), [other, selected, kind]);
  const none = useMemo(() => [], []);

  const select = (choice, where = kind, follow = false) => {
    const next = choice ? address(model.graphs[where], choice) : { node: undefined, group: undefined };
    // What is selected in the other graph makes that one the first; both stay where they are.
    const swapped = where !== kind ? { graph: where, compare: where === other ? kind : other || undefined } : {};
    go({ ...route, page: "graph", ...next, ...swapped });
    if (follow) panes.current[where]?.show(choice);
  };
  const shown = model.kinds.filter((each) => each === kind || each === other);

  useEffect(() => {
    if (!selected) return;
    panes.current[kind]?.show(selected);
  }, [kind, model, route.jump]);
  useEffect(() => {
    if (other && related.length) panes.current[other]?.show({ node: related[0], group: ROOT });
  }, [other, related]);

  const ready = (each) => (pane) => {
    panes.current[each] = pane;
    if (pane && each === kind && selected) pane.show(selected);
    if (pane && each === other && related.length) pane.show({ node: related[0], group: ROOT });
  };
  const labelled = (each) => `${TITLES[each]}: ${model.graphs[each].real} nodes. Arrow keys move the selection, Enter opens a group, slash searches.`;
  return (
    <div class={`graph-page ${other ? "two" : "one"}`}>
      <Tools {...{ model, kind, other, overlay, known, route, go, graph, panes, onFound: (node) => select({ node, group: ROOT }, kind, true) }} />
      <div class="panes">
        {shown.map((each) => (
          <figure class="pane" key={each}>
            <figcaption>{TITLES[each]}</figcaption>
            <GraphCanvas
              graph={model.graphs[each]}
              open={openOf(each)}
              overlay={overlay}
              selected={each === kind ? selected : null}
              related={each === kind ? none : related}
              label={labelled(each)}
              onSelect={(choice) => select(choice, each)}
              onReady={ready(each)}
            />
          </figure>
        ))}
        <Legend overlay={overlay} />
      </div>
      <Details model={model} kind={kind} selected={selected} rules={rules} onSelect={(choice, where) => select(choice, where, true)} onToggle={(group) => panes.current[kind]?.toggle(group)} onClose={() => select(null)} />
      <p class="spoken" aria-live="polite">{selected?.node >= 0 ? `${graph.op(selected.node)} ${graph.name(selected.node).slice(0, 200)}, ${model.findingsOf(kind, selected.node).length} findings` : ""}</p>
    </div>
  );
}

function everything(graph) {
  return new Set(graph.groups.parent.keys());
}

function chosen(graph, route) {
  if (route.node !== undefined) {
    const numbered = /^@(\d+)$/.exec(route.node);
    const node = graph.byName(route.node) ?? (numbered && +numbered[1] < graph.size ? +numbered[1] : undefined);
    return node === undefined ? null : { node, group: ROOT };
  }
  const group = route.group === undefined ? -1 : +route.group;
  return group >= 0 && group < graph.groups.label.length ? { node: -1, group } : null;
}

function address(graph, { node, group }) {
  if (node < 0) return { node: undefined, group };
  const name = graph.name(node);
  return { node: graph.byName(name) === node && name.length < 500 ? name : `@${node}`, group: undefined };
}

function nodesOf(graph, { node, group }) {
  return node >= 0 ? [node] : graph.nodesOf(group).slice(0, 500);
}

function Tools({ model, kind, other, overlay, known, route, go, graph, panes, onFound }) {
  const change = (part) => go({ ...route, page: "graph", ...part });
  const switched = (next) => change({ graph: next, node: undefined, group: undefined, compare: next === other ? undefined : other });
  const all = (what) => Object.values(panes.current).forEach((pane) => pane?.[what]());
  return (
    <div class="tools" role="group" aria-label="Graph tools">
      {model.kinds.length > 1 && (
        <>
          <label>Graph <select value={kind} onChange={(event) => switched(event.target.value)}>{model.kinds.map((each) => <option value={each}>{TITLES[each]}</option>)}</select></label>
          <label>beside <select value={other} onChange={(event) => change({ compare: event.target.value || undefined })}>
            <option value="">nothing</option>
            {model.kinds.filter((each) => each !== kind).map((each) => <option value={each}>{TITLES[each]}</option>)}
          </select></label>
        </>
      )}
      <label>Colours <select value={overlay.id} onChange={(event) => change({ overlay: event.target.value })}>{known.map((each) => <option value={each.id}>{each.label}</option>)}</select></label>
      <Search graph={graph} onFound={onFound} />
      <span class="buttons">
        <button onClick={() => all("openAll")}>Open all</button>
        <button onClick={() => all("closeAll")}>Close all</button>
        <button onClick={() => all("fit")}>Fit</button>
      </span>
    </div>
  );
}

function Search({ graph, onFound }) {
  const [text, setText] = useState("");
  const box = useRef(null);
  useEffect(() => {
    const slash = (event) => {
      if (event.key !== "/" || /INPUT|SELECT|TEXTAREA/.test(event.target.tagName)) return;
      box.current.focus();
      event.preventDefault();
    };
    addEventListener("keydown", slash);
    return () => removeEventListener("keydown", slash);
  }, []);
  const found = useMemo(() => matching(graph, text), [graph, text]);
  const pick = (node) => {
    onFound(node);
    setText("");
  };
  const key = (event) => {
    if (event.key === "Enter" && found.nodes.length) pick(found.nodes[0]);
    if (event.key === "Escape") setText("");
  };
  return (
    <div class="search">
      <input ref={box} type="search" value={text} placeholder="Search nodes, operators, values" aria-label="Search nodes" onInput={(event) => setText(event.target.value)} onKeyDown={key} />
      {text && (
        <ul class="found">
          {found.nodes.map((node) => <li><button onClick={() => pick(node)}><b>{graph.op(node)}</b> {graph.name(node).slice(0, 120)}</button></li>)}
          <li class="faint count">{found.total === 0 ? "nothing found" : found.total > MOST_FOUND ? `${MOST_FOUND} of ${found.total}` : `${found.total} found`}</li>
        </ul>
      )}
    </div>
  );
}

function matching(graph, text) {
  const word = text.trim().toLowerCase();
  const nodes = [];
  let total = 0;
  if (word) {
    for (let node = 0; node < graph.size; node++) {
      const fits = graph.name(node).toLowerCase().includes(word) || graph.op(node).toLowerCase().includes(word)
        || graph.outputs(node).some((value) => graph.valueName(value).toLowerCase().includes(word));
      if (fits && ++total <= MOST_FOUND) nodes.push(node);
    }
  }
  return { nodes, total };
}

function Legend({ overlay }) {
  if (!overlay.legend.length) return null;
  return (
    <ul class="legend" aria-label={`Colours: ${overlay.label}`}>
      <li class="faint">{overlay.label}</li>
      {overlay.legend.map((each) => <li><span class="swatch" style={{ background: each.color }}>{each.mark}</span>{each.label}</li>)}
    </ul>
  );
}
