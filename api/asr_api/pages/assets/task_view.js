// One recording: its state, audio, transcript and actions.

import { ApiError, ENDED, json, request } from './api.js';
import { announce, byId, el } from './dom.js';
import { bytes, duration } from './format.js';
import { Player } from './player.js';
import { TranscriptView } from './transcript.js';

const FORMATS = { txt: 'text', srt: 'srt', vtt: 'vtt', json: 'json' };
const MEDIA = { txt: 'text/plain', srt: 'application/x-subrip', vtt: 'text/vtt', json: 'application/json' };
const IGNORED = {
  speakers: 'does not separate speakers', language: 'detects the language itself', itn: 'formats numbers its own way',
  hotwords: 'does not support hotwords', prompt: 'does not support prompts', task: 'does not translate',
};

export class TaskView {
  #id = null;
  #result = null;

  constructor(tasks, { onClose, onRetry, onDelete }) {
    this.tasks = tasks;
    this.transcript = new TranscriptView(byId('transcript'), (seconds) => this.player.seek(seconds));
    this.player = new Player(byId('audio'), {
      onTime: (seconds) => keepInSight(this.transcript.light(seconds)),
      onProblem: (text) => this.#onSilence(text),
      neighbour: (seconds, by) => this.transcript.neighbour(seconds, by),
    });
    byId('close').addEventListener('click', onClose);
    byId('retry').addEventListener('click', () => onRetry(this.#id));
    byId('delete').addEventListener('click', () => onDelete(this.#id));
    byId('copy').addEventListener('click', () => this.#copy());
    for (const button of byId('downloads').children) {
      button.setAttribute('aria-label', `Download as ${button.textContent}`);
      button.addEventListener('click', () => this.#download(button.dataset.format));
    }
    tasks.addEventListener('change', () => this.#onChange());
  }

  get id() {
    return this.#id;
  }

  async open(id) {
    this.#id = id;
    this.#result = null;
    byId('detail-none').hidden = true;
    byId('detail-some').hidden = false;
    tell('audio-problem', '');
    this.player.unload();
    this.#show(this.tasks.get(id) ?? { task_id: id, status: '' });
    try {
      const task = await this.#read(id);
      if (this.#id !== id) return;
      if (task.audio_available) await this.player.load(id);
      if (!ENDED.has(task.status)) await this.tasks.follow(id);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (this.#id === id) tell('failure', error.message);
    }
  }

  close() {
    this.#id = null;
    this.player.unload();
    byId('detail-none').hidden = false;
    byId('detail-some').hidden = true;
  }

  async #read(id) {
    const task = await json(`api/v1/asr/result/${id}`);
    if (this.#id === id) {
      this.#result = task.result;
      const { result: _, ...rest } = task;
      this.tasks.put(rest);
      this.#show(rest);
    }
    return task;
  }

  /** The player cannot go on: the sound may have been deleted since it was loaded. */
  async #onSilence(text) {
    const id = this.#id;
    try {
      const task = await this.#read(id);
      if (this.#id === id && task.audio_available) tell('audio-problem', text);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (this.#id === id) tell('audio-problem', text);
    }
  }

  /** Without its sound a recording has no player; what plays already plays on. */
  #showSound(task) {
    const audio = byId('audio');
    const gone = task.audio_available === false && task.status !== 'fetching' && (audio.paused || audio.error);
    if (gone && audio.getAttribute('src')) this.player.unload();
    audio.hidden = gone;
    if (gone) tell('audio-problem', `The audio has been deleted${this.#result ? '; the transcript is kept' : ''}.`);
  }

  #onChange() {
    const task = this.#id && this.tasks.get(this.#id);
    if (!task) return;
    this.#show(task);
    if (task.status === 'completed' && !this.#result && this.#reading !== task.task_id) {
      this.#reading = task.task_id;
      this.#read(task.task_id)
        .catch((error) => tell('failure', error.message))
        .finally(() => (this.#reading = null));
    }
  }

  #reading = null;
  #shown = null;

  #show(task) {
    const result = this.#result;
    const open = task.status && !ENDED.has(task.status);
    byId('detail-title').textContent = task.filename || 'Recording';
    byId('facts').textContent = facts(task, result).join(' · ');
    this.#showSound(task);
    byId('running').hidden = !open;
    byId('running-text').textContent = said(task);
    const bar = byId('running-bar');
    if (task.status === 'processing' && task.progress > 0) bar.value = task.progress;
    else bar.removeAttribute('value');
    tell('failure', task.status === 'failed' && task.error ? `${task.error.message} (${task.error.code})` : '');
    byId('retry').hidden = !['failed', 'cancelled'].includes(task.status) || task.audio_available === false;
    byId('downloads').hidden = byId('copy').hidden = !result;
    byId('keys').hidden = !result?.segments.length || task.audio_available === false;
    byId('demo').hidden = result?.model !== 'embedded';
    const ignored = (result?.options_ignored ?? task.options_ignored ?? []).map((name) => IGNORED[name] ?? `does not support ${name}`);
    tell('ignored', ignored.length ? `This model ${ignored.join(', ')}.` : '');
    const warnings = result?.warnings ?? [];
    byId('warnings').replaceChildren(...warnings.map((warning) => el('div', {}, warning.message)));
    byId('warnings').hidden = !warnings.length;
    if (result === this.#shown && result) return;
    this.#shown = result;
    if (result?.segments.some((segment) => segment.text.trim())) this.transcript.show(result);
    else byId('transcript').replaceChildren(result ? el('p', { className: 'muted' }, 'No speech was found in this recording.') : '');
  }

  async #download(format) {
    try {
      const text = await (await request(`api/v1/asr/result/${this.#id}?format=${FORMATS[format]}`)).text();
      const link = el('a', {
        href: URL.createObjectURL(new Blob([text], { type: MEDIA[format] })),
        download: `${(this.tasks.get(this.#id)?.filename || this.#id).replace(/\.[^.]*$/, '')}.${format}`,
      });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    } catch (error) {
      tell('failure', error.message);
    }
  }

  async #copy() {
    const { text } = this.#result;
    if (navigator.clipboard) await navigator.clipboard.writeText(text);
    else copyWithoutClipboard(text); // pages on plain http have no clipboard
    byId('copy').textContent = 'Copied';
    announce('The text has been copied.');
    setTimeout(() => (byId('copy').textContent = 'Copy text'), 2000);
  }
}

function facts(task, result) {
  return [
    task.duration_seconds ? duration(task.duration_seconds) : '',
    task.bytes ? bytes(task.bytes) : '',
    task.lane ? `${task.lane} lane` : '',
    result?.language ? `language ${result.language}` : '',
    result ? `${result.model} on ${result.device}` : '',
    task.finished_at ? `took ${duration((Date.parse(task.finished_at) - Date.parse(task.queued_at)) / 1000)}` : '',
  ].filter(Boolean);
}

function said(task) {
  if (task.status === 'processing') return `Transcribing, ${Math.round((task.progress ?? 0) * 100)} % done`;
  if (task.status === 'fetching') return 'The server is downloading the recording.';
  return task.position ? `Waiting in the queue, position ${task.position}` : 'Waiting in the queue';
}

function tell(id, text) {
  byId(id).textContent = text;
  byId(id).hidden = !text;
}

function keepInSight(element) {
  if (!element) return;
  const box = byId('transcript').getBoundingClientRect();
  const word = element.getBoundingClientRect();
  if (word.top >= Math.max(box.top, 0) && word.bottom <= Math.min(box.bottom, innerHeight)) return;
  const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
  element.scrollIntoView({ block: 'center', behavior: calm ? 'auto' : 'smooth' });
}

function copyWithoutClipboard(text) {
  const field = el('textarea', { value: text, className: 'unseen' });
  document.body.append(field);
  field.select();
  document.execCommand('copy');
  field.remove();
}
