{{/* What every container of ours has. Takes root, "values" of its part, "image" (and "suffix"), "env"
     of the chart, and at will: "layers" of users' environment; "program" true for one of ours that
     uses Redis, "store" true for who uses the store; "mounts"; "resources", else the part's. */}}
{{- define "asr.container" -}}
image: {{ include "asr.image" . }}
imagePullPolicy: {{ (index .root.Values.images .image).pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- with include "asr.env" . | fromYamlArray }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if .program }}
{{- $from := .values.envFrom | default list -}}
{{- if and .store (has .root.Values.store.type (list "s3" "azure")) .root.Values.store.existingSecret }}
{{- $from = append $from (dict "secretRef" (dict "name" .root.Values.store.existingSecret)) -}}
{{- end -}}
{{- with $from }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- with .resources | default .values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  {{- include "asr.byKey" (list "mountPath" (include "asr.mounts" . | fromYamlArray) .mounts .values.extraVolumeMounts) | nindent 2 }}
{{- end -}}

{{/* Mounts of what "program", "store" and "authorities" (true) say that a container uses. */}}
{{- define "asr.mounts" -}}
- name: tmp
  mountPath: /tmp
{{- if and .store (eq .root.Values.store.type "pvc") }}
- name: store
  mountPath: /var/lib/asr-platform/store
{{- end }}
{{- if and .store (eq .root.Values.store.type "gcs") .root.Values.store.existingSecret }}
- name: store-credentials
  mountPath: /etc/asr-store
  readOnly: true
{{- end }}
{{- if and .program (include "asr.redis.files" .root) }}
- name: redis-tls
  mountPath: /etc/asr-redis
  readOnly: true
{{- end }}
{{- if and (or .program .authorities) (or .root.Values.caBundle.configMap .root.Values.caBundle.secret) }}
- name: authorities
  mountPath: /etc/asr-authorities
  readOnly: true
{{- end }}
{{- end -}}

{{/* Lists of objects as one, in which a key stands once: of two the later one counts, in the place of
     the first. Takes (list key list …). */}}
{{- define "asr.byKey" -}}
{{- $key := first . -}}
{{- $names := list -}}
{{- $found := dict -}}
{{- range rest . -}}
{{- range . -}}
{{- $name := index . $key | trimSuffix "/" -}}
{{- $names = append $names $name | uniq -}}
{{- $_ := set $found $name . -}}
{{- end -}}
{{- end -}}
{{- $all := list -}}
{{- range $names }}{{ $all = append $all (index $found .) }}{{ end -}}
{{- toYaml $all -}}
{{- end -}}
