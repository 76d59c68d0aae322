// Outputs of both sides: the error by draw, distributions, the worst elements.
import { useState } from "preact/hooks";
import { Bars, Histogram } from "./charts.jsx";
import { brief, counted, decibel, distance, number, shape, share } from "./format.js";

const MOST = 140; // dB that the chart shows; float32 does not reach more

export function Parity({ model }) {
  const { parity } = model;
  return (
    <div class="page">
      {parity.failures.map((each) => <section class="finding error"><p><b>{each.runner}</b> gave no outputs: {each.failure.message}</p></section>)}
      {parity.undetermined.map((each) => <section class="finding warning"><p><b>{each.name}</b> is random, and not compared: {each.nodes.join(", ")}</p></section>)}
      {parity.outputs.map((output) => <Output key={output.name} output={output} model={model} />)}
      {parity.device && <OnDevice device={parity.device} />}
      <Power power={parity.power} />
    </div>
  );
}

function Output({ output, model }) {
  const draws = model.raw.distributions[output.name] ?? [];
  const worst = output.comparisons.reduce((most, each) => (number(each.excess) > number(most.excess) || !each.passed ? each : most), output.comparisons[0]);
  const [draw, setDraw] = useState(worst?.draw);
  const bars = output.comparisons.map((each) => {
    const snr = number(each.snr_db);
    const tone = !each.passed ? "badbar" : each.set_aside ? "series2" : "series";
    return { title: `${each.draw}: ${decibel(each.snr_db)}, ${distance(each.max_abs)} at most`, parts: Number.isNaN(snr) ? [] : [{ from: 0, to: Math.min(Math.max(snr, 0), MOST), tone }], draw: each.draw };
  });
  const shown = draws.find((each) => each.draw === draw);
  return (
    <section class="card">
      <h2><span class={`dot ${output.passed ? "ok" : "error"}`}>{output.passed ? "agrees" : "differs"}</span> <span class="name">{output.name}</span> <span class="faint">lowest SNR {decibel(output.snr_db)}, tolerance {told(output.tolerance)}</span></h2>
      {output.problems.slice(0, 6).map((each) => <p class="message">{each}</p>)}
      {output.problems.length > 6 && <p class="faint">and {output.problems.length - 6} more</p>}
      <h3>Signal-to-noise ratio by draw</h3>
      <Bars title={`Signal-to-noise ratio of ${output.name} by draw, in dB`} bars={bars} low={0} high={MOST} ticks={[0, 40, 80, 120].map((each) => [each, `${each} dB`])} onPick={(bar) => setDraw(bar.draw)} height={170} />
      <div class="scroll" tabIndex={0} role="region" aria-label={`Draws of ${output.name}`}><table class="rows draws">
        <thead><tr><th scope="col">draw</th><th scope="col">shape</th><th scope="col" class="num">SNR</th><th scope="col" class="num">max abs</th><th scope="col" class="num">max rel</th><th scope="col" class="num">cosine</th><th scope="col" class="num">top-1</th><th scope="col" class="num">of what is allowed</th><th scope="col">verdict</th></tr></thead>
        <tbody>{output.comparisons.map((each) => (
          <tr class={each.draw === draw ? "chosen" : ""}>
            <td>{draws.some((one) => one.draw === each.draw) ? <button class="link" aria-pressed={each.draw === draw} onClick={() => setDraw(each.draw)}>{each.draw}</button> : each.draw}</td>
            <td>{shape(each.expected_shape)}</td><td class="num">{decibel(each.snr_db)}</td><td class="num">{distance(each.max_abs)}</td><td class="num">{distance(each.max_rel)}</td>
            <td class="num">{Number.isNaN(number(each.cosine)) ? "–" : number(each.cosine).toFixed(7)}</td><td class="num">{share(each.top1)}</td><td class="num">{brief(each.excess)}</td>
            <td>{each.set_aside ? "inconclusive" : !each.passed ? each.problems[0] : each.telling ? "agrees" : "agrees, proves nothing"}{each.outliers > 0 && `, ${counted(each.outliers, "outlier")} excused`}</td>
          </tr>
        ))}</tbody>
      </table></div>
      {shown && <Distribution shown={shown} />}
    </section>
  );
}

