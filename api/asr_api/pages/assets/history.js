// The points of GET /api/v1/stats as series. Stretches in which nothing happened are not sent: of
// them a count is 0, and a latency is not known. Pure.

/** Times at the middle of each stretch, and what is said of it. */
export function series(stats, { pool, minutes, now }) {
  const step = stats.step_seconds;
  const points = new Map(stats.pools[pool].points.map((point) => [Date.parse(point.at) / 1000, point]));
  const to = Math.floor(now / step) * step;
  const times = [];
  for (let at = to - minutes * 60 + step; at <= to; at += step) times.push(at);
  const each = (read, missing = 0) => times.map((at) => (points.has(at) ? read(points.get(at)) : missing));
  const span = (at) => (at === to ? Math.max(1, now - to) : step); // the last stretch is not over
  const rate = (values, seconds) => values.map((value, index) => (value / span(times[index])) * seconds);
  const part = (which) => ['p50', 'p95', 'p99'].map((name) => each((point) => point[which]?.[name] ?? null, null));
  return {
    from: to - minutes * 60 + step,
    to: to + step,
    times: times.map((at) => at + Math.min(step, span(at)) / 2),
    arrivals: rate(each((point) => point.arrivals), 60),
    ended: rate(each((point) => point.completed + point.failed + point.cancelled), 60),
    audio: rate(each((point) => point.audio_seconds), 1),
    wait: part('wait'),
    total: part('total'),
    factor: each((point) => point.real_time_factor, null),
    failed: each((point) => point.failed),
    retried: each((point) => point.retried),
    crashed: each((point) => point.crashed),
    open: open(each((point) => point), stats.pools[pool].open),
  };
}

/** How many tasks were open after each stretch: back from now, by what came and what ended. */
function open(points, openNow) {
  let count = openNow;
  return points
    .reverse()
    .map((point) => {
      const after = Math.max(0, count);
      if (point) count -= point.arrivals - point.completed - point.failed - point.cancelled;
      return after;
    })
    .reverse();
}
