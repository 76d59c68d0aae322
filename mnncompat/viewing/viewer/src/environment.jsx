// What the report was made with.

export function Environment({ data, model }) {
  const versions = { ...data.environment, ...(model.diagnosis?.versions ?? {}) };
  const { parity } = model;
  const rows = [
    ["mnncompat", data.version],
    ...Object.entries(versions),
    ["command", data.command],
    ...(parity ? [["seed", parity.seed]] : []),
    ["model", model.name],
  ];
  const assumed = parity?.assumptions ?? [];
  return (
    <div class="page">
      <section class="card">
        <h3>Environment</h3>
        <table class="pairs"><tbody>{rows.map(([label, text]) => <tr><th scope="row">{label}</th><td>{String(text)}</td></tr>)}</tbody></table>
      </section>
      {assumed.length > 0 && (
        <section class="card">
          <h3>What was drawn as inputs</h3>
          <table class="rows">
            <thead><tr><th scope="col">input</th><th scope="col">type</th><th scope="col">values</th><th scope="col">because of</th></tr></thead>
            <tbody>{assumed.map((each) => <tr><td>{each.name}</td><td>{each.dtype}[{each.shape.join(", ")}]</td><td>{each.values}</td><td>{[...each.reasons, ...each.relations].join("; ") || "–"}</td></tr>)}</tbody>
          </table>
        </section>
      )}
    </div>
  );
}
