{{/* The chart's environment of a pool's workers. Takes (dict "root" $ "pool" . "settings" …). */}}
{{- define "asr.pool.env" -}}
{{ include "asr.env.program" .root }}
{{ include "asr.env.store" .root }}
POD_NAME:
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
ASR_METRICS_HOST: "::"
ASR_METRICS_PORT: {{ .root.Values.ports.workerMetrics | quote }}
ASR_POOL: {{ .pool.name | quote }}
ASR_MODEL: {{ include "asr.pool.model" .settings | quote }}
ASR_ENGINE: {{ .settings.model.engine | quote }}
ASR_PRECISION: {{ .settings.model.precision | quote }}
{{- range $name, $value := dict "ASR_MODEL_REVISION" .settings.model.revision "ASR_PUNC_MODEL" .settings.model.punctuation "ASR_VAD_MODEL" .settings.model.voiceActivity "ASR_SPEAKER_MODEL" .settings.model.speakers }}
{{- with $value }}
{{ $name }}: {{ . | quote }}
{{- end }}
{{- end }}
ASR_USE_GPU: {{ .settings.gpu.enabled | quote }}
{{- with .settings.batchSize }}
ASR_BATCH_SIZE: {{ include "asr.text" . | quote }}
{{- end }}
ASR_GRACE_SECONDS: {{ .settings.graceSeconds | quote }}
ASR_WORK_DIR: /work
ASR_WORK_DIR_MAX_BYTES: {{ mul (int64 .settings.workDir.maxGiB) 1073741824 | quote }}
MODELSCOPE_CACHE: /models/modelscope
HF_HOME: /models/huggingface
{{- end -}}

{{/* The init container that fetches a model's archive: by the way out that the worker has. Takes
     root, settings, and "what" as for "asr.container". */}}
{{- define "asr.pool.fetch" -}}
{{- $archive := .settings.model.archive -}}
{{- $env := dict
      "MODEL_URL" $archive.url
      "MODEL_SHA256" $archive.sha256
      "MODEL_FOLDER" (printf "/models/archives/%s" $archive.sha256) -}}
{{- $env = mergeOverwrite $env (include "asr.env.authorities" .root | fromYaml) -}}
{{- $mounts := list (dict "name" "models" "mountPath" "/models") -}}
name: model
{{ include "asr.container" (merge (dict "env" $env "layers" (list .root.Values.settings .settings.env) "mounts" $mounts) .what) }}
command: [python, -c]
args:
  - |
    {{- .root.Files.Get "files/fetch_model.py" | nindent 4 }}
{{- end -}}
