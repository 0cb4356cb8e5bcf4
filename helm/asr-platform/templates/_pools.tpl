{{/* Every pool there is in the queue: those of this release, and those whose workers run elsewhere. */}}
{{- define "asr.pools.names" -}}
{{- $names := list -}}
{{- range .Values.pools }}{{ $names = append $names .name }}{{ end -}}
{{- concat $names .Values.otherPools | uniq | join "," -}}
{{- end -}}

{{/* A pool's settings: those of `worker`, over them its own, and those of all workloads. Takes
     (dict "root" $ "pool" .). */}}
{{- define "asr.pool.settings" -}}
{{- include "asr.part" (dict "root" .root "values" (mergeOverwrite (deepCopy .root.Values.worker) (deepCopy .pool))) -}}
{{- end -}}

{{- define "asr.pool.deployment" -}}
{{ include "asr.fullname" .root }}-worker-{{ .pool.name }}
{{- end -}}

{{- define "asr.pool.modelCache" -}}
{{- if .settings.modelCache.existingClaim -}}
persistentVolumeClaim:
  claimName: {{ .settings.modelCache.existingClaim }}
{{- else if .settings.modelCache.persistent -}}
persistentVolumeClaim:
  claimName: {{ include "asr.pool.deployment" . }}-models
{{- else -}}
emptyDir:
  sizeLimit: {{ .settings.modelCache.size }}
{{- end -}}
{{- end -}}

{{/* A downloaded model lies in a folder named by its checksum: another checksum, another folder. */}}
{{- define "asr.pool.model" -}}
{{- with .model.archive -}}
/models/archives/{{ .sha256 }}
{{- else -}}
{{ .model.name }}
{{- end -}}
{{- end -}}
