// Files on their way to the server: two at a time, each sent again while the trouble may pass.

import { newKey, pause, upload } from './api.js';

const AT_ONCE = 2;
const ATTEMPTS = 6;

/** Fires `change`, and `accepted` with {task_id, file name}. */
export class Uploads extends EventTarget {
  #all = [];

  /** In the order in which they were added. Each: {name, state, progress, message}. */
  list() {
    return this.#all;
  }

  get busy() {
    return this.#all.some((each) => each.state !== 'refused');
  }

  add(files, options) {
    for (const file of files) {
      this.#all.push({ file, name: file.name, options, key: newKey(), state: 'waiting', progress: 0, message: '' });
    }
    this.#tell();
    this.#fill();
  }

  /** Sends a refused one once more, as a new request. */
  again(each) {
    Object.assign(each, { key: newKey(), state: 'waiting', progress: 0, message: '' });
    this.#tell();
    this.#fill();
  }

  /** Stops one that is under way, or takes a refused one off the list. */
  remove(each) {
    each.stop?.abort();
    this.#all = this.#all.filter((other) => other !== each);
    this.#tell();
  }

  #fill() {
    const free = AT_ONCE - this.#all.filter((each) => each.state === 'sending').length;
    const waiting = this.#all.filter((each) => each.state === 'waiting');
    waiting.slice(0, Math.max(0, free)).forEach((each) => this.#send(each));
  }

  async #send(each) {
    each.state = 'sending';
    each.stop = new AbortController();
    try {
      const accepted = await this.#persistently(each);
      this.#all = this.#all.filter((other) => other !== each);
      this.dispatchEvent(new CustomEvent('accepted', { detail: { ...accepted, filename: each.name } }));
    } catch (error) {
      if (error.name !== 'AbortError') Object.assign(each, { state: 'refused', message: error.message });
      if (each.state === 'refused') this.dispatchEvent(new CustomEvent('refused', { detail: each }));
    }
    this.#tell();
    this.#fill();
  }

  /** The same key each time: a copy that arrives twice is one task. */
  async #persistently(each) {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await upload(each.file, {
          name: each.name,
          options: each.options,
          idempotencyKey: each.key,
          signal: each.stop.signal,
          onProgress: (part) => {
            Object.assign(each, { progress: part, message: '' });
            this.#tell();
          },
        });
      } catch (error) {
        if (!error.passing || attempt === ATTEMPTS) throw error;
        const seconds = Math.min(error.retryAfterSeconds ?? 2 ** attempt, 60);
        Object.assign(each, { progress: 0, message: `${error.message} Trying again in ${seconds} s.` });
        this.#tell();
        await pause(seconds, each.stop.signal);
        if (each.stop.signal.aborted) throw new DOMException('cancelled', 'AbortError');
      }
    }
  }

  #tell() {
    this.dispatchEvent(new Event('change'));
  }
}
