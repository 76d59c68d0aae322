// All findings, by rule, with filters.
import { useMemo, useState } from "preact/hooks";
import { counted } from "./format.js";
import { TITLES } from "./model.js";

const SEVERITIES = ["error", "warning", "info"];
const SHOWN = 50;

export function Findings({ model, data, route, go }) {
  const [text, setText] = useState("");
  const [severity, setSeverity] = useState("");
  const [category, setCategory] = useState("");
  const { rule = "" } = route;
  const graphs = [...new Set(model.findings.map((each) => each.graph))];
  const [graph, setGraph] = useState("");
  const shown = useMemo(() => {
    const word = text.trim().toLowerCase();
    return model.findings.filter((each) => (!severity || each.severity === severity) && (!category || each.category === category)
      && (!rule || each.code === rule) && (!graph || each.graph === graph)
      && (!word || `${each.code} ${data.rules[each.code]?.name} ${each.message} ${each.where}`.toLowerCase().includes(word)));
  }, [model, text, severity, category, rule, graph]);
  const byRule = new Map();
  for (const each of shown) {
    const key = `${SEVERITIES.indexOf(each.severity)} ${each.code}`;
    byRule.set(key, [...(byRule.get(key) ?? []), each].length > 1 ? (byRule.get(key).push(each), byRule.get(key)) : [each]);
  }
  const sorted = [...byRule].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, found]) => found);
  const codes = [...new Set(model.findings.map((each) => each.code))].sort();
  return (
    <div class="page findings">
      <div class="filters" role="group" aria-label="Filters">
        <input type="search" value={text} placeholder="Filter by words" aria-label="Filter by words" onInput={(event) => setText(event.target.value)} />
        <Choice label="Severity" value={severity} options={SEVERITIES.filter((name) => model.findings.some((each) => each.severity === name))} onChange={setSeverity} />
        <Choice label="About" value={category} options={[...new Set(model.findings.map((each) => each.category))]} onChange={setCategory} />
        <Choice label="Rule" value={rule} options={codes} onChange={(code) => go({ ...route, rule: code || undefined })} />
        {graphs.length > 1 && <Choice label="Graph" value={graph} options={graphs} names={TITLES} onChange={setGraph} />}
        <span class="faint" role="status">{shown.length} of {counted(model.findings.length, "finding")}</span>
      </div>
      {sorted.map((found) => <RuleSection key={`${found[0].code}${found[0].severity}`} {...{ found, data, go }} />)}
      {!sorted.length && <p class="nothing">{model.findings.length ? "No finding passes the filters." : "Nothing was found."}</p>}
    </div>
  );
}

function Choice({ label, value, options, names = {}, onChange }) {
  return (
    <label>{label} <select value={value} onChange={(event) => onChange(event.target.value)}>
      <option value="">all</option>
      {options.map((each) => <option value={each}>{names[each] ?? each}</option>)}
    </select></label>
  );
}

function RuleSection({ found, data, go }) {
  const [most, setMost] = useState(SHOWN);
  const [first] = found;
  const rule = data.rules[first.code];
  const groups = new Map();
  for (const each of found) {
    const list = groups.get(each.message);
    if (list) list.push(each);
    else groups.set(each.message, [each]);
  }
  let left = most;
  return (
    <section class="card rule" id={`rule-${first.code}`}>
      <h2><span class={`dot ${first.severity}`}>{first.severity}</span> {first.code} <span class="rule-name">{rule?.name}</span> <span class="faint">{counted(found.length, "place")}, {first.category}</span></h2>
      {rule && <p>{rule.summary}</p>}
      {[...groups].map(([message, list]) => {
        const part = list.slice(0, Math.max(left, 0));
        left -= list.length;
        if (!part.length) return null;
        const [one] = list;
        return (
          <div class="same">
            <p class="message">{message}</p>
            {one.fix && <p class="faint">`mnncompat fix` {one.fix.startsWith("fix") ? "rewrites" : "may rewrite"} this: {one.fix.slice(4)}</p>}
            {one.hint && <p class="faint">{one.hint}</p>}
            <ul class="places">{part.map((each) => <li><Place finding={each} go={go} /></li>)}</ul>
            {one.evidence.length > 0 && <details><summary>evidence</summary><ul>{one.evidence.map((line) => <li>{line}</li>)}</ul></details>}
          </div>
        );
      })}
      {found.length > most && <button onClick={() => setMost(most * 4)}>Show more of {found.length}</button>}
      {rule && <details><summary>The rule, explained</summary><pre class="prose">{rule.explanation}</pre></details>}
    </section>
  );
}

function Place({ finding, go }) {
  if (finding.node < 0) return <span>{finding.where || "the model as a whole"}</span>;
  const show = () => go({ page: "graph", graph: finding.graph, node: `@${finding.node}`, overlay: "findings" }, true);
  return <button class="link" onClick={show}>{finding.where}</button>;
}
