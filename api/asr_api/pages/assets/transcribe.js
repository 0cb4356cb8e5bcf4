// The page at `/`: puts its parts together.

import { ApiError, json } from './api.js';
import { announce, byId, el } from './dom.js';
import { clock } from './format.js';
import { setUpKeys } from './key_dialog.js';
import { kept } from './kept.js';
import { Recorder, recordingProblem } from './recorder.js';
import { TaskList } from './task_list.js';
import { TaskView } from './task_view.js';
import { Tasks } from './tasks.js';
import { Uploads } from './uploads.js';

const OPTIONS = 'asr-options';
const SCOPE = 'asr-scope';

const tasks = new Tasks();
const uploads = new Uploads();
const list = new TaskList(tasks, uploads, { onOpen: openByHand, onRetry: retry, onDelete: remove });
const view = new TaskView(tasks, { onClose: closeByHand, onRetry: retry, onDelete: remove });

function setUpFiles() {
  const input = byId('files');
  const drop = byId('drop');
  byId('choose').addEventListener('click', () => input.click());
  input.addEventListener('change', () => {
    submit([...input.files]);
    input.value = '';
  });
  // The whole page takes files: a near miss must not replace it with the file.
  addEventListener('dragover', (event) => {
    event.preventDefault();
    drop.classList.add('over');
  });
  addEventListener('dragleave', (event) => event.relatedTarget || drop.classList.remove('over'));
  addEventListener('drop', (event) => {
    event.preventDefault();
    drop.classList.remove('over');
    submit([...event.dataTransfer.files]);
  });
  addEventListener('beforeunload', (event) => uploads.busy && event.preventDefault());
}

function submit(files) {
  const options = Object.fromEntries(new FormData(byId('options')));
  uploads.add(files, options);
}

function setUpUploads() {
  uploads.addEventListener('accepted', ({ detail }) => {
    tasks.remember(detail.task_id);
    tasks.put({ ...detail, progress: 0, created_at: new Date().toISOString() });
    announce(`${detail.filename} has been accepted.`);
    if (!view.id || uploads.list().length === 0) open(detail.task_id);
  });
  uploads.addEventListener('refused', ({ detail }) => announce(`${detail.name} was refused: ${detail.message}`));
  tasks.addEventListener('ended', ({ detail }) => {
    const end = { completed: 'has been transcribed', failed: 'has failed', cancelled: 'was cancelled' };
    announce(`${detail.filename} ${end[detail.status]}.`);
  });
}

function setUpRecorder() {
  const recorder = new Recorder();
  byId('record').addEventListener('click', async () => {
    if (recorder.running) {
      recorder.stop();
      return;
    }
    const problem = await recorder.start(onTime).then(() => recordingProblem(), said);
    show('record-problem', problem);
    if (problem) return;
    showRecording(true);
    submit([await recorder.finished]);
    showRecording(false);
  });
  const said = (error) =>
    recordingProblem() ||
    (error.name === 'NotAllowedError' ? 'Access to the microphone was denied.' : `The microphone cannot be used: ${error.message}`);
  const onTime = (seconds, level) => {
    byId('elapsed').textContent = clock(seconds);
    byId('level').value = level;
  };
}

function showRecording(running) {
  byId('recording').hidden = !running;
  byId('record').classList.toggle('running', running);
  byId('record-text').textContent = running ? 'Stop and transcribe' : 'Record';
  announce(running ? 'Recording.' : 'The recording has ended.');
}

/** Whatever a browser kept from last time, where it still exists. */
function setUpOptions() {
  const form = byId('options');
  const kept = JSON.parse(localStorage.getItem(OPTIONS) ?? '{}');
  const fill = () => {
    for (const [name, value] of Object.entries(kept)) {
      const field = form.elements[name];
      if (field && [...field.options].some((option) => option.value === value)) field.value = value;
    }
  };
  fill();
  form.addEventListener('change', () => {
    Object.assign(kept, Object.fromEntries(new FormData(form)));
    localStorage.setItem(OPTIONS, JSON.stringify(kept));
    showNotice();
  });
  byId('scope').value = localStorage.getItem(SCOPE) ?? 'mine';
  byId('scope').addEventListener('change', () => localStorage.setItem(SCOPE, byId('scope').value));
  return fill;
}

