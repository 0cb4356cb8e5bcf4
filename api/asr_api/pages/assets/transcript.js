// The transcript as text whose words know their time: one lights up, a click seeks.

import { el } from './dom.js';
import { clock } from './format.js';

const NO_SPACES = /[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]/; // Chinese and Japanese

/** `onSeek(seconds)` is called for a word or a time that was chosen. */
export class TranscriptView {
  #words = []; // {start, end, element}, by start
  #lit = null;

  constructor(container, onSeek) {
    this.container = container;
    container.addEventListener('click', (event) => {
      const at = event.target.closest('[data-at]');
      if (at && !String(getSelection())) onSeek(Number(at.dataset.at));
    });
  }

  show(transcript) {
    this.#words = [];
    this.#lit = null;
    const manyChannels = new Set(transcript.segments.map((segment) => segment.channel)).size > 1;
    const parts = transcript.segments.filter((segment) => segment.text.trim());
    this.container.replaceChildren(...parts.map((segment) => this.#segment(segment, manyChannels)));
    this.#words.sort((one, other) => one.start - other.start);
  }

  /** Lights the word that is said at this time, and returns its element if it is another one. */
  light(seconds) {
    const word = this.#words[this.#indexAt(seconds)];
    const element = word && seconds < word.end + 0.25 ? word.element : null;
    if (element === this.#lit) return null;
    this.#lit?.classList.remove('lit');
    element?.classList.add('lit');
    this.#lit = element;
    return element;
  }

  /** When the word `by` words away from this time begins. */
  neighbour(seconds, by) {
    const index = Math.max(0, this.#indexAt(seconds + 0.01)) + by;
    return this.#words[Math.min(Math.max(index, 0), this.#words.length - 1)]?.start ?? seconds;
  }

  #indexAt(seconds) {
    let [low, high] = [0, this.#words.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#words[middle].start <= seconds) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  #segment(segment, manyChannels) {
    const time = el(
      'button',
      { type: 'button', className: 'time', data: { at: segment.start_seconds }, 'aria-label': `Play from ${clock(segment.start_seconds)}` },
      clock(segment.start_seconds),
    );
    const channel = manyChannels ? `Channel ${segment.channel + 1}` : null;
    const speaker = segment.speaker ? `Speaker ${segment.speaker}` : null;
    const voices = [channel, speaker].map((voice) => voice && el('span', { className: 'channel' }, voice));
    return el('div', { className: 'segment' }, el('div', { className: 'aside' }, time, ...voices), el('p', {}, ...this.#pieces(segment)));
  }

  /** The segment's own text, with its words found in it one after the other. */
  #pieces(segment) {
    const whole = { text: segment.text, start_seconds: segment.start_seconds, end_seconds: segment.end_seconds };
    const words = segment.words.length ? segment.words : [whole];
    const pieces = [];
    let rest = segment.text;
    for (const word of words) {
      const place = rest.toLowerCase().indexOf(word.text.toLowerCase());
      if (place < 0) return this.#joined(words);
      if (place > 0) pieces.push(rest.slice(0, place));
      pieces.push([rest.slice(place, place + word.text.length), word]);
      rest = rest.slice(place + word.text.length);
    }
    pieces.push(rest);
    return pieces.map((piece) => (typeof piece === 'string' ? piece : this.#word(...piece)));
  }

  /** Words that the text does not spell the same way: they stand for themselves. */
  #joined(words) {
    const space = words.some((word) => NO_SPACES.test(word.text)) ? '' : ' ';
    return words.flatMap((word, index) => [index ? space : '', this.#word(word.text, word)]);
  }

  #word(text, word) {
    const element = el('span', { className: 'word', data: { at: word.start_seconds } }, text);
    this.#words.push({ start: word.start_seconds, end: word.end_seconds, element });
    return element;
  }
}
