// The tasks that this page knows: read from the history, and kept up to date while they are open.

import { ApiError, ENDED, events, json, pause, request } from './api.js';

const MINE = 'asr-mine';
const MINE_MOST = 500;
const REFRESH_SECONDS = 3;
const PAGE = 50;

/**
 * Fires `change` whenever a task was added, changed or removed; `ended` with the task that has ended;
 * `problem` when reading them begins or ceases to fail.
 */
export class Tasks extends EventTarget {
  #known = new Map();
  #mine = new Set(JSON.parse(localStorage.getItem(MINE) ?? '[]'));
  #cursor = '';
  #followed = null;
  problem = null;
  retention = null;

  /** Newest first: ids begin with the time. */
  list({ mine }) {
    const tasks = [...this.#known.values()].filter((task) => !mine || this.#mine.has(task.task_id));
    return tasks.sort((one, other) => (one.task_id < other.task_id ? 1 : -1));
  }

  get(id) {
    return this.#known.get(id);
  }

  /** Whether the history goes on, for all or for this browser's own. */
  hasMore({ mine }) {
    if (this.#cursor === null) return false;
    const oldest = [...this.#known.keys()].sort()[0];
    return !mine || [...this.#mine].some((id) => !this.#known.has(id) && (!oldest || id < oldest));
  }

  remember(id) {
    this.#mine.add(id);
    localStorage.setItem(MINE, JSON.stringify([...this.#mine].slice(-MINE_MOST)));
  }

  put(task) {
    const before = this.#known.get(task.task_id);
    this.#known.set(task.task_id, { ...before, ...task });
    this.dispatchEvent(new Event('change'));
    if (before && !ENDED.has(before.status) && ENDED.has(task.status)) {
      this.dispatchEvent(new CustomEvent('ended', { detail: this.#known.get(task.task_id) }));
    }
  }

  drop(id) {
    this.#known.delete(id);
    this.#mine.delete(id);
    localStorage.setItem(MINE, JSON.stringify([...this.#mine]));
    this.dispatchEvent(new Event('change'));
  }

  /** The next page of the history. */
  async more() {
    const page = await json(`api/v1/asr/history?limit=${PAGE}&cursor=${this.#cursor}`);
    this.#cursor = page.next_cursor;
    this.retention = page.retention;
    page.tasks.forEach((task) => this.put(task));
    this.dispatchEvent(new Event('change'));
  }

  /** Everything anew: another key shows other tasks. */
  async reload() {
    this.#known.clear();
    this.#cursor = '';
    await this.#guarded(() => this.more());
  }

  /** Follows open tasks for as long as the page is there; a hidden tab waits. */
  async keepFresh() {
    for (;;) {
      await pause(REFRESH_SECONDS);
      const open = [...this.#known.values()].some((task) => !ENDED.has(task.status));
      if (!document.hidden && (open || this.problem)) await this.#guarded(() => this.#refresh());
    }
  }

  /** One task as it happens: the one that somebody looks at. */
  async follow(id) {
    this.#followed?.abort();
    const following = new AbortController();
    this.#followed = following;
    for await (const told of events(id, following.signal)) {
      if (told.status === 'deleted') this.drop(id);
      else this.put(told);
    }
  }

  async remove(id) {
    await request(`api/v1/asr/task/${id}`, { method: 'DELETE' });
    this.drop(id);
  }

  async retry(id) {
    const accepted = await json(`api/v1/asr/retry/${id}`, { method: 'POST' });
    this.put({ task_id: id, status: accepted.status, progress: 0, error: null });
  }

  async #refresh() {
    const before = [...this.#known.keys()];
    const page = await json('api/v1/asr/history?limit=200');
    const there = new Set(page.tasks.map((task) => task.task_id));
    const oldest = page.next_cursor === null ? '' : (page.tasks.at(-1)?.task_id ?? '');
    before.filter((id) => id >= oldest && !there.has(id)).forEach((id) => this.drop(id));
    page.tasks.forEach((task) => this.put(task));
  }

  async #guarded(work) {
    const before = this.problem;
    try {
      await work();
      this.problem = null;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.problem = error;
    }
    if (before?.message !== this.problem?.message) this.dispatchEvent(new Event('problem'));
    this.dispatchEvent(new Event('change'));
  }
}
