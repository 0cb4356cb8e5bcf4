{{/* Engine `remote`: where the server of the models is. A sidecar of the pod is the nearest. */}}
{{- define "asr.pool.remoteUrl" -}}
{{- if .settings.remote.url -}}
{{ .settings.remote.url }}
{{- else if .settings.remote.sidecar -}}
http://localhost:8000/v1
{{- end -}}
{{- end -}}

{{- define "asr.pool.remoteEnv" -}}
{{- if eq .settings.model.engine "remote" -}}
{{- $remote := .settings.remote -}}
ASR_REMOTE_URL: {{ include "asr.pool.remoteUrl" . | quote }}
{{- with $remote.model }}
ASR_REMOTE_MODEL: {{ . | quote }}
{{- end }}
{{- with $remote.existingSecret }}
ASR_REMOTE_API_KEY:
  {{- include "asr.env.secret" (list . $remote.secretKey) | nindent 2 }}
{{- end }}
{{- with $remote.concurrency }}
ASR_REMOTE_CONCURRENCY: {{ . | quote }}
{{- end }}
{{- with $remote.timeoutSeconds }}
ASR_REMOTE_TIMEOUT_SECONDS: {{ include "asr.text" . | quote }}
{{- end }}
{{- with (include "asr.env.authorities" .root | fromYaml).SSL_CERT_FILE }}
ASR_REMOTE_CA_FILE: {{ . }}
{{- end }}
{{- end -}}
{{- end -}}

{{/* The sidecar, as a list. The worker starts once its startupProbe passes. */}}
{{- define "asr.pool.sidecar" -}}
{{- if and (eq .settings.model.engine "remote") .settings.remote.sidecar -}}
{{- $restricted := dict "allowPrivilegeEscalation" false "capabilities" (dict "drop" (list "ALL")) -}}
{{- $own := dict "name" "model-server" "restartPolicy" "Always" "securityContext" $restricted -}}
{{- list (mergeOverwrite $own (deepCopy .settings.remote.sidecar)) | toYaml -}}
{{- end -}}
{{- end -}}

{{/* Seconds that a sidecar may take to start, by its startupProbe: the worker waits for it. */}}
{{- define "asr.pool.sidecarSeconds" -}}
{{- $probe := dig "startupProbe" dict (.settings.remote.sidecar | default dict) -}}
{{- if and (eq .settings.model.engine "remote") $probe -}}
{{- $tries := mul (int (dig "periodSeconds" 10 $probe)) (int (dig "failureThreshold" 3 $probe)) -}}
{{- add (int (dig "initialDelaySeconds" 0 $probe)) $tries -}}
{{- else -}}
0
{{- end -}}
{{- end -}}
