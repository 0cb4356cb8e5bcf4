// The dashboard's tables and tiles.

import { el } from './dom.js';
import { bytes, duration, moment, number } from './format.js';

const percent = (value) => (value === null || value === undefined ? '–' : `${Math.round(value)} %`);

const chip = (state, text) => el('span', { className: 'chip', data: { state } }, text);

export function showWorkers(table, workers) {
  const heads = ['Worker', 'Pool', 'Model', 'Device', 'Tasks', 'Speed', 'Real-time factor', 'CPU', 'Memory', 'GPU', 'GPU memory', 'Done', 'Since'];
  const rows = workers.map((worker) => [
    el('span', {}, worker.name, worker.cordoned ? chip('stale', 'cordoned') : null, worker.problem ? chip('away', 'takes no work') : null),
    worker.pool,
    worker.model,
    worker.device,
    `${worker.busy} of ${worker.slots}`,
    worker.throughput ? `${number(worker.throughput)} s/s` : '–',
    worker.throughput ? number(1 / worker.throughput) : '–',
    percent(worker.cpu_percent),
    bytes(worker.memory_bytes),
    percent(worker.gpu_percent),
    worker.gpu_memory_bytes === null ? '–' : `${bytes(worker.gpu_memory_bytes)} of ${bytes(worker.gpu_memory_total_bytes)}`,
    worker.tasks_done,
    moment(worker.started_at),
  ]);
  fill(table, heads, rows, { text: [0, 1, 2, 3], none: 'No live workers.' });
}

export function showLanes(table, pools) {
  const heads = ['Pool', 'Lane', 'Waiting', 'In flight', 'Of dead workers', 'Throttled', 'Audio'];
  const rows = pools.flatMap((pool) =>
    Object.entries(pool.lanes).map(([lane, counts]) => [
      pool.pool, lane, counts.waiting, counts.in_flight, counts.orphans, counts.held, duration(counts.audio_seconds),
    ]),
  );
  fill(table, heads, rows, { text: [0, 1], none: 'No pools.' });
}

/** `tiles`: {name, figure, aside, bad} */
export function showTiles(list, tiles) {
  list.replaceChildren(
    ...tiles.map(({ name, figure, aside, bad }) =>
      el(
        'div',
        { className: bad ? 'tile bad' : 'tile' },
        el('dt', {}, name),
        el('dd', { className: 'figure' }, figure),
        el('dd', { className: 'aside' }, aside ?? ''),
      ),
    ),
  );
}

function fill(table, heads, rows, { text, none }) {
  const place = (index) => (text.includes(index) ? 'text' : '');
  const head = heads.map((name, index) => el('th', { scope: 'col', className: place(index) }, name));
  const body = rows.map((row) =>
    el('tr', {}, ...row.map((cell, index) => el(index ? 'td' : 'th', { className: place(index), scope: index ? undefined : 'row' }, cell))),
  );
  const empty = el('tr', {}, el('td', { colSpan: heads.length, className: 'muted text' }, none));
  table.replaceChildren(el('thead', {}, el('tr', {}, ...head)), el('tbody', {}, ...(rows.length ? body : [empty])));
}
