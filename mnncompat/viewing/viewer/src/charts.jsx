// Charts as SVG: bars on a scale, with a table of the same numbers for those who do not see them.

export function Bars({ title, bars, low, high, ticks, limit, onPick, height = 220 }) {
  const [left, top, bottom] = [58, 10, 26];
  const step = Math.max(Math.min(90, 1030 / Math.max(bars.length, 1)), 5);
  const width = left + 16 + step * bars.length;
  const y = (value) => top + (height - top - bottom) * (1 - (Math.min(Math.max(value, low), high) - low) / (high - low || 1));
  return (
    <div class="chart scroll" tabIndex={0} role="region" aria-label={title}>
      <svg width={Math.max(width, 320)} height={height} role="img" aria-label={title}>
        {ticks.map(([value, label]) => (
          <g><line x1={left} x2={Math.max(width, 320) - 8} y1={y(value)} y2={y(value)} class="grid" /><text x={left - 6} y={y(value) + 4} text-anchor="end">{label}</text></g>
        ))}
        {limit !== undefined && <line x1={left} x2={Math.max(width, 320) - 8} y1={y(limit)} y2={y(limit)} class="limit" />}
        {bars.map((bar, at) => (
          <g class={onPick ? "pick" : ""} onClick={() => onPick?.(bar, at)}>
            <title>{bar.title}</title>
            {bar.parts.map(({ from = low, to, tone }) => {
              const [high1, low1] = [y(Math.max(from, to)), y(Math.min(from, to))];
              return <rect x={left + 6 + at * step + Math.max(step * 0.72 - 40, 0) / 2} width={Math.min(step * 0.72, 40)} y={high1} height={Math.max(low1 - high1, 1)} class={tone} />;
            })}
          </g>
        ))}
      </svg>
    </div>
  );
}

export function Histogram({ title, counts, from, to, told, tone = "series" }) {
  const most = Math.max(...counts, 1);
  const [width, height, bottom] = [340, 120, 20];
  const step = width / counts.length;
  return (
    <svg class="histogram" viewBox={`0 0 ${width} ${height}`} width={width} height={height} role="img" aria-label={title}>
      {counts.map((count, at) => {
        const tall = count ? Math.max((height - bottom - 4) * (Math.log1p(count) / Math.log1p(most)), 1) : 0;
        return <rect x={at * step + 0.5} y={height - bottom - tall} width={Math.max(step - 1, 1)} height={tall} class={tone}><title>{told(at)}: {count}</title></rect>;
      })}
      <line x1="0" x2={width} y1={height - bottom} y2={height - bottom} class="grid" />
      <text x="0" y={height - 5}>{from}</text>
      <text x={width} y={height - 5} text-anchor="end">{to}</text>
    </svg>
  );
}
