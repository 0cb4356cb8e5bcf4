// The microphone, through the browser's own recorder: WebM or MP4, both with a codec the API reads.

const KINDS = [
  ['audio/webm;codecs=opus', 'webm'],
  ['audio/mp4', 'm4a'],
  ['audio/ogg;codecs=opus', 'ogg'],
];

/** Why this browser cannot record here; '' where it can. */
export function recordingProblem() {
  if (!window.isSecureContext) return 'The microphone is available only on https or localhost.';
  if (!navigator.mediaDevices || !window.MediaRecorder) return 'This browser cannot record.';
  return '';
}

/** One recording at a time. `onTime(seconds, level)` is called a few times a second, level 0 to 1. */
export class Recorder {
  #recorder = null;

  get running() {
    return this.#recorder !== null;
  }

  async start(onTime) {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    const [mimeType, suffix] = KINDS.find(([kind]) => MediaRecorder.isTypeSupported(kind)) ?? ['', 'webm'];
    const recorder = new MediaRecorder(stream, mimeType ? { mimeType } : {});
    const chunks = [];
    recorder.ondataavailable = (event) => chunks.push(event.data);
    const level = new Level(stream);
    const startedAt = performance.now();
    const timer = setInterval(() => onTime((performance.now() - startedAt) / 1000, level.read()), 100);
    this.#recorder = recorder;
    this.finished = new Promise((resolve) => {
      recorder.onstop = () => {
        clearInterval(timer);
        level.close();
        stream.getTracks().forEach((track) => track.stop());
        this.#recorder = null;
        const at = new Date(Date.now() - new Date().getTimezoneOffset() * 60_000);
        const name = `recording-${at.toISOString().slice(0, 19).replace('T', '-').replaceAll(':', '')}.${suffix}`;
        resolve(new File(chunks, name, { type: mimeType }));
      };
    });
    recorder.start(1000);
  }

  /** Resolves to the file. */
  stop() {
    this.#recorder.stop();
    return this.finished;
  }
}

/** How loud it is, so that people see that they are heard. */
class Level {
  constructor(stream) {
    this.context = new AudioContext();
    this.analyser = new AnalyserNode(this.context, { fftSize: 512 });
    this.context.createMediaStreamSource(stream).connect(this.analyser);
    this.samples = new Float32Array(this.analyser.fftSize);
  }

  read() {
    this.analyser.getFloatTimeDomainData(this.samples);
    const power = this.samples.reduce((sum, sample) => sum + sample * sample, 0) / this.samples.length;
    return Math.min(1, Math.sqrt(power) * 4);
  }

  close() {
    this.context.close();
  }
}
