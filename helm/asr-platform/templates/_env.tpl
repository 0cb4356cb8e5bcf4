{{/* The environment of a container. Takes "env", what the chart says as {NAME: value or valueFrom},
     and "layers", what users say, the last one winning. A name stands once. Users' entries come last,
     and of those the ones that refer to others by $(NAME). */}}
{{- define "asr.env" -}}
{{- $theirs := dict -}}
{{- range .layers -}}
{{- range $name, $value := . }}{{ $_ := set $theirs $name $value }}{{ end -}}
{{- end -}}
{{- $entries := list -}}
{{- range $name, $value := .env -}}
{{- if not (hasKey $theirs $name) }}{{ $entries = append $entries (include "asr.env.entry" (list $name $value) | fromYaml) }}{{ end -}}
{{- end -}}
{{- $referring := list -}}
{{- range $name, $value := $theirs -}}
{{- $entry := include "asr.env.entry" (list $name $value) | fromYaml -}}
{{- if contains "$(" ($entry.value | default "") -}}
{{- $referring = append $referring $entry -}}
{{- else -}}
{{- $entries = append $entries $entry -}}
{{- end -}}
{{- end -}}
{{- toYaml (concat $entries $referring) -}}
{{- end -}}

{{- define "asr.env.entry" -}}
{{- $value := index . 1 -}}
name: {{ index . 0 | quote }}
{{- if kindIs "map" $value }}
{{ toYaml $value }}
{{- else }}
value: {{ include "asr.text" $value | quote }}
{{- end }}
{{- end -}}

{{/* A value as text: a million of a values file is a floating number, and no 1e+06 to programs. */}}
{{- define "asr.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) }}{{ printf "%.0f" . }}{{ else if not (kindIs "invalid" .) }}{{ . }}{{ end -}}
{{- end -}}

{{/* An entry of a Secret. Takes (list name key). */}}
{{- define "asr.env.secret" -}}
valueFrom:
  secretKeyRef:
    name: {{ index . 0 }}
    key: {{ index . 1 }}
{{- end -}}

{{/* What every program gets. The way to Redis stands in parts, with nothing to escape. */}}
{{- define "asr.env.program" -}}
ASR_POOLS: {{ include "asr.pools.names" . | quote }}
ASR_LOG_LEVEL: {{ .Values.logLevel }}
ASR_LOG_FORMAT: json
{{- /* Libraries look for a home to put their caches in. */}}
HOME: /tmp
{{- with .Values.redis.keyPrefix }}
ASR_KEY_PREFIX: {{ . | quote }}
{{- end }}
{{- if .Values.redis.enabled }}
REDIS_HOST: {{ include "asr.redis.host" . }}
REDIS_PORT: {{ .Values.ports.redis | quote }}
REDIS_PASSWORD:
  {{- include "asr.env.secret" (list (include "asr.redis.secret" .) .Values.redis.auth.passwordKey) | nindent 2 }}
{{- else }}
{{ include "asr.env.externalRedis" .Values.redis.external }}
{{- end }}
{{ include "asr.env.authorities" . }}
{{- end -}}

{{/* What retention deletes. Takes (list recordings results); of what is empty the limit is lifted. */}}
{{- define "asr.env.retention" -}}
{{- $recordings := index . 0 -}}
MAX_RECORDINGS: {{ include "asr.text" $recordings.max | quote }}
ASR_RECORDINGS_MIN_AGE_MINUTES: {{ include "asr.text" $recordings.minAgeMinutes | quote }}
ASR_RECORDINGS_MAX_AGE_DAYS: {{ include "asr.text" $recordings.maxAgeDays | quote }}
ASR_RESULTS_MAX_AGE_DAYS: {{ include "asr.text" (index . 1).maxAgeDays | quote }}
{{- end -}}

{{/* By a URL in a Secret, or by host, with the password alone in a Secret. Takes redis.external. */}}
{{- define "asr.env.externalRedis" -}}
{{- if .host }}
ASR_REDIS_URL: {{ printf "%s://%s:%d/%d" (ternary "rediss" "redis" .tls) (contains ":" .host | ternary (printf "[%s]" .host) .host) (int .port) (int .db) | quote }}
{{- with .username }}
REDIS_USERNAME: {{ . | quote }}
{{- end }}
{{- if .existingSecret }}
REDIS_PASSWORD:
  {{- include "asr.env.secret" (list .existingSecret .passwordKey) | nindent 2 }}
{{- end }}
{{- else }}
ASR_REDIS_URL:
  {{- include "asr.env.secret" (list .existingSecret .urlKey) | nindent 2 }}
{{- end }}
{{- if .caKey }}
REDIS_CA_FILE: /etc/asr-redis/ca.crt
{{- end }}
{{- if .certKey }}
REDIS_CERT_FILE: /etc/asr-redis/tls.crt
REDIS_KEY_FILE: /etc/asr-redis/tls.key
{{- end }}
{{- end -}}

{{/* Files of a Secret for TLS with Redis; empty where there are none. */}}
{{- define "asr.redis.files" -}}
{{- if not .Values.redis.enabled -}}
{{- $external := .Values.redis.external -}}
{{- range $path, $key := dict "ca.crt" $external.caKey "tls.crt" $external.certKey "tls.key" $external.keyKey -}}
{{- with $key }}
- key: {{ . }}
  path: {{ $path }}
{{- end }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Authorities in place of an image's: OpenSSL (urllib, httpx, redis-py), requests, and the store
     have a setting each. */}}
{{- define "asr.env.authorities" -}}
{{- if or .Values.caBundle.configMap .Values.caBundle.secret -}}
SSL_CERT_FILE: /etc/asr-authorities/ca.crt
REQUESTS_CA_BUNDLE: /etc/asr-authorities/ca.crt
AWS_CA_BUNDLE: /etc/asr-authorities/ca.crt
{{- end -}}
{{- end -}}

{{- define "asr.env.store" -}}
ASR_STORE_URL: {{ ternary "file:///var/lib/asr-platform/store" .Values.store.url (eq .Values.store.type "pvc") | quote }}
{{- if and (eq .Values.store.type "gcs") .Values.store.existingSecret }}
GOOGLE_APPLICATION_CREDENTIALS: /etc/asr-store/{{ .Values.store.gcsKey }}
{{- end }}
{{- end -}}

{{/* API and courier: links in webhooks are the API's. */}}
{{- define "asr.env.path" -}}
{{- with .Values.api.rootPath }}
ASR_ROOT_PATH: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* API and courier: the one takes webhooks only where the other can sign them. */}}
{{- define "asr.env.webhooks" -}}
ASR_WEBHOOK_SECRET:
  {{- include "asr.env.secret" (list (include "asr.webhook.secret" .) .Values.courier.webhookSecret.key) | nindent 2 }}
{{- with .Values.courier.allowPrivateUrls }}
ASR_ALLOW_PRIVATE_URLS: {{ join "," . | quote }}
{{- end }}
{{- end -}}