function told(tolerance) {
  if (tolerance.snr_db !== null) return `${tolerance.snr_db} dB`;
  return `rtol ${tolerance.rtol}, atol ${distance(tolerance.atol)}`;
}

function Distribution({ shown }) {
  const step = (shown.high - shown.low) / shown.expected.length;
  const first = shown.differences.findIndex(Boolean);
  const last = shown.differences.findLastIndex?.(Boolean) ?? shown.differences.length - 1;
  const power = (at) => `1e${(shown.lowest + at / 2).toFixed(1)}`;
  return (
    <>
      <h3>Draw {shown.draw}</h3>
      <div class="distributions">
        <figure><figcaption>ONNX Runtime's values</figcaption><Histogram title="Distribution of the values of ONNX Runtime" counts={shown.expected} from={brief(shown.low)} to={brief(shown.high)} told={(at) => brief(shown.low + at * step)} /></figure>
        <figure><figcaption>MNN's values</figcaption><Histogram title="Distribution of the values of MNN" counts={shown.actual} from={brief(shown.low)} to={brief(shown.high)} told={(at) => brief(shown.low + at * step)} /></figure>
        <figure><figcaption>Differences, by powers of ten; {counted(shown.equal, "element")} equal</figcaption>
          {first >= 0 ? <Histogram title="Distribution of the differences" counts={shown.differences.slice(first, last + 1)} from={power(first)} to={power(last + 1)} told={(at) => power(first + at)} tone="series3" /> : <p class="faint">Every element is the same bit for bit.</p>}
        </figure>
      </div>
      <p class="faint">Heights are logarithmic.{shown.beside > 0 && ` ${counted(shown.beside, "element")} not finite on one side or both.`}</p>
      {shown.worst.length > 0 && (
        <>
          <h3>Worst elements</h3>
          <table class="rows"><thead><tr><th scope="col">index</th><th scope="col" class="num">ONNX Runtime</th><th scope="col" class="num">MNN</th><th scope="col" class="num">of what is allowed</th></tr></thead>
            <tbody>{shown.worst.map((each) => <tr><td>{shape(each.index)}</td><td class="num">{brief(each.expected)}</td><td class="num">{brief(each.actual)}</td><td class="num">{brief(each.ratio)}</td></tr>)}</tbody></table>
        </>
      )}
    </>
  );
}

function OnDevice({ device }) {
  return (
    <section class="card">
      <h2>On {device.device}, precision {device.precision}, {counted(device.threads, "thread")}, MNN {device.mnn}</h2>
      {device.failure && <p class="message">{device.failure}</p>}
      <table class="rows"><thead><tr><th scope="col">output</th><th scope="col" class="num">lowest SNR</th><th scope="col" class="num">top-1</th><th scope="col">worst draw</th><th scope="col">verdict</th></tr></thead>
        <tbody>{device.outputs.map((each) => <tr><td>{each.name}</td><td class="num">{decibel(each.snr_db)}</td><td class="num">{share(each.top1)}</td><td>{each.worst}</td><td>{each.problems[0] ?? "agrees"}</td></tr>)}</tbody></table>
    </section>
  );
}

function Power({ power }) {
  if (!power || !(power.exercised.length + power.silent.length + power.untried.length)) return null;
  const lists = [["silent: a fault in them moved no output", power.silent], ["not tried", power.untried], ["exercised", power.exercised]];
  return (
    <section class="card">
      <h2>What the comparison would have caught</h2>
      <p>A fault was planted in every operator with weights, one at a time.{power.remembered && " This was measured in an earlier run, on the same inputs."}</p>
      {lists.filter(([, names]) => names.length).map(([label, names]) => <details open={names.length < 8}><summary>{label}: {names.length}</summary><ul class="places">{names.map((name) => <li>{name}</li>)}</ul></details>)}
    </section>
  );
}
