// How long the server keeps what it was sent, in words. Pure.

/** Of the `retention` of `GET /api/v1/asr/history`. */
export function kept(retention) {
  const results = retention.results_max_age_seconds;
  const texts = results === null ? '' : ` Transcripts are kept for ${span(results)}.`;
  return sound(retention) + texts;
}

function sound({ max_recordings: most, recordings_min_age_seconds: least, recordings_max_age_seconds: longest }) {
  if (most === 0) return 'Audio is deleted once it has been transcribed.';
  const limit = longest === null ? '' : ` and for ${span(longest)} at most`;
  if (most === null) return limit ? `Audio is kept for ${span(longest)}.` : 'Audio is kept as long as its transcript.';
  const newest = most === 1 ? 'of the newest recording' : `of the ${most} newest recordings`;
  if (!least || (longest !== null && longest <= least)) return `Audio is kept ${newest}${limit}.`;
  return `Audio is kept for ${span(least)}, and ${newest} for longer${limit}.`;
}

/** 3600 → "an hour", 604800 → "7 days" */
function span(seconds) {
  for (const [name, one, size] of [['days', 'a day', 86400], ['hours', 'an hour', 3600], ['minutes', 'a minute', 60]]) {
    const count = seconds / size;
    if (count === 1) return one;
    if (count >= 1) return `${count.toLocaleString('en', { maximumFractionDigits: 1 })} ${name}`;
  }
  return `${Math.round(seconds)} seconds`;
}
