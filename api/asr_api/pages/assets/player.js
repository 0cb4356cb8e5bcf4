// Plays a recording: loaded with the caller's key, its time reported on every frame.

import { key, request, url } from './api.js';

const INTERACTIVE = 'input, select, textarea, button, a, summary, audio, dialog, [contenteditable]';

export class Player {
  #blob = null;

  /** `onTime(seconds)` on every frame while it plays, and after each seek. */
  constructor(audio, { onTime, onProblem, neighbour }) {
    this.audio = audio;
    const frame = () => {
      onTime(audio.currentTime);
      if (!audio.paused) requestAnimationFrame(frame);
    };
    audio.addEventListener('play', frame);
    audio.addEventListener('seeked', () => onTime(audio.currentTime));
    audio.addEventListener('loadedmetadata', () => this.#findLength());
    audio.addEventListener('error', () => {
      if (audio.getAttribute('src')) onProblem('This browser cannot play the recording.');
    });
    document.addEventListener('keydown', (event) => this.#onKey(event, neighbour));
  }

  /** A key travels in a header, which an audio element cannot send: then all of it is fetched. */
  async load(taskId) {
    this.unload();
    const path = `api/v1/asr/audio/${taskId}`;
    if (!key.get()) {
      this.audio.src = url(path);
      return;
    }
    const blob = await (await request(path)).blob();
    this.#blob = URL.createObjectURL(blob);
    this.audio.src = this.#blob;
  }

  unload() {
    this.audio.pause();
    this.audio.removeAttribute('src');
    this.audio.load();
    if (this.#blob) URL.revokeObjectURL(this.#blob);
    this.#blob = null;
  }

  seek(seconds) {
    this.audio.currentTime = seconds;
    this.audio.play().catch(() => {}); // the browser may want a gesture first; the place is right
  }

  /** What a browser recorded has no length in its header: the far end of it is looked for once. */
  #findLength() {
    const { audio } = this;
    if (audio.duration !== Infinity) return;
    audio.addEventListener('durationchange', () => (audio.currentTime = 0), { once: true });
    audio.currentTime = 1e9;
  }

  /** Space plays and pauses, the arrows go word by word; not while a control has the focus. */
  #onKey(event, neighbour) {
    const elsewhere = event.ctrlKey || event.altKey || event.metaKey || event.target.closest?.(INTERACTIVE);
    if (elsewhere || !this.audio.getAttribute('src') || document.querySelector('dialog[open]')) return;
    const { audio } = this;
    if (event.key === ' ') audio.paused ? audio.play().catch(() => {}) : audio.pause();
    else if (event.key === 'ArrowLeft') audio.currentTime = neighbour(audio.currentTime, -1);
    else if (event.key === 'ArrowRight') audio.currentTime = neighbour(audio.currentTime, 1);
    else return;
    event.preventDefault();
  }
}
