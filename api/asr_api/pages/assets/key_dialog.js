// The dialog that asks for an API key. The key lives in this tab only, until the tab is closed.

import { key, onKeyNeeded } from './api.js';
import { byId } from './dom.js';

let answer = null; // of the dialog that is open: everybody who needs a key waits for the same one
let declined = false; // then nobody is asked again, until they press the button themselves

export function setUpKeys() {
  const dialog = byId('key-dialog');
  const field = byId('key-field');
  byId('key-button').addEventListener('click', () => {
    declined = false;
    ask('');
  });
  byId('key-form').addEventListener('submit', (event) => {
    event.preventDefault();
    key.set(field.value.trim());
    dialog.close('entered');
  });
  byId('key-forget').addEventListener('click', () => {
    key.set('');
    dialog.close('forgotten');
  });
  byId('key-cancel').addEventListener('click', () => dialog.close(''));
  onKeyNeeded(ask);
  show();
}

async function ask(problem) {
  if (declined) return false;
  answer ??= new Promise((resolve) => {
    const dialog = byId('key-dialog');
    byId('key-problem').textContent = problem;
    byId('key-field').value = '';
    byId('key-forget').hidden = !key.get();
    dialog.returnValue = '';
    dialog.addEventListener(
      'close',
      () => {
        answer = null;
        declined = !dialog.returnValue;
        show();
        resolve(dialog.returnValue === 'entered');
        if (dialog.returnValue) document.dispatchEvent(new Event('key-changed'));
      },
      { once: true },
    );
    dialog.showModal();
  });
  return answer;
}

function show() {
  byId('key-button').textContent = key.get() ? 'Key set' : 'API key';
}
