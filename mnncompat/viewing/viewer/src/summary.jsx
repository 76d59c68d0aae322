// The first page: the verdict, what was proven where, sizes, ops before and after, how to load the file.
import { bytes, counted, decibel, milliseconds, share } from "./format.js";

const VERDICTS = {
  "fix-not-proven": ["bad", "Not converted: a rewrite could not be proven equal"],
  "not-converted": ["bad", "Not converted: MNN failed on the model"],
  "not-equal": ["bad", "MNN does not compute the same"],
  "not-proven": ["warn", "Not proven"],
  "one-size": ["warn", "Proven at too few sizes"],
  "no-session": ["bad", "MNN's Session API does not run the file"],
  "over-budget": ["bad", "The file takes more than is allowed"],
};
const DIAGNOSES = {
  agrees: ["good", "The outputs agree: there is no culprit"],
  culprit: ["bad", "A node is to blame"],
  accumulated: ["bad", "The outputs differ, and every node by itself is within its tolerance"],
  unexplained: ["bad", "The outputs differ, and no node was found that explains it"],
};
const PARITIES = { equal: "good", within: "good", "one-size": "warn", "not-proven": "warn", different: "bad" };

export function Summary({ model, data, go }) {
  const found = headline(model);
  return (
    <div class="page summary">
      <section class={`verdict ${found.tone}`}>
        <p class="mark" aria-hidden="true"><i>{{ good: "✓", warn: "!", bad: "×" }[found.tone]}</i></p>
        <div><h2>{found.text}</h2>{found.more.map((line) => <p>{line}</p>)}</div>
      </section>
      <Tiles model={model} />
      <div class="columns">
        <div>
          <Proof model={model} />
          <Culprits model={model} go={go} />
          <RulesFound model={model} data={data} go={go} />
          <HowToLoad model={model} />
        </div>
        <div>
          <Sizes model={model} />
          <Ops model={model} />
        </div>
      </div>
      {data.notes.length > 0 && <section class="card"><h3>What was run</h3><ul>{data.notes.map((note) => <li>{note}</li>)}</ul></section>}
      <details class="card text"><summary>The report as a terminal shows it</summary><pre>{model.raw.text}</pre></details>
    </div>
  );
}

function headline(model) {
  const convert = model.result("ConvertResult");
  const verified = model.result("Verified");
  const words = model.raw.words.find((each) => each.label) ?? {};
  if (convert) {
    const [tone, text] = convert.verdict === "converted" ? converted(convert) : VERDICTS[convert.verdict];
    const said = words.label ? [`MNN's file against ONNX Runtime: ${words.label}`] : [];
    return { tone, text, more: [...said, ...(words.reasons ?? []), ...(convert.failure ? [convert.failure.message] : []), ...(convert.hint ? [convert.hint] : [])] };
  }
  if (verified) return { tone: PARITIES[verified.parity.verdict], text: `MNN's file against ONNX Runtime: ${words.label}`, more: [...words.reasons, ...verified.parity.problems.slice(0, 5)] };
  if (model.diagnosis) {
    const [tone, text] = DIAGNOSES[model.diagnosis.verdict];
    return { tone, text, more: model.diagnosis.culprits.map((each) => each.reason) };
  }
  const unfinished = model.result("Unfinished");
  if (unfinished) return { tone: "bad", text: "The work could not be done", more: unfinished.diagnostics.map((each) => each.message) };
  return fixedOrChecked(model, words);
}

function converted({ out, accepted, parity }) {
  const done = out ? "Converted" : "Converts";
  if (accepted.length) return ["warn", `${done}, and it was accepted that it is ${accepted.join(", ")}`];
  if (parity.verdict === "within") return ["good", `${done}: MNN's file is as near to the model as its tolerance allows`];
  return ["good", `${done}: MNN's file computes what the model computes`];
}

function fixedOrChecked(model, words) {
  const counts = severities(model, "correctness");
  const listed = ["error", "warning", "info"].filter((each) => counts[each]).map((each) => (each === "info" ? `${counts.info} info` : counted(counts[each], each)));
  const fix = model.result("FixResult");
  const check = model.result("CheckResult");
  const told = listed.join(", ") || "no findings about correctness";
  if (fix) {
    const tone = !fix.proven || counts.error ? "bad" : "good";
    const done = counted(fix.applied.length, "node");
    const proof = words.proof ? `Proven ${words.proof} under ONNX Runtime` : fix.applied.length ? "Not compared with the original" : "The model is as it was";
    return { tone, text: fix.applied.length ? `${done} rewritten` : "Nothing was rewritten", more: [proof, `Of the result: ${told}`] };
  }
  const tone = counts.error ? "bad" : counts.warning ? "warn" : "good";
  const text = counts.error ? `MNN ${check?.mnn_version ?? ""} has trouble with this model` : counts.warning ? "MNN runs this model only in part, or less well" : "No hazard is known";
  return { tone, text, more: [`${told}${check ? ` in ${counted(check.nodes, "node")}` : ""}`, "Read from the graph alone: `mnncompat convert` proves it on the installed MNN."] };
}

