{{/* The WorkerPool of a pool. Takes (dict "root" $ "pool" .). */}}
{{- define "asr.pool.resource" -}}
{{- $settings := include "asr.pool.settings" . | fromYaml -}}
apiVersion: asr-platform.dev/v1alpha1
kind: WorkerPool
metadata:
  {{- include "asr.metadata" (dict "root" .root "part" "worker" "pool" .pool.name "name" (include "asr.pool.deployment" .) "labels" (dict "asr-platform.dev/operator" (include "asr.fullname" .root))) | nindent 2 }}
spec:
  scaleTargetRef:
    name: {{ include "asr.pool.deployment" . }}
  pool: {{ .pool.name }}
  pollIntervalSeconds: {{ $settings.pollIntervalSeconds }}
  scaling:
    {{- toYaml $settings.scaling | nindent 4 }}
  {{- with $settings.slotsPerWorker }}
  slotsPerWorker: {{ . }}
  {{- end }}
  {{- with $settings.throughput }}
  throughput: {{ . }}
  {{- end }}
{{- end -}}
