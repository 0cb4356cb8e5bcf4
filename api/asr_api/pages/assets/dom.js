// Elements made in code. Text is always set as text, so nothing that a user named becomes markup.

/** `el('p', {className: 'x', onclick: f, 'aria-label': 'y'}, 'text', child, null)` */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name === 'data') Object.assign(element.dataset, value);
    else if (name.includes('-') || name === 'role') element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export const byId = (id) => document.getElementById(id);

/** Says something to a screen reader, through the page's one polite live region. */
export function announce(text) {
  byId('announcer').textContent = text;
}