function severities(model, category) {
  const last = model.result("FixResult") && model.graphs.fixed ? "fixed" : null;
  const counts = { error: 0, warning: 0, info: 0 };
  for (const each of model.findings) if (each.category === category && (!last || each.graph === last || each.node < 0)) counts[each.severity]++;
  return counts;
}

function Tiles({ model }) {
  const { parity } = model;
  const convert = model.result("ConvertResult");
  const power = parity?.power;
  const fix = convert?.fix ?? model.result("FixResult");
  const tiles = [
    convert?.bytes && ["size of the file", bytes(convert.bytes), convert.source_bytes ? `from ${bytes(convert.source_bytes)}` : ""],
    fix && ["nodes rewritten", fix.applied.length, fix.refused.length ? `${fix.refused.length} refused` : ""],
    parity?.outputs.length > 0 && ["lowest SNR", decibel(parity.snr_db), counted(parity.draws.length, "draw")],
    power && ["operators exercised", `${power.exercised.length} of ${power.exercised.length + power.silent.length}`, power.untried.length ? `${power.untried.length} not tried` : ""],
    parity?.speed && ["a run under MNN", milliseconds(parity.speed.mnn), `ONNX Runtime ${milliseconds(parity.speed.reference)}`],
    model.result("CheckResult") && ["nodes", model.result("CheckResult").nodes.toLocaleString("en"), `MNN ${model.result("CheckResult").mnn_version}`],
  ].filter(Boolean);
  return <ul class="tiles">{tiles.map(([label, value, more]) => <li><span class="label">{label}</span><b>{value}</b><span class="faint">{more}</span></li>)}</ul>;
}

function Proof({ model }) {
  const { parity } = model;
  if (!parity) return null;
  const words = model.raw.words.find((each) => each.label);
  const { device, session } = parity;
  const rows = [
    ["this machine", words.label],
    device && [`${device.device}, precision ${device.precision}`, device.failure || `${device.verdict}, lowest SNR ${decibel(device.snr_db)}${device.top1 === null ? "" : `, top-1 ${share(device.top1)}`}`],
    session && ["MNN's Session API", session.untried ? `not tried: ${session.untried}` : session.agrees ? "agrees" : session.problems[0]],
    ["draws", `${parity.draws.length}: ${parity.draws.join(", ")}`],
    ["power", words.exercised],
    ...parity.sizes.map((each) => [`size ${each.dimension}`, each.settled || `compared at ${each.sizes.join(", ") || "no size"}${each.is_proven ? "" : `: a proof takes ${each.needed}`}`]),
    ...parity.notes.map((note) => ["note", note]),
  ].filter(Boolean);
  return (
    <section class="card">
      <h3>What was proven, and where</h3>
      <table class="pairs"><tbody>{rows.map(([label, text]) => <tr><th scope="row">{label}</th><td>{text}</td></tr>)}</tbody></table>
    </section>
  );
}

function Culprits({ model, go }) {
  const culprits = model.diagnosis?.culprits ?? [];
  if (!culprits.length) return null;
  const { layers } = model.raw;
  return (
    <section class="card">
      <h3>To blame</h3>
      {culprits.map((each, at) => (
        <section class="finding error">
          <p><b>{each.nodes.map((node) => `${node.path} (${node.op_type})`).join(", ") || "the model as a whole"}</b>: {each.reason}</p>
          {each.shown_by.map((line) => <p class="faint">{line}</p>)}
          {each.isolated && <p class="faint">Alone: {each.isolated}</p>}
          {each.attempts.filter((attempt) => attempt.helps).map((attempt) => <p>Helps: {attempt.what}{attempt.option && `, which is \`${attempt.option.startsWith("mnncompat") ? "" : "mnncompat convert "}${attempt.option}\``}</p>)}
          {layers?.culprits[at]?.[0] >= 0 && <button onClick={() => go({ page: "graph", graph: layers.graph, node: `@${layers.culprits[at][0]}` }, true)}>Show in the graph</button>}
        </section>
      ))}
    </section>
  );
}

