// What the colours of a graph say. Each overlay gives a node a score; a closed group has the largest inside.
import { bytes, decibel, microseconds, number } from "./format.js";
import { KINDS } from "./model.js";

// Okabe and Ito's palette, which the colour-blind tell apart; marks say the same without colour.
export const COLORS = {
  error: "#d55e00",
  warning: "#e69f00",
  info: "#56b4e9",
  good: "#009e73",
  added: "#0072b2",
  removed: "#d55e00",
  changed: "#cc79a7",
  none: null,
};
// Stops of cividis, which is made for colour-blind readers.
const CIVIDIS = ["#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838"];
const HALF_MOST = 65504;
const HALF_LEAST = 2 ** -14;

export function cividis(share) {
  const at = Math.min(Math.max(share, 0), 1) * (CIVIDIS.length - 1);
  const [low, high] = [CIVIDIS[Math.floor(at)], CIVIDIS[Math.ceil(at)]];
  const part = (from) => [1, 3, 5].map((place) => parseInt(from.slice(place, place + 2), 16));
  const [a, b] = [part(low), part(high)];
  const mixed = a.map((each, place) => Math.round(each + (b[place] - each) * (at % 1)));
  return `#${mixed.map((each) => each.toString(16).padStart(2, "0")).join("")}`;
}

