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

{{/* Labels by which a part is selected; they never change. Takes (dict "root" $ "part" "api"). */}}
{{- define "asr.selector" -}}
app.kubernetes.io/name: {{ include "asr.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- with .pool }}
asr-platform.dev/pool: {{ . }}
{{- end }}
{{- end -}}

{{- define "asr.labels" -}}
{{ include "asr.selector" . }}
app.kubernetes.io/part-of: asr-platform
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Labels of a part's pods: those of its selector, and by whom the NetworkPolicies let it through. */}}
{{- define "asr.podLabels" -}}
{{ include "asr.selector" . }}
app.kubernetes.io/part-of: asr-platform
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- with .extra }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Takes (dict "root" $ "image" "api"), and "suffix" for another build of the same version. */}}
{{- define "asr.image" -}}
{{- $image := index .root.Values.images .image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default (printf "%s%s" .root.Chart.AppVersion (.suffix | default "")) }}
{{- end -}}
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
{{- $found := lookup "v1" "Secret" .root.Release.Namespace .secret -}}
{{- if and $found (index ($found.data | default dict) .key) -}}
{{ index $found.data .key }}
{{- else -}}
{{ .new | b64enc }}
{{- end -}}
{{- end -}}
