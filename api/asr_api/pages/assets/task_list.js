// The list of recordings: those on their way, then the tasks, newest first.

import { byId, el } from './dom.js';
import { bytes, clock, moment } from './format.js';

const SAID = {
  fetching: 'Fetching',
  queued: 'Waiting',
  processing: 'Working',
  completed: 'Done',
  failed: 'Failed',
  cancelled: 'Cancelled',
};

export class TaskList {
  #rows = new Map();

  constructor(tasks, uploads, { onOpen, onRetry, onDelete }) {
    Object.assign(this, { tasks, uploads, onOpen, onRetry, onDelete, opened: null });
    uploads.addEventListener('change', () => this.#showUploads());
    tasks.addEventListener('change', () => this.show());
    byId('scope').addEventListener('change', () => this.show());
  }

  get mine() {
    return byId('scope').value === 'mine';
  }

  show() {
    const tasks = this.tasks.list({ mine: this.mine });
    const rows = tasks.map((task) => this.#row(task));
    const kept = new Set(tasks.map((task) => task.task_id));
    for (const id of this.#rows.keys()) if (!kept.has(id)) this.#rows.delete(id);
    place(byId('tasks'), rows);
    const more = this.tasks.hasMore({ mine: this.mine });
    byId('more').hidden = !more;
    byId('empty').hidden = Boolean(tasks.length || more || this.uploads.list().length || this.tasks.problem);
    byId('empty').textContent = this.mine ? 'No recordings from this browser yet.' : 'No recordings yet.';
  }

  #row(task) {
    const row = this.#rows.get(task.task_id) ?? this.#newRow(task);
    row.open.ariaCurrent = task.task_id === this.opened ? 'true' : 'false';
    row.name.textContent = task.filename || task.task_id;
    const length = task.duration_seconds ? `${clock(task.duration_seconds)} · ` : '';
    row.facts.textContent = `${length}${task.created_at ? moment(task.created_at) : ''}`;
    row.state.textContent = SAID[task.status] ?? task.status;
    row.state.dataset.state = task.status;
    row.bar.hidden = task.status !== 'processing';
    row.bar.value = task.progress ?? 0;
    const again = ['failed', 'cancelled'].includes(task.status) && task.audio_available !== false;
    row.retry.hidden = !again;
    return row.item;
  }

  #newRow(task) {
    const id = task.task_id;
    const name = el('span', { className: 'name' });
    const facts = el('span', { className: 'muted small' });
    const state = el('span', { className: 'chip' });
    const open = el('button', { type: 'button', className: 'open', onclick: () => this.onOpen(id) }, name, facts, state);
    const bar = el('progress', { max: 1, 'aria-label': `Progress of ${task.filename}` });
    const retry = el('button', { type: 'button', onclick: () => this.onRetry(id), 'aria-label': `Try ${task.filename} again` }, 'Try again');
    const remove = el('button', { type: 'button', className: 'quiet icon', onclick: () => this.onDelete(id), 'aria-label': `Delete ${task.filename}` }, '✕');
    const row = { open, name, facts, state, bar, retry, item: el('li', { className: 'row', data: { id } }, open, retry, remove, bar) };
    this.#rows.set(id, row);
    return row;
  }

  #showUploads() {
    byId('uploads').replaceChildren(...this.uploads.list().map((each) => this.#upload(each)));
    this.show();
  }

  #upload(each) {
    const refused = each.state === 'refused';
    const said = { waiting: 'Waiting', sending: `Uploading ${Math.round(each.progress * 100)} %`, refused: 'Refused' };
    const again = el('button', { type: 'button', onclick: () => this.uploads.again(each), 'aria-label': `Send ${each.name} again` }, 'Try again');
    const remove = el(
      'button',
      { type: 'button', className: 'quiet icon', onclick: () => this.uploads.remove(each), 'aria-label': refused ? `Dismiss ${each.name}` : `Stop sending ${each.name}` },
      '✕',
    );
    const head = el(
      'div',
      { className: 'open' },
      el('span', { className: 'name' }, each.name),
      el('span', { className: 'muted small' }, bytes(each.file.size)),
      el('span', { className: 'chip', data: { state: refused ? 'failed' : 'queued' } }, said[each.state]),
    );
    const bar = refused ? null : el('progress', { max: 1, value: each.progress, 'aria-label': `Upload of ${each.name}` });
    const message = each.message ? el('p', { className: 'small bad-text message' }, each.message) : null;
    return el('li', { className: 'row', data: { refused } }, head, refused ? again : null, remove, bar, message);
  }
}

/** Makes the children of a list these, moving only what is out of place: focus stays where it is. */
function place(list, items) {
  const wanted = new Set(items);
  [...list.children].filter((child) => !wanted.has(child)).forEach((child) => child.remove());
  items.forEach((item, index) => {
    if (list.children[index] !== item) list.insertBefore(item, list.children[index] ?? null);
  });
}
