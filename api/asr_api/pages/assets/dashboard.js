// The page at `/dashboard`: asks the API again and again, and says so when it gets no answer.

import { ApiError, pause, request } from './api.js';
import { Chart } from './chart.js';
import { announce, byId, el } from './dom.js';
import { duration, number } from './format.js';
import { series } from './history.js';
import { setUpKeys } from './key_dialog.js';
import { showLanes, showTiles, showWorkers } from './tables.js';

const RANGE = 'asr-range';
const NOW_SECONDS = 2;
const RANGES = {
  15: { name: 'Last 15 minutes', everySeconds: 5 },
  60: { name: 'Last hour', everySeconds: 10 },
  360: { name: 'Last 6 hours', everySeconds: 30 },
  1440: { name: 'Last 24 hours', everySeconds: 60 },
};
const latencies = ['p50', 'p95', 'p99'];

const seen = { stats: null, pools: [], at: 0, statsAt: 0, offset: 0 };
let wake = new AbortController(); // aborted to look again at once
let charts = {};

const minutes = () => Number(document.querySelector('[name=range]:checked').value);
const chosen = () => byId('pool').value;
const asked = () => (byId('tenant').value ? `&tenant=${encodeURIComponent(byId('tenant').value)}` : ''); // of an admin

function setUp() {
  const kept = localStorage.getItem(RANGE) ?? '60';
  for (const radio of document.querySelectorAll('[name=range]')) {
    radio.checked = radio.value === kept;
    radio.addEventListener('change', () => {
      localStorage.setItem(RANGE, radio.value);
      lookAgain();
    });
  }
  if (!document.querySelector('[name=range]:checked')) document.querySelector('[name=range]').checked = true;
  byId('pool').addEventListener('change', lookAgain);
  byId('tenant').addEventListener('change', lookAgain);
  document.addEventListener('visibilitychange', () => document.hidden || wake.abort());
  document.addEventListener('key-changed', () => {
    showTenants([]); // another key may see fewer
    lookAgain();
  });
  const box = byId('charts');
  charts = {
    open: new Chart(box, { title: 'Open tasks', series: ['open'] }),
    flow: new Chart(box, { title: 'Tasks', unit: 'per minute', series: ['submitted', 'finished'] }),
    audio: new Chart(box, { title: 'Throughput', unit: 'seconds of audio per second', series: ['audio'] }),
    wait: new Chart(box, { title: 'Wait in queue', series: latencies, show: duration }),
    total: new Chart(box, { title: 'Submit to result', series: latencies, show: duration }),
    factor: new Chart(box, { title: 'Real-time factor', unit: 'processing ÷ audio', series: ['factor'] }),
    errors: new Chart(box, { title: 'Errors', unit: 'per interval', series: ['failed', 'retried', 'lost with a worker'] }),
  };
}

function lookAgain() {
  seen.statsAt = 0;
  wake.abort();
}

async function run() {
  let failures = 0;
  for (;;) {
    if (!document.hidden) {
      failures = (await look()) ? 0 : failures + 1;
    }
    await pause(document.hidden ? 3600 : Math.min(NOW_SECONDS * 2 ** Math.min(failures, 2), 8), wake.signal);
    if (wake.signal.aborted) wake = new AbortController();
  }
}

/** One look; true if all was answered. */
async function look() {
  try {
    const due = Date.now() - seen.statsAt > RANGES[minutes()].everySeconds * 1000;
    if (due) await readStats();
    seen.pools = await Promise.all(Object.keys(seen.names).map(readPool));
    seen.at = Date.now();
    showState('live', 'Live');
    byId('problem').hidden = true;
    draw();
    return true;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const away = error.status === 503 ? 'Redis unavailable' : 'No answer';
    showState('away', away);
    byId('problem').textContent = `${error.message} ${seen.at ? 'The figures below are out of date. ' : ''}This page reconnects by itself.`;
    byId('problem').hidden = false;
    return false;
  }
}

async function readStats() {
  const reply = await request(`api/v1/stats?minutes=${minutes()}${asked()}`);
  seen.offset = Date.parse(reply.headers.get('date')) - Date.now() || 0;
  seen.stats = await reply.json();
  seen.names = seen.stats.pools;
  seen.statsAt = Date.now();
  showPools(Object.keys(seen.names));
  if (seen.stats.tenants) showTenants(seen.stats.tenants);
  showWhose();
}

const readPool = async (pool) => (await request(`api/v1/asr/queue/status?pool=${encodeURIComponent(pool)}${asked()}`)).json();

function showPools(names) {
  fillSelect(byId('pool'), names.map((name) => [name, name]));
  byId('pool-label').hidden = names.length < 2;
}

/** A choice for whoever may see all tenants, once there is more than one. */
function showTenants(names) {
  fillSelect(byId('tenant'), [['', 'All tenants'], ...names.map((name) => [name, name])]);
  byId('tenant-label').hidden = names.length < 2;
}

/** `choices`: pairs of value and text; what was chosen stays, where it is there. */
function fillSelect(select, choices) {
  if (JSON.stringify([...select.options].map((option) => [option.value, option.text])) === JSON.stringify(choices)) return;
  const before = select.value;
  select.replaceChildren(...choices.map(([value, text]) => el('option', { value }, text)));
  if (choices.some(([value]) => value === before)) select.value = before;
}