export function inkOn(color) {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const part = parseInt(color.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.22 ? "#111111" : "#ffffff";
}

const steps = (entries) => ({
  color: (score) => entries[score - 1]?.color ?? null,
  mark: (score) => entries[score - 1]?.mark ?? "",
  text: (score) => entries[score - 1]?.label ?? "",
  legend: entries,
});

export function overlays(model) {
  return [operators(), changes(model), findings(model), ...errors(model), range(model), time(model), weights(model), ...placements(model)].filter(Boolean);
}

function operators() {
  return { id: "operators", label: "Operators", score: () => NaN, color: () => null, mark: () => "", text: () => "", legend: [] };
}

function changes(model) {
  if (!model.graphs.fixed) return null;
  const names = ["changed", "added", "removed"];
  const entries = names.map((name, at) => ({ label: name, color: COLORS[name], mark: "~+−"[at] }));
  return {
    id: "changes",
    label: "Changes by the rewrites",
    score: (kind, node) => names.indexOf(model.change(kind, node)) + 1 || NaN,
    ...steps(entries),
  };
}

function findings(model) {
  if (!model.findings.some((each) => each.node >= 0)) return null;
  const entries = [
    { label: "info", color: COLORS.info, mark: "i" },
    { label: "warning", color: COLORS.warning, mark: "!" },
    { label: "error", color: COLORS.error, mark: "×" },
  ];
  return { id: "findings", label: "Findings", score: (kind, node) => model.severity(kind, node) || NaN, ...steps(entries) };
}

function ramp(low, high, told) {
  const share = (score) => (score - low) / (high - low || 1);
  return {
    color: (score) => (Number.isNaN(score) ? null : cividis(share(score))),
    mark: () => "",
    text: told,
    legend: [0, 0.25, 0.5, 0.75, 1].map((at) => ({ label: told(low + at * (high - low)), color: cividis(at) })),
  };
}

function errors(model) {
  const layers = model.diagnosis?.layers ?? [];
  const told = [
    ["own", "added", "Error that each layer adds"],
    ["accumulated", "accumulated", "Error accumulated"],
  ];
  return told.map(([field, id, label]) => {
    if (!layers.some((each) => each[field])) return null;
    const noise = (layer) => {
      const found = layer?.[field];
      if (!found) return NaN;
      const ratio = number(found.snr_db);
      return Number.isNaN(ratio) ? 0 : Math.min(Math.max(-ratio, -140), 0);
    };
    const score = (kind, node) => most(model.layersOf(kind, node).map((at) => noise(layers[at])));
    return { id, label, score, ...ramp(-140, 0, (value) => (value <= -140 ? "≥ 140 dB" : value >= 0 ? "≤ 0 dB" : decibel(-value))) };
  });
}

function range(model) {
  const layers = model.diagnosis?.layers ?? [];
  if (!layers.some((each) => each.dtype?.startsWith("float"))) return null;
  const reach = (layer) => {
    const largest = Math.max(Math.abs(number(layer.low)), Math.abs(number(layer.high)));
    if (Number.isNaN(largest)) return NaN;
    return Math.log2(Math.max(largest, HALF_LEAST));
  };
  const [low, high] = [Math.log2(HALF_LEAST), Math.log2(HALF_MOST)];
  const score = (kind, node) => most(model.layersOf(kind, node).map((at) => reach(layers[at])));
  const scale = ramp(low, high, (value) => (value >= high ? "> 65504" : `≤ ${(2 ** value).toPrecision(2)}`));
  return {
    id: "range",
    label: "Largest value, against float16",
    score,
    ...scale,
    color: (value) => (value > high ? COLORS.error : scale.color(value)),
    mark: (value) => (value > high ? "∞" : ""),
    legend: [...scale.legend.slice(0, -1), { label: "beyond float16 (65504)", color: COLORS.error, mark: "∞" }],
  };
}

function time(model) {
  const seconds = model.graphs.mnn?.raw.seconds ?? [];
  const [least, longest] = [1e-6, Math.max(...seconds.map((each) => each ?? 0), 0)];
  if (!longest) return null;
  const score = (kind, node) => {
    if (kind === "mnn") return seconds[node] ? Math.log10(Math.max(seconds[node], least)) : NaN;
    return most(model.mapped(kind, node, "mnn").map((each) => score("mnn", each)));
  };
  return { id: "time", label: "Time under MNN", score, ...ramp(Math.log10(least), Math.max(Math.log10(longest), -5), (value) => microseconds(10 ** value)) };
}

function weights(model) {
  const graph = model.graphs.original;
  if (!graph) return null;
  let largest = 0;
  for (let node = 0; node < graph.real; node++) largest = Math.max(largest, graph.bytes(node));
  if (!largest) return null;
  const score = (kind, node) => {
    if (kind !== "mnn") return model.graphs[kind].bytes(node) ? Math.log10(model.graphs[kind].bytes(node)) : NaN;
    const before = model.kinds[model.kinds.indexOf(kind) - 1];
    return most(model.mapped(kind, node, before).map((each) => score(before, each)));
  };
  return { id: "bytes", label: "Bytes of weights", score, ...ramp(2, Math.max(Math.log10(largest), 3), (value) => bytes(Math.round(10 ** value))) };
}

export const PLACES = [
  { key: "direct", label: "on the backend", color: COLORS.good, mark: "" },
  { key: "lowered", label: "on the backend, lowered", color: "#66c2a5", mark: "↓" },
  { key: "at_resize", label: "at resize, on the CPU", color: "#999999", mark: "" },
  { key: "control_flow", label: "control flow, on the host", color: COLORS.changed, mark: "↻" },
  { key: "on_cpu", label: "falls back to the CPU", color: COLORS.warning, mark: "!" },
  { key: "nowhere", label: "nothing runs it", color: COLORS.error, mark: "×" },
];

function placements(model) {
  const file = model.graphs.mnn;
  return Object.entries(file?.placed ?? {}).map(([backend, placed]) => {
    const score = (kind, node) => {
      if (kind === "mnn") return placed[node] >= 0 ? placed[node] + 1 : NaN;
      return most(model.mapped(kind, node, "mnn").map((each) => score("mnn", each)));
    };
    return { id: `backend-${backend}`, label: `Placement on ${backend}`, score, ...steps(PLACES) };
  });
}

function most(scores) {
  return scores.reduce((found, each) => (Number.isNaN(found) || each > found ? (Number.isNaN(each) ? found : each) : found), NaN);
}

// The score of a closed group: the largest inside.
export function groupScore(overlay, graph, group) {
  overlay.groups ??= {};
  const known = (overlay.groups[graph.kind] ??= new Map());
  if (!known.has(group)) known.set(group, most(graph.nodesOf(group).map((node) => overlay.score(graph.kind, node))));
  return known.get(group);
}

export { KINDS };
