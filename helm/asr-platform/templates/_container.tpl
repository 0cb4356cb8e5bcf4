{{/* What every container of ours has. Takes root, "values" of its part, "image" (and "suffix"), "env"
     of the chart, and at will: "layers" of users' environment; "envFrom" true for a program, which
     gets users' and, with "store" true, the bucket's; "mounts"; "resources", else the part's. */}}
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
{{- if .envFrom }}
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

{{/* Mounts of whatever is ours: "store" true for who uses the store, "redis" true for who uses Redis. */}}
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
{{- if and .redis (not .root.Values.redis.enabled) .root.Values.redis.external.caKey }}
- name: redis-ca
  mountPath: /etc/asr-redis
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