function RulesFound({ model, data, go }) {
  const totals = new Map();
  for (const each of model.findings) {
    const key = `${each.code} ${each.severity}`;
    totals.set(key, { ...each, count: (totals.get(key)?.count ?? 0) + 1 });
  }
  if (!totals.size) return null;
  const rank = ["error", "warning", "info"];
  const rows = [...totals.values()].sort((a, b) => rank.indexOf(a.severity) - rank.indexOf(b.severity) || b.count - a.count);
  return (
    <section class="card">
      <h3>Findings by rule</h3>
      <table class="rows"><tbody>{rows.slice(0, 12).map((each) => (
        <tr>
          <td><span class={`dot ${each.severity}`}>{each.severity}</span></td>
          <td><button class="link" onClick={() => go({ page: "findings", rule: each.code })}>{each.code} {data.rules[each.code]?.name}</button></td>
          <td class="num">{each.count}</td>
        </tr>
      ))}</tbody></table>
      {rows.length > 12 && <button class="link" onClick={() => go({ page: "findings" })}>all {rows.length} rules</button>}
    </section>
  );
}

function Ops({ model }) {
  const { graphs, kinds } = model;
  if (!kinds.length) return null;
  const counts = kinds.map((kind) => {
    const found = new Map();
    for (let node = 0; node < graphs[kind].real; node++) if (!graphs[kind].isHidden(node)) found.set(graphs[kind].op(node), (found.get(graphs[kind].op(node)) ?? 0) + 1);
    return found;
  });
  const columns = { original: "before", fixed: "after", mnn: "MNN's file" };
  const tables = kinds.includes("fixed") ? [[0, 1], [2]] : [[0], [1]];
  return tables.filter((each) => each.every((at) => counts[at])).map((each) => {
    const ops = [...new Set(each.flatMap((at) => [...counts[at].keys()]))].sort((a, b) => Math.max(...each.map((at) => counts[at].get(b) ?? 0)) - Math.max(...each.map((at) => counts[at].get(a) ?? 0)));
    return (
      <section class="card">
        <h3>{each.length > 1 ? "Operators before and after the rewrites" : kinds[each[0]] === "mnn" ? "Ops of MNN's file" : "Operators"}</h3>
        <div class="scroll" tabIndex={0} role="region" aria-label="Operators"><table class="rows">
          <thead><tr><th scope="col">operator</th>{each.map((at) => <th scope="col" class="num">{each.length > 1 ? columns[kinds[at]] : "nodes"}</th>)}</tr></thead>
          <tbody>{ops.map((op) => <tr class={each.length > 1 && counts[each[0]].get(op) !== counts[each[1]].get(op) ? "differs" : ""}><td>{op}</td>{each.map((at) => <td class="num">{counts[at].get(op) ?? 0}</td>)}</tr>)}</tbody>
        </table></div>
      </section>
    );
  });
}

function Sizes({ model }) {
  const convert = model.result("ConvertResult");
  if (!convert?.latency?.after) return null;
  const { latency } = convert;
  return (
    <section class="card">
      <h3>Time of a run</h3>
      <table class="pairs"><tbody>
        {latency.before !== null && <tr><th scope="row">as it is</th><td>{milliseconds(latency.before)}</td></tr>}
        <tr><th scope="row">this file</th><td>{milliseconds(latency.after)}</td></tr>
        <tr><th scope="row">how</th><td>medians of {latency.rounds} runs in turn, {counted(latency.threads, "thread")}</td></tr>
      </tbody></table>
    </section>
  );
}

function HowToLoad({ model }) {
  const file = model.result("ConvertResult")?.out ?? model.result("Verified")?.file;
  const graph = model.graphs.mnn;
  if (!file || !graph) return null;
  const inputs = [];
  for (let node = 0; node < graph.real; node++) if (graph.op(node) === "Input") inputs.push(graph.name(node));
  const outputs = graph.raw.outputs.map((value) => graph.valueName(value));
  const quoted = (names) => `[${names.map((name) => JSON.stringify(name)).join(", ")}]`;
  return (
    <section class="card">
      <h3>How to load it</h3>
      <pre class="code">{`import MNN.nn as nn\n\nmodel = nn.load_module_from_file(${JSON.stringify(file)}, ${quoted(inputs)}, ${quoted(outputs)})`}</pre>
      <p class="faint">`mnncompat snippet {file} --language python` prints a complete program; cpp, kotlin, jni and objc are there as well.</p>
    </section>
  );
}
