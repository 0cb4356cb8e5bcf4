{{- define "asr.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* The release's name, with -asr where it does not say it already. 40 letters leave room for parts. */}}
{{- define "asr.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains "asr" .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-asr" (.Release.Name | trunc 36 | trimSuffix "-") -}}
{{- end -}}
{{- end -}}

{{- define "asr.namespace" -}}
{{- .Values.namespaceOverride | default .Release.Namespace -}}
{{- end -}}

{{/* Takes (dict "root" $ "image" "api"), and "suffix" for another build of the same version. A
     registry for all stands before every repository that names none itself. */}}
{{- define "asr.image" -}}
{{- $image := index .root.Values.images .image -}}
{{- $registry := dig "imageRegistry" "" (.root.Values.global | default dict) | trimSuffix "/" -}}
{{- $first := regexFind "^[^/]+/" $image.repository -}}
{{- if or (not $registry) (regexMatch "[.:]|^localhost/" $first) -}}
{{ $image.repository }}
{{- else -}}
{{ $registry }}/{{ $image.repository }}
{{- end -}}
{{- if $image.digest -}}
@{{ $image.digest }}
{{- else -}}
:{{ $image.tag | default (printf "%s%s" .root.Chart.AppVersion (.suffix | default "")) }}
{{- end -}}
{{- end -}}

{{/* Names that clients call the API by: its Service's from near and far, and those of its ways in. */}}
{{- define "asr.api.hosts" -}}
{{- $service := printf "%s-api" (include "asr.fullname" .) -}}
{{- $namespace := include "asr.namespace" . -}}
{{- $hosts := list $service (printf "%s.%s" $service $namespace) (printf "%s.%s.svc" $service $namespace) (printf "%s.%s.svc.%s" $service $namespace .Values.clusterDomain) -}}
{{- with .Values.api.ingress -}}
{{- if and .enabled .host }}{{ $hosts = append $hosts .host }}{{ end -}}
{{- end -}}
{{- with .Values.api.httpRoute -}}
{{- if .enabled }}{{ $hosts = concat $hosts .hostnames }}{{ end -}}
{{- end -}}
{{- concat $hosts .Values.api.allowedHosts | uniq | toYaml -}}
{{- end -}}

{{- define "asr.redis.host" -}}{{ include "asr.fullname" . }}-redis{{- end -}}
{{- define "asr.redis.secret" -}}
{{- if .Values.redis.enabled -}}
{{ .Values.redis.auth.existingSecret | default (printf "%s-redis" (include "asr.fullname" .)) }}
{{- else -}}
{{ .Values.redis.external.existingSecret }}
{{- end -}}
{{- end -}}

{{- define "asr.key.secret" -}}
{{ .Values.auth.existingSecret | default (printf "%s-api-key" (include "asr.fullname" .)) }}
{{- end -}}

{{- define "asr.webhook.secret" -}}
{{ .Values.courier.webhookSecret.existingSecret | default (printf "%s-webhooks" (include "asr.fullname" .)) }}
{{- end -}}

{{- define "asr.store.claim" -}}
{{ .Values.store.pvc.existingClaim | default (printf "%s-store" (include "asr.fullname" .)) }}
{{- end -}}

{{/* What stands in a Secret already, else "new": an upgrade changes no password. In base64. */}}
{{- define "asr.kept" -}}
{{- $found := lookup "v1" "Secret" (include "asr.namespace" .root) .secret -}}
{{- if and $found (index ($found.data | default dict) .key) -}}
{{ index $found.data .key }}
{{- else -}}
{{ .new | b64enc }}
{{- end -}}
{{- end -}}
