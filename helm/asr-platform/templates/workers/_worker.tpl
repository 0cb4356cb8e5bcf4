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
{{- with include "asr.pool.model" . }}
ASR_MODEL: {{ . | quote }}
{{- end }}
ASR_ENGINE: {{ .settings.model.engine | quote }}
{{- if ne .settings.model.precision "auto" }}
ASR_PRECISION: {{ .settings.model.precision | quote }}
{{- end }}
{{- range $name, $value := dict "ASR_MODEL_REVISION" .settings.model.revision "ASR_PUNC_MODEL" .settings.model.punctuation "ASR_VAD_MODEL" .settings.model.voiceActivity "ASR_SPEAKER_MODEL" .settings.model.speakers "ASR_VAD" .settings.model.vad }}
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
{{ include "asr.pool.modelEnv" . }}
{{ include "asr.pool.remoteEnv" . }}
{{- end -}}

{{/* Which build of the worker's image a pool has: for CPUs, for GPUs, or for Whisper on GPUs, whose
     library wants a cuBLAS of its own. */}}
{{- define "asr.pool.suffix" -}}
{{- $images := .root.Values.images.worker -}}
{{- $model := .settings.model -}}
{{- $whisper := eq "whisper" (eq $model.engine "auto" | ternary (include "asr.catalogue.engine" (list .root $model.name)) $model.engine) -}}
{{- if not .settings.gpu.enabled }}{{ $images.cpuSuffix }}{{ else if $whisper }}{{ $images.whisperSuffix }}{{ end -}}
{{- end -}}

{{/* Seconds from a pod's creation to a worker that is ready, at most: a download gets as long as the
     start. */}}
{{- define "asr.pool.startupSeconds" -}}
{{- $start := int .settings.startupSeconds -}}
{{- $fetch := ternary $start 0 (or (not (empty .settings.model.archive)) (eq (include "asr.pool.pulls" .) "true")) -}}
{{- add $start $fetch (include "asr.pool.sidecarSeconds" . | int) -}}
{{- end -}}