/** Said before anybody sends a recording, not when its sound has gone. */
function showKept() {
  const text = tasks.retention ? kept(tasks.retention) : '';
  if (byId('kept').textContent !== text) show('kept', text);
}

let models = {}; // of each pool: the models of its live workers
const features = {}; // of each pool: what all of them can do
const blocked = {}; // of each pool: whether none of them takes work

async function showPools(fill) {
  const { pools } = await json('api/v1/stats?minutes=1');
  const names = Object.keys(pools);
  const found = await Promise.all(
    names.map(async (pool) => {
      const told = await json(`api/v1/asr/queue/status?pool=${encodeURIComponent(pool)}`);
      blocked[pool] = told.serving === 'blocked';
      features[pool] = told.features;
      return [pool, told.models];
    }),
  );
  models = Object.fromEntries(found);
  const options = names.map((pool) => el('option', { value: pool }, [pool, ...models[pool]].join(' · ')));
  byId('options').elements.pool.replaceChildren(...options);
  byId('pool-label').hidden = names.length < 2;
  fill();
  showNotice();
}

/** Only where the model translates; what is disabled is not sent. */
function showTask(pool) {
  const field = byId('options').elements.task;
  field.disabled = !(features[pool] ?? []).includes('task');
  byId('task-label').hidden = field.disabled;
}

function showNotice() {
  const pool = byId('options').elements.pool.value;
  showTask(pool);
  const there = models[pool] ?? [];
  let notice = '';
  if (!there.length) notice = 'No worker is running right now. Recordings are kept and will wait.';
  else if (blocked[pool]) notice = 'The workers take no work right now; the dashboard shows why. Recordings are kept and will wait.';
  else if (there.includes('embedded')) {
    notice =
      'This server runs the demo model. It knows several hundred English words in synthetic speech; for human speech, start a worker with a real model (ASR_MODEL).';
  }
  show('notice', notice);
}

function show(id, text) {
  byId(id).textContent = text;
  byId(id).hidden = !text;
}

/** What is open stands in the address, so a reload or a link shows it again. */
const idInAddress = () => new URLSearchParams(location.hash.slice(1)).get('task');

function open(id) {
  list.opened = id;
  history.replaceState(null, '', `#task=${id}`);
  list.show();
  return view.open(id);
}

function openByHand(id) {
  open(id);
  byId('detail-title').focus({ preventScroll: true });
  const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
  byId('detail').scrollIntoView({ block: 'nearest', behavior: calm ? 'auto' : 'smooth' });
}

function close() {
  list.opened = null;
  history.replaceState(null, '', location.pathname + location.search);
  view.close();
  list.show();
}

function closeByHand() {
  const row = byId('tasks').querySelector('[aria-current=true]');
  close();
  (row ?? byId('choose')).focus();
}

async function retry(id) {
  await attempt(async () => {
    await tasks.retry(id);
    await open(id);
  });
}

async function remove(id) {
  const name = tasks.get(id)?.filename || 'The recording';
  byId('delete-text').textContent = `${name}, its transcript and its record will be deleted permanently.`;
  const dialog = byId('delete-dialog');
  dialog.returnValue = '';
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener('close', resolve, { once: true }));
  if (dialog.returnValue !== 'yes') return;
  await attempt(async () => {
    if (view.id === id) close();
    await tasks.remove(id);
    announce(`${name} has been deleted.`);
  });
}

async function attempt(work) {
  try {
    await work();
    show('problem', '');
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    show('problem', error.message);
  }
}

async function start() {
  setUpKeys();
  setUpFiles();
  setUpUploads();
  setUpRecorder();
  const fill = setUpOptions();
  byId('delete-no').addEventListener('click', () => byId('delete-dialog').close(''));
  byId('delete-yes').addEventListener('click', () => byId('delete-dialog').close('yes'));
  byId('more').addEventListener('click', () => attempt(() => tasks.more()));
  tasks.addEventListener('change', showKept);
  tasks.addEventListener('problem', () => show('problem', tasks.problem?.message ?? ''));
  document.addEventListener('key-changed', () => {
    tasks.reload();
    attempt(() => showPools(fill));
  });
  addEventListener('hashchange', () => idInAddress() && open(idInAddress()));
  tasks.keepFresh();
  await tasks.reload();
  await attempt(() => showPools(fill));
  if (idInAddress()) open(idInAddress());
}

start();
