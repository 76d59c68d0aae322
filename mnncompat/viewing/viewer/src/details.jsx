// What is known about the node or group that is selected.
import { brief, bytes, counted, decibel, microseconds } from "./format.js";
import { ROOT } from "./graph.js";
import { TITLES } from "./model.js";

export function Details({ model, kind, selected, rules, onSelect, onToggle, onClose }) {
  if (!selected) {
    return (
      <aside class="details empty" aria-label="Details">
        <p>Select a node to see its attributes, shapes and findings. Double-click a group to open or close it.</p>
        <dl class="keys">
          <dt>arrows</dt><dd>along the graph</dd>
          <dt>Enter</dt><dd>open or close a group</dd>
          <dt>f, +, −</dt><dd>fit, zoom</dd>
          <dt>/</dt><dd>search</dd>
          <dt>Esc</dt><dd>select nothing</dd>
        </dl>
      </aside>
    );
  }
  const graph = model.graphs[kind];
  const body = selected.node >= 0
    ? <Node {...{ model, graph, kind, node: selected.node, rules, onSelect }} />
    : <Group {...{ graph, group: selected.group, onToggle }} />;
  return (
    <aside class="details" aria-label="Details">
      <button class="close" onClick={onClose} aria-label="Close the details">×</button>
      {body}
    </aside>
  );
}

function Group({ graph, group, onToggle }) {
  const inside = graph.nodesOf(group);
  const counts = new Map();
  for (const node of inside) counts.set(graph.op(node), (counts.get(graph.op(node)) ?? 0) + 1);
  const sorted = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 20);
  const weights = inside.reduce((sum, node) => sum + graph.bytes(node), 0);
  return (
    <>
      <h2 class="name">{graph.groupPath(group).join(" / ")}</h2>
      <p class="chips"><span class="chip">{graph.groups.kind[group]}</span><span class="chip">{counted(inside.length, "node")}</span>{weights > 0 && <span class="chip">{bytes(weights)} of weights</span>}</p>
      <button onClick={() => onToggle(group)}>Open or close</button>
      <h3>Operators</h3>
      <table><tbody>{sorted.map(([op, count]) => <tr><td>{op}</td><td class="num">{count}</td></tr>)}</tbody></table>
    </>
  );
}

function Node({ model, graph, kind, node, rules, onSelect }) {
  const attributes = graph.attributes(node);
  const findings = model.findingsOf(kind, node);
  const change = model.change(kind, node);
  const path = graph.group(node) === ROOT ? [] : graph.groupPath(graph.group(node));
  return (
    <>
      <h2 class="name">{graph.name(node)}</h2>
      <p class="chips">
        <span class="chip strong">{graph.op(node)}</span>
        {change && <span class={`chip ${change}`}>{change}</span>}
        {graph.raw.seconds?.[node] && <span class="chip">{microseconds(graph.raw.seconds[node])} of a run</span>}
        {graph.bytes(node) > 0 && <span class="chip">{bytes(graph.bytes(node))} of weights</span>}
      </p>
      {path.length > 0 && <p class="faint">in {path.join(" / ")}</p>}
      {findings.map((each) => <NodeFinding finding={each} rule={rules[each.code]} />)}
      <Rewrites model={model} kind={kind} node={node} />
      <Layers model={model} kind={kind} node={node} />
      {attributes.length > 0 && (
        <>
          <h3>Attributes</h3>
          <table class="pairs"><tbody>{attributes.map(([name, text]) => <tr><th scope="row">{name}</th><td>{text}</td></tr>)}</tbody></table>
        </>
      )}
      <Values title="Inputs" values={graph.inputs(node)} graph={graph} step={(value) => [graph.producer[value]].filter((each) => each >= 0)} onSelect={onSelect} />
      <Values title="Outputs" values={graph.outputs(node)} graph={graph} step={(value) => graph.consumers[value]} onSelect={onSelect} />
      <Others model={model} kind={kind} node={node} onSelect={onSelect} />
    </>
  );
}

export function NodeFinding({ finding, rule }) {
  return (
    <section class={`finding ${finding.severity}`}>
      <p><b>{finding.code}</b> {rule?.name}: {finding.message}</p>
      {finding.fix && <p class="faint">{finding.fix.startsWith("fix") ? "`mnncompat fix` rewrites this: " : "`mnncompat fix` may rewrite this: "}{finding.fix.slice(4)}</p>}
      {finding.hint && <p class="faint">{finding.hint}</p>}
      {finding.evidence.length > 0 && (
        <details><summary>evidence</summary><ul>{finding.evidence.map((each) => <li>{each}</li>)}</ul></details>
      )}
      {rule && <details><summary>the rule</summary><pre class="prose">{rule.explanation}</pre></details>}
    </section>
  );
}

function Rewrites({ model, kind, node }) {
  const originals = new Set(model.mapped(kind, node, "original"));
  const done = model.raw.applied.filter(([each]) => each >= 0 && originals.has(each));
  return done.map(([, rewrite, message]) => <section class="finding good"><p><b>{rewrite}</b>: {message}</p></section>);
}

function Layers({ model, kind, node }) {
  return model.layersOf(kind, node).map((at) => {
    const layer = model.diagnosis.layers[at];
    return (
      <section class="layer">
        <h3>Layer {layer.number}{layer.role && `: ${layer.role}`}</h3>
        <table class="pairs"><tbody>
          {layer.own && <tr><th scope="row">adds</th><td>{decibel(layer.own.snr_db)}, at most {brief(layer.own.max_abs)}</td></tr>}
          {layer.accumulated && <tr><th scope="row">accumulated</th><td>{decibel(layer.accumulated.snr_db)}, at most {brief(layer.accumulated.max_abs)}</td></tr>}
          <tr><th scope="row">values</th><td>{brief(layer.low)} to {brief(layer.high)}</td></tr>
          <tr><th scope="row">MNN's ops</th><td>{layer.mnn_ops.join(", ")}</td></tr>
          {layer.note && <tr><th scope="row">note</th><td>{layer.note}</td></tr>}
        </tbody></table>
      </section>
    );
  });
}

function Values({ title, values, graph, step, onSelect }) {
  const given = values.filter((each) => each >= 0);
  if (!given.length) return null;
  return (
    <>
      <h3>{title}</h3>
      <ul class="values">
        {given.map((value) => (
          <li>
            <span class="name">{graph.valueName(value)}</span> <code>{graph.valueType(value)}</code>
            {graph.valueBytes(value) > 0 && <span class="faint"> stored, {bytes(graph.valueBytes(value))}</span>}
            <div class="steps">{step(value).slice(0, 8).map((each) => (
              <button class="link" onClick={() => onSelect({ node: each, group: ROOT })}>{graph.op(each)} {graph.name(each).slice(-40)}</button>
            ))}{step(value).length > 8 && <span class="faint">and {step(value).length - 8} more</span>}</div>
          </li>
        ))}
      </ul>
    </>
  );
}

function Others({ model, kind, node, onSelect }) {
  const found = model.kinds.filter((each) => each !== kind).map((other) => [other, model.mapped(kind, node, other)]);
  if (!found.length) return null;
  return found.map(([other, nodes]) => (
    <>
      <h3>{TITLES[other]}</h3>
      {nodes.length === 0 && <p class="faint">No node of that graph is known to come from it.</p>}
      <ul class="values">{nodes.slice(0, 12).map((each) => (
        <li><button class="link" onClick={() => onSelect({ node: each, group: ROOT }, other)}>{model.graphs[other].op(each)} {model.graphs[other].name(each).slice(-60)}</button></li>
      ))}</ul>
    </>
  ));
}
