// The API as the pages use it: addresses, the caller's key, errors in words, uploads and events.

const BASE = new URL('..', import.meta.url); // of this file's folder: right also behind a path prefix
const KEY = 'asr-key';
const WORDS = {
  0: 'The server cannot be reached.',
  401: 'An API key is required.',
  403: 'This API key is not allowed to do that.',
  429: 'Too many requests.',
  503: 'The service is unavailable right now.',
};

/** What a request came to; `status` is 0 where no reply came. */
export class ApiError extends Error {
  constructor(status, message, { code = '', retryAfterSeconds = null } = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfterSeconds = retryAfterSeconds;
  }

  /** Trying the same again later may help. */
  get passing() {
    return [0, 408, 429, 502, 503, 504].includes(this.status);
  }
}

let askForKey = async () => false;

/** `ask(message)` shows a dialog and resolves to whether a key was entered. */
export function onKeyNeeded(ask) {
  askForKey = ask;
}

export const key = {
  get: () => sessionStorage.getItem(KEY) ?? '',
  set: (value) => (value ? sessionStorage.setItem(KEY, value) : sessionStorage.removeItem(KEY)),
};

export const url = (path) => new URL(path.replace(/^\//, ''), BASE).href;

const authorization = () => (key.get() ? { Authorization: `Bearer ${key.get()}` } : {});

/** A reply that is 2xx; asks for a key where one is needed. Raises ApiError. */
export async function request(path, { method = 'GET', headers = {}, signal } = {}) {
  for (;;) {
    const sentKey = key.get();
    let reply;
    try {
      reply = await fetch(url(path), { method, signal, headers: { ...headers, ...authorization() } });
    } catch (error) {
      if (error.name === 'AbortError') throw error;
      throw new ApiError(0, WORDS[0]);
    }
    if (reply.ok) return reply;
    const error = errorOf(reply.status, await reply.text().catch(() => ''), reply.headers.get('retry-after'));
    if (error.status !== 401) throw error;
    if (key.get() === sentKey && !(await askForKey(sentKey ? error.message : ''))) throw error;
  }
}

export const json = async (path, options) => (await request(path, options)).json();

function errorOf(status, text, retryAfter) {
  let told = {};
  try {
    told = JSON.parse(text).error ?? {};
  } catch {
    // Something before the API answered, as a proxy does.
  }
  const message = [WORDS[status], told.message ?? (WORDS[status] ? '' : `The server answered ${status}.`)];
  return new ApiError(status, message.filter(Boolean).join(' '), {
    code: told.code,
    retryAfterSeconds: Number(retryAfter) || null,
  });
}

/** Sends one file. fetch() does not tell how much has been sent; XMLHttpRequest does. */
export async function upload(file, { name, options, idempotencyKey, onProgress, signal }) {
  for (;;) {
    const sentKey = key.get();
    try {
      return await send(file, { name, options, idempotencyKey, onProgress, signal });
    } catch (error) {
      if (error.status !== 401) throw error;
      if (key.get() === sentKey && !(await askForKey(sentKey ? error.message : ''))) throw error;
    }
  }
}

function send(file, { name, options, idempotencyKey, onProgress, signal }) {
  const form = new FormData();
  for (const [field, value] of Object.entries(options)) form.append(field, value);
  form.append('audio', file, name);
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    xhr.open('POST', url('api/v1/asr/submit'));
    xhr.setRequestHeader('Idempotency-Key', idempotencyKey);
    for (const [header, value] of Object.entries(authorization())) xhr.setRequestHeader(header, value);
    xhr.upload.onprogress = (event) => onProgress(event.total ? event.loaded / event.total : 0);
    xhr.onload = () => {
      if (xhr.status < 300) resolve(JSON.parse(xhr.responseText));
      else reject(errorOf(xhr.status, xhr.responseText, xhr.getResponseHeader('retry-after')));
    };
    xhr.onerror = () => reject(new ApiError(0, WORDS[0]));
    xhr.onabort = () => reject(new DOMException('cancelled', 'AbortError'));
    signal.addEventListener('abort', () => xhr.abort());
    xhr.send(form);
  });
}

/**
 * Yields what happens to a task until its end. EventSource cannot carry a key, so this reads the
 * stream itself, and connects again where it breaks.
 */
export async function* events(taskId, signal) {
  let lastId = null;
  while (!signal.aborted) {
    try {
      const headers = lastId ? { 'Last-Event-ID': lastId } : {};
      const reply = await request(`api/v1/asr/events/${taskId}`, { headers, signal });
      if (reply.status === 204) return;
      for await (const event of messages(reply.body)) {
        lastId = event.id ?? lastId;
        yield event.data;
        if (ENDED.has(event.data.status)) return;
      }
    } catch (error) {
      if (signal.aborted || (error instanceof ApiError && !error.passing)) return;
    }
    await pause(3, signal);
  }
}

export const ENDED = new Set(['completed', 'failed', 'cancelled', 'deleted']);

async function* messages(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (text + value.replaceAll('\r\n', '\n')).split('\n\n');
    text = blocks.pop();
    for (const block of blocks) {
      const fields = Object.fromEntries(
        block.split('\n').map((line) => [line.split(':', 1)[0], line.slice(line.indexOf(':') + 1).trim()]),
      );
      if (fields.data) yield { id: fields.id, data: JSON.parse(fields.data) };
    }
  }
}

/** Resolves after so many seconds, or at once when the signal aborts. */
export function pause(seconds, signal) {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const timer = setTimeout(resolve, seconds * 1000);
    signal?.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** A name for a request that may be sent again; crypto.randomUUID needs https, this does not. */
export function newKey() {
  const random = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(random, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