/** Figures of one tenant are said to be so: they are not the platform's. */
function showWhose() {
  const { tenant } = seen.stats;
  const mine = `Your tasks: this page shows only the tasks of ${tenant}, the tenant of your key.`;
  byId('whose').textContent = byId('tenant').value ? `Tasks of ${tenant}; the workers serve all tenants.` : mine;
  byId('whose').hidden = !tenant;
}

function draw() {
  const pool = seen.pools.find((each) => each.pool === chosen());
  const stats = seen.stats.pools[chosen()];
  showNow(pool);
  showSums(stats);
  const workers = seen.pools.flatMap((each) => each.workers ?? []);
  byId('workers-card').hidden = !pool.workers; // told to admins
  showWorkers(byId('workers'), workers);
  showLanes(byId('lanes'), seen.pools);
  byId('range-title').textContent = RANGES[seen.stats.minutes].name;
  const blocked = workers.filter((worker) => worker.problem);
  const notices = [
    ...blocked.slice(0, 3).map((worker) => `${worker.name} takes no work: ${worker.problem}.`),
    blocked.length > 3 ? `${blocked.length - 3} more take no work.` : '',
    !pool.workers && pool.serving === 'blocked' ? 'The workers take no work right now. Recordings are kept and will wait.' : '',
    pool.trusted ? '' : 'Redis started less than one lease ago: tasks of dead workers cannot be identified yet.',
    pool.models.includes('embedded') ? 'This pool runs the demo model. It is for first runs and tests, not for human speech.' : '',
  ];
  byId('notice').textContent = notices.filter(Boolean).join(' ');
  byId('notice').hidden = !byId('notice').textContent;
  drawCharts();
}

function showNow(pool) {
  showTiles(byId('now'), [
    { name: 'Waiting', figure: number(pool.waiting), aside: `${duration(pool.audio_seconds)} of audio` },
    { name: 'Oldest wait', figure: duration(pool.oldest_wait_seconds), aside: `${pool.delayed} backing off` },
    { name: 'In flight', figure: number(pool.in_flight), aside: pool.orphans ? `${pool.orphans} of dead workers` : '' },
    ...(pool.workers ? workerTiles(pool.workers) : [servingTile(pool)]),
    { name: 'Dead letters', figure: number(pool.dead), aside: 'failed after repeated errors or crashes', bad: pool.dead > 0 },
  ]);
}

function workerTiles(workers) {
  const speed = workers.reduce((sum, worker) => sum + worker.throughput, 0);
  const busy = workers.filter((worker) => worker.busy).length;
  const blocked = workers.filter((worker) => worker.problem).length;
  return [
    { name: 'Workers', figure: number(workers.length), aside: blocked ? `${blocked} take no work` : `${busy} busy`, bad: blocked || !workers.length },
    { name: 'Measured speed', figure: speed ? `${number(speed)}×` : '–', aside: 'real time, all workers' },
  ];
}

function servingTile(pool) {
  const words = { ok: 'Yes', none: 'No', blocked: 'No' };
  const asides = { ok: pool.models.join(', '), none: 'no worker is running', blocked: 'the workers take no work' };
  return { name: 'Serving', figure: words[pool.serving], aside: asides[pool.serving], bad: pool.serving !== 'ok' };
}

function showSums(stats) {
  const parts = (told) => (told ? `p95 ${duration(told.p95)} · p99 ${duration(told.p99)}` : 'no data yet');
  showTiles(byId('sums'), [
    { name: 'Done', figure: number(stats.completed), aside: `${number(stats.arrivals)} arrived` },
    { name: 'Failed', figure: number(stats.failed), aside: `${stats.retried} retried, ${stats.crashed} lost`, bad: stats.failed > 0 },
    { name: 'Audio transcribed', figure: duration(stats.audio_seconds), aside: `${number(stats.audio_seconds / (seen.stats.minutes * 60))} s per second` },
    { name: 'Median wait', figure: duration(stats.wait?.p50 ?? null), aside: parts(stats.wait) },
    { name: 'Median total time', figure: duration(stats.total?.p50 ?? null), aside: parts(stats.total) },
    { name: 'Real-time factor', figure: number(stats.real_time_factor), aside: 'processing ÷ audio' },
  ]);
}

function drawCharts() {
  const told = series(seen.stats, {
    pool: chosen(),
    minutes: seen.stats.minutes,
    now: (seen.statsAt + seen.offset) / 1000,
  });
  const show = (chart, ...values) => chart.draw({ from: told.from, to: told.to, times: told.times, values });
  show(charts.open, told.open);
  show(charts.flow, told.arrivals, told.ended);
  show(charts.audio, told.audio);
  show(charts.wait, ...told.wait);
  show(charts.total, ...told.total);
  show(charts.factor, told.factor);
  show(charts.errors, told.failed, told.retried, told.crashed);
}

function showState(state, text) {
  const chip = byId('state');
  if (chip.dataset.state !== state) announce(state === 'live' ? 'The figures are live.' : `${text}: the figures are out of date.`);
  chip.dataset.state = state;
  chip.textContent = text;
  byId('content').classList.toggle('old', state !== 'live');
}

/** How old the figures are, told every second. */
function tellAge() {
  if (!seen.at) return;
  const seconds = Math.round((Date.now() - seen.at) / 1000);
  byId('updated').textContent = seconds < 3 ? 'updated just now' : `updated ${duration(seconds)} ago`;
  if (seconds > 15 && byId('state').dataset.state === 'live') showState('stale', 'Stale');
}

setUpKeys();
setUp();
setInterval(tellAge, 1000);
run();
