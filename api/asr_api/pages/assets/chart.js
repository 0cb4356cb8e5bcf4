// A line chart over time as SVG: one or more series, gaps where nothing is known, a reading at the
// pointer. What it shows is said in words to a screen reader.

import { el } from './dom.js';
import { number } from './format.js';

const NS = 'http://www.w3.org/2000/svg';
const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [480, 170, 46, 8, 8, 20];

/** `series`: names; `show`: formats a value; `from` and `to` of draw() are Unix seconds. */
export class Chart {
  constructor(container, { title, unit = '', series, show = number }) {
    Object.assign(this, { title, series, format: show, times: [], values: [] });
    const keys = series.map((name, index) => el('span', { className: `key-${index + 1}` }, name));
    this.svg = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', preserveAspectRatio: 'none' });
    this.tip = el('div', { className: 'tip', hidden: true, 'aria-hidden': 'true' });
    const heading = el('h3', {}, title, el('span', { className: 'unit' }, unit && ` ${unit}`));
    const legend = series.length > 1 ? el('div', { className: 'legend', 'aria-hidden': 'true' }, ...keys) : null;
    const figure = el('figure', { className: 'card chart' }, el('figcaption', {}, heading, legend), this.svg, this.tip);
    this.figure = figure;
    container.append(figure);
    this.svg.addEventListener('pointermove', (event) => this.#point(event));
    this.svg.addEventListener('pointerleave', () => this.#leave());
    new ResizeObserver(() => this.#fit()).observe(this.svg);
  }

  /** `values[i]` is one series, a number or null for each of `times`. */
  draw({ from, to, times, values }) {
    Object.assign(this, { from, to, times, values });
    this.#fit();
    this.svg.setAttribute('aria-label', this.#inWords());
  }

  /** One unit of the drawing is one pixel, so that text and lines keep their size. */
  #fit() {
    this.width = this.svg.clientWidth || WIDTH;
    this.svg.setAttribute('viewBox', `0 0 ${this.width} ${HEIGHT}`);
    if (!this.times.length && this.from === undefined) return;
    this.top = niceTop(Math.max(0, ...this.values.flat().filter((value) => value !== null)));
    const lines = this.values.flatMap((series, index) => this.#line(series, index + 1));
    this.svg.replaceChildren(...this.#axes(), ...lines);
  }

  #x = (time) => LEFT + ((time - this.from) / (this.to - this.from)) * (this.width - LEFT - RIGHT);
  #y = (value) => TOP + (1 - value / this.top) * (HEIGHT - TOP - BOTTOM);

  #axes() {
    const marks = [];
    for (const part of [0, 0.5, 1]) {
      const y = this.#y(part * this.top);
      marks.push(svg('line', { class: 'grid', x1: LEFT, x2: this.width - RIGHT, y1: y, y2: y }));
      marks.push(svg('text', { x: LEFT - 6, y: y + 4, 'text-anchor': 'end' }, this.format(part * this.top)));
    }
    const count = this.width < 420 ? 3 : 5;
    for (let index = 0; index < count; index += 1) {
      const time = this.from + (index / (count - 1)) * (this.to - this.from);
      const anchor = index === 0 ? 'start' : index === count - 1 ? 'end' : 'middle';
      marks.push(svg('text', { x: this.#x(time), y: HEIGHT - 4, 'text-anchor': anchor }, hour(time)));
    }
    return marks;
  }

  #line(series, number) {
    const runs = [];
    series.forEach((value, index) => {
      if (value === null) return;
      const point = [this.#x(this.times[index]), this.#y(value)];
      if (index && series[index - 1] !== null) runs.at(-1).push(point);
      else runs.push([point]);
    });
    const shapes = [];
    for (const run of runs) {
      const path = run.map(([x, y], index) => `${index ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`).join('');
      if (run.length === 1) {
        shapes.push(svg('circle', { class: `dot-${number}`, cx: run[0][0], cy: run[0][1], r: 2.5 }));
        continue;
      }
      if (this.series.length === 1) {
        const floor = this.#y(0).toFixed(1);
        const closed = `${path}L${run.at(-1)[0].toFixed(1)} ${floor}L${run[0][0].toFixed(1)} ${floor}Z`;
        shapes.push(svg('path', { class: `area area-${number}`, d: closed }));
      }
      shapes.push(svg('path', { class: `series series-${number}`, d: path }));
    }
    return shapes;
  }

  #point(event) {
    const box = this.svg.getBoundingClientRect();
    const time = this.from + ((event.clientX - box.left - LEFT) / (this.width - LEFT - RIGHT)) * (this.to - this.from);
    const nearest = this.times.reduce((best, each, index) => (Math.abs(each - time) < Math.abs(this.times[best] - time) ? index : best), 0);
    if (this.times[nearest] === undefined) return;
    const x = this.#x(this.times[nearest]);
    this.svg.querySelector('.cross')?.remove();
    this.svg.append(svg('line', { class: 'cross', x1: x, x2: x, y1: TOP, y2: HEIGHT - BOTTOM }));
    const told = this.values.map((series, index) => {
      const value = series[nearest] === null ? '–' : this.format(series[nearest]);
      return el('div', {}, this.series.length > 1 ? `${this.series[index]} ${value}` : value);
    });
    this.tip.replaceChildren(el('strong', {}, hour(this.times[nearest])), ...told);
    this.tip.hidden = false;
    const left = x + this.svg.offsetLeft + 12;
    this.tip.style.left = `${Math.min(left, this.figure.clientWidth - this.tip.offsetWidth - 8)}px`;
  }

  #leave() {
    this.tip.hidden = true;
    this.svg.querySelector('.cross')?.remove();
  }

  #inWords() {
    const said = this.values.map((series, index) => {
      const known = series.filter((value) => value !== null);
      const name = this.series.length > 1 ? `${this.series[index]}: ` : '';
      return known.length ? `${name}last ${this.format(known.at(-1))}, highest ${this.format(Math.max(...known))}` : `${name}no data yet`;
    });
    return `${this.title}. ${said.join('; ')}.`;
  }
}

function svg(tag, attributes, text) {
  const element = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

/** The next of 1, 2, 5 times a power of ten. */
export function niceTop(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((top) => top >= value * 0.999);
}

const hour = (time) => new Date(time * 1000).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
