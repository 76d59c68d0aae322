// The error along the graph, and the ranges of values against the limits of float16.
import { useState } from "preact/hooks";
import { Bars } from "./charts.jsx";
import { brief, counted, decibel, number, shape } from "./format.js";

const MOST = 140;
const HALF_MOST = 65504;
const HALF_LEAST = 2 ** -14;
const SHOWN = 200;
const FEW = 20; // layers with the largest errors, which are the telling ones beside those with a role

const named = (layer) => layer.nodes.map((node) => `${node.path} (${node.op_type})`).at(-1) ?? layer.values[0] ?? "";
const more = (layer) => (layer.nodes.length > 1 ? ` and ${layer.nodes.length - 1} more` : "");

function opener(model, go, overlay) {
  const { layers } = model.raw;
  return (at) => {
    const node = layers.nodes[at]?.at(-1);
    if (node >= 0 && model.graphs[layers.graph]) go({ page: "graph", graph: layers.graph, node: `@${node}`, overlay }, true);
  };
}

function noise(deviation) {
  if (!deviation) return NaN;
  const ratio = number(deviation.snr_db);
  return Number.isNaN(ratio) ? 0 : Math.min(Math.max(-ratio, -MOST), 0);
}

export function Layers({ model, go }) {
  const { layers, draw, runner, shapes } = model.diagnosis;
  const [telling, setTelling] = useState(layers.length > SHOWN);
  const open = opener(model, go, "added");
  const bars = layers.map((layer) => ({
    title: `${layer.number} ${named(layer)}: adds ${decibel(layer.own?.snr_db)}, accumulated ${decibel(layer.accumulated?.snr_db)}`,
    parts: [[layer.accumulated, "series2"], [layer.own, layer.role === "culprit" ? "badbar" : "series"]].map(([each, tone]) => ({ to: noise(each), tone })).filter(({ to }) => to > -MOST),
  }));
  const largest = layers.map((layer) => noise(layer.own)).filter((each) => !Number.isNaN(each)).sort((a, b) => b - a);
  const least = Math.max(largest[Math.min(FEW, largest.length) - 1] ?? 0, -MOST + 1);
  const rows = layers.map((layer, at) => [layer, at]).filter(([layer]) => !telling || layer.role || noise(layer.own) >= least || layer.born);
  return (
    <div class="page">
      <section class="card">
        <h2>Error along the graph</h2>
        <p>{runner} against ONNX Runtime, draw {draw}{Object.keys(shapes).length > 0 && `, ${Object.entries(shapes).map(([name, dims]) => `${name} ${shape(dims)}`).join(", ")}`}: noise relative to the signal. Higher is worse.</p>
        <p class="key"><span class="swatch series-key" /> added by the layer itself <span class="swatch series2-key" /> accumulated from the inputs on <span class="swatch bad-key" /> the culprit</p>
        <Bars title="Noise of each layer relative to its signal, in dB" bars={bars} low={-MOST} high={0} ticks={[0, -40, -80, -120].map((each) => [each, `${each} dB`])} onPick={(_, at) => open(at)} height={260} />
      </section>
      <section class="card">
        <h2>Layers</h2>
        <label class="check"><input type="checkbox" checked={telling} onChange={(event) => setTelling(event.target.checked)} /> only the telling ones</label>
        <div class="scroll tall" tabIndex={0} role="region" aria-label="Layers"><table class="rows">
          <thead><tr><th scope="col" class="num">#</th><th scope="col">nodes</th><th scope="col">MNN's ops</th><th scope="col">shape</th><th scope="col" class="num">adds</th><th scope="col" class="num">accumulated</th><th scope="col">remark</th></tr></thead>
          <tbody>{rows.slice(0, 2000).map(([layer, at]) => (
            <tr>
              <td class="num">{layer.number}</td><td><button class="link" onClick={() => open(at)}>{named(layer)}</button>{more(layer)}</td><td>{[...new Set(layer.mnn_ops)].join(", ")}</td><td>{shape(layer.shape)}</td>
              <td class="num">{decibel(layer.own?.snr_db)}</td><td class="num">{decibel(layer.accumulated?.snr_db)}</td><td>{[layer.role, layer.born && `${layer.born} born here`, layer.note].filter(Boolean).join("; ")}</td>
            </tr>
          ))}</tbody>
        </table></div>
      </section>
    </div>
  );
}

export function hasRanges(model) {
  return (model.diagnosis?.layers ?? []).some((layer) => layer.dtype.startsWith("float") && !Number.isNaN(number(layer.high)));
}

const largest = (layer) => Math.max(Math.abs(number(layer.low)), Math.abs(number(layer.high)));

export function Ranges({ model, go }) {
  const layers = model.diagnosis.layers.map((layer, at) => [layer, at]).filter(([layer]) => layer.dtype.startsWith("float") && !Number.isNaN(largest(layer)));
  const open = opener(model, go, "range");
  const power = (value) => Math.log2(Math.max(value, 2 ** -24));
  const beyond = layers.filter(([layer]) => largest(layer) > HALF_MOST);
  const near = layers.filter(([layer]) => largest(layer) <= HALF_MOST && largest(layer) > HALF_MOST / 8);
  const small = layers.filter(([layer]) => largest(layer) > 0 && largest(layer) < HALF_LEAST);
  const bars = layers.map(([layer, at]) => ({ at, title: `${layer.number} ${named(layer)}: ${brief(layer.low)} to ${brief(layer.high)}`, parts: [{ from: -24, to: power(largest(layer)), tone: largest(layer) > HALF_MOST ? "badbar" : "series" }] }));
  const groups = [["Beyond float16: larger than 65504", beyond, "error"], ["Within three bits of float16's limit", near, "warning"], ["All below float16's smallest normal number, 6.1e-05", small, "info"]];
  return (
    <div class="page">
      <section class="card">
        <h2>Largest value of each layer, against float16</h2>
        <p>As ONNX Runtime computes them in draw {model.diagnosis.draw}. With `--precision low` MNN holds values in float16, which ends at 65504 (the dashed line).</p>
        <Bars title="Largest value of each layer, as a power of two" bars={bars} low={-24} high={24} limit={16} ticks={[-24, -14, 0, 16].map((each) => [each, `2^${each}`])} onPick={(bar) => open(bar.at)} height={240} />
      </section>
      {groups.map(([label, list, tone]) => list.length > 0 && (
        <section class="card">
          <h2><span class={`dot ${tone}`}>{list.length}</span> {label}</h2>
          <div class="scroll" tabIndex={0} role="region" aria-label={label}><table class="rows">
            <thead><tr><th scope="col">nodes</th><th scope="col">shape</th><th scope="col" class="num">smallest</th><th scope="col" class="num">largest</th></tr></thead>
            <tbody>{list.slice(0, 500).map(([layer, at]) => <tr><td><button class="link" onClick={() => open(at)}>{named(layer)}</button>{more(layer)}</td><td>{shape(layer.shape)}</td><td class="num">{brief(layer.low)}</td><td class="num">{brief(layer.high)}</td></tr>)}</tbody>
          </table></div>
        </section>
      ))}
      {!beyond.length && <p class="nothing">No value of {counted(layers.length, "layer")} is beyond float16 in this draw.</p>}
    </div>
  );
}
