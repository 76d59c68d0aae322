// Where the ops run, by backend.
import { counted } from "./format.js";
import { PLACES } from "./overlays.js";

export function hasPlacement(model) {
  return model.backends.some((each) => each.placement || each.fixed) || Object.keys(model.graphs.mnn?.placed ?? {}).length > 0;
}

export function Placement({ model, go }) {
  const placed = model.graphs.mnn?.placed ?? {};
  const names = [...new Set([...model.backends.map((each) => each.backend), ...Object.keys(placed)])];
  return (
    <div class="page">
      <p class="faint">From what each backend of MNN registers; nothing was run on it.</p>
      <div class="backends">{names.map((name) => <Backend key={name} name={name} report={model.backends.find((each) => each.backend === name)} placed={placed[name]} graph={model.graphs.mnn} go={go} />)}</div>
    </div>
  );
}

function Backend({ name, report, placed, graph, go }) {
  const rows = [];
  if (report?.placement) rows.push(["as it is", report.placement]);
  if (report?.fixed) rows.push(["after the rewrites", report.fixed]);
  if (placed) rows.push(["MNN's file", counts(placed)]);
  const fallbacks = placed ? elsewhere(placed, graph) : fallbacksOf(report);
  return (
    <section class="card backend">
      <h2>{name} {placed && <button class="link" onClick={() => go({ page: "graph", graph: "mnn", overlay: `backend-${name}` })}>in the graph</button>}</h2>
      {rows.map(([label, found]) => <Stack label={label} found={found} />)}
      {fallbacks.length > 0 && (
        <details open={fallbacks.length < 6}><summary>{counted(fallbacks.reduce((sum, each) => sum + each.count, 0), "op")} elsewhere, of {counted(fallbacks.length, "type")}</summary>
          <table class="rows"><tbody>{fallbacks.map((each) => <tr><td>{each.op}</td><td class="num">{each.count}</td><td>{each.told}</td></tr>)}</tbody></table>
        </details>
      )}
    </section>
  );
}

function Stack({ label, found }) {
  const total = PLACES.reduce((sum, { key }) => sum + found[key], 0) || 1;
  const told = PLACES.filter(({ key }) => found[key]).map((place) => `${found[place.key]} ${place.label}`).join(", ");
  return (
    <div class="stack">
      <p><b>{label}</b>: {told || "no ops"}{found.partitions ? `; ${counted(found.partitions, "partition")}` : ""}</p>
      <div class="bar" role="img" aria-label={told}>{PLACES.map(({ key, color }) => found[key] > 0 && <span style={{ width: `${(100 * found[key]) / total}%`, background: color }} />)}</div>
    </div>
  );
}

function counts(placed) {
  return Object.fromEntries(PLACES.map(({ key }, at) => [key, placed.filter((each) => each === at).length]));
}

function elsewhere(placed, graph) {
  const found = new Map();
  placed.forEach((place, node) => {
    if (PLACES[place]?.key !== "on_cpu" && PLACES[place]?.key !== "nowhere") return;
    const op = graph.op(node);
    const entry = found.get(op) ?? { op, count: 0, told: PLACES[place].label };
    entry.count++;
    found.set(op, entry);
  });
  return [...found.values()].sort((a, b) => b.count - a.count);
}

function fallbacksOf(report) {
  const last = report?.fixed ?? report?.placement;
  return (last?.fallbacks ?? []).map((each) => ({ op: each.op_type, count: each.count, told: each.on_cpu ? "falls back to the CPU" : "nothing runs it" }));
}
