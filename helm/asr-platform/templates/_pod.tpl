{{/* What every pod of this chart has in common. A token has the operator, and the job that makes its pools. */}}
{{- define "asr.pod" -}}
{{- $settings := .settings -}}
serviceAccountName: {{ include "asr.fullname" .root }}-{{ .part }}
automountServiceAccountToken: {{ has .part (list "operator" "pools") }}
{{- /* Links would set REDIS_PORT to a URL where a Service is called redis. */}}
enableServiceLinks: false
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  {{- with .user | default .root.Values.security.runAsUser }}
  runAsUser: {{ . }}
  runAsGroup: {{ . }}
  {{- end }}
  {{- with .user | default .root.Values.security.fsGroup }}
  fsGroup: {{ . }}
  fsGroupChangePolicy: OnRootMismatch
  {{- end }}
  seccompProfile:
    type: RuntimeDefault
{{- with $settings.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $settings.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $settings.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $settings.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{- define "asr.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{- define "asr.pull" -}}
image: {{ include "asr.image" . }}
imagePullPolicy: {{ (index .root.Values.images .image).pullPolicy }}
{{- end -}}

{{/* The programs' way to Redis: they find it in their environment, with nothing to escape. */}}
{{- define "asr.env.redis" -}}
{{- if .Values.redis.enabled -}}
- name: REDIS_HOST
  value: {{ include "asr.redis.host" . }}
- name: REDIS_PORT
  value: {{ .Values.ports.redis | quote }}
- name: REDIS_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ include "asr.redis.secret" . }}
      key: {{ .Values.redis.auth.passwordKey }}
{{- else -}}
- name: ASR_REDIS_URL
  valueFrom:
    secretKeyRef:
      name: {{ include "asr.redis.secret" . }}
      key: {{ .Values.redis.external.urlKey }}
{{- if .Values.redis.external.caKey }}
- name: REDIS_CA_FILE
  value: /etc/asr-redis/ca.crt
{{- end }}
{{- end }}
{{- with .Values.redis.keyPrefix }}
- name: ASR_KEY_PREFIX
  value: {{ . | quote }}
{{- end }}
- name: ASR_POOLS
  value: {{ include "asr.pools.names" . | quote }}
{{- range $name, $value := .Values.settings }}
- name: {{ $name }}
  value: {{ $value | toString | quote }}
{{- end }}
- name: ASR_LOG_LEVEL
  value: {{ .Values.logLevel }}
- name: ASR_LOG_FORMAT
  value: json
{{- /* Libraries look for a home to put their caches in. */}}
- name: HOME
  value: /tmp
{{- end -}}

{{- define "asr.env.store" -}}
- name: ASR_STORE_URL
  value: {{ ternary "file:///var/lib/asr-platform/store" .Values.store.url (eq .Values.store.type "pvc") | quote }}
{{- range $name, $value := .Values.store.env }}
- name: {{ $name }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- if and (eq .Values.store.type "gcs") .Values.store.existingSecret }}
- name: GOOGLE_APPLICATION_CREDENTIALS
  value: /etc/asr-store/{{ .Values.store.gcsKey }}
{{- end }}
{{- end -}}

{{/* The Secret of an S3 or Azure store, as environment. */}}
{{- define "asr.envFrom.store" -}}
{{- if and (has .Values.store.type (list "s3" "azure")) .Values.store.existingSecret }}
envFrom:
  - secretRef:
      name: {{ .Values.store.existingSecret }}
{{- end }}
{{- end -}}

{{/* API and courier: the one takes webhooks only where the other can sign them. */}}
{{- define "asr.env.webhooks" -}}
- name: ASR_WEBHOOK_SECRET
  valueFrom:
    secretKeyRef:
      name: {{ include "asr.webhook.secret" . }}
      key: {{ .Values.courier.webhookSecret.key }}
{{- with .Values.courier.allowPrivateUrls }}
- name: ASR_ALLOW_PRIVATE_URLS
  value: {{ join "," . | quote }}
{{- end }}
{{- end -}}

{{- define "asr.env.extra" -}}
{{- range $name, $value := . }}
- name: {{ $name }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- end -}}

{{/* Mounts and volumes of whoever uses the store ("store" true) and Redis. */}}
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
{{- if and (not .root.Values.redis.enabled) .root.Values.redis.external.caKey }}
- name: redis-ca
  mountPath: /etc/asr-redis
  readOnly: true
{{- end }}
{{- end -}}

{{- define "asr.volumes" -}}
- name: tmp
  emptyDir:
    sizeLimit: {{ .tmp | default "1Gi" }}
{{- if and .store (eq .root.Values.store.type "pvc") }}
- name: store
  persistentVolumeClaim:
    claimName: {{ include "asr.store.claim" .root }}
{{- end }}
{{- if and .store (eq .root.Values.store.type "gcs") .root.Values.store.existingSecret }}
- name: store-credentials
  secret:
    secretName: {{ .root.Values.store.existingSecret }}
{{- end }}
{{- if and (not .root.Values.redis.enabled) .root.Values.redis.external.caKey }}
- name: redis-ca
  secret:
    secretName: {{ .root.Values.redis.external.existingSecret }}
    items:
      - key: {{ .root.Values.redis.external.caKey }}
        path: ca.crt
{{- end }}
{{- end -}}

{{- define "asr.spread" -}}
topologySpreadConstraints:
  {{- $selector := . }}
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "asr.selector" $selector | nindent 8 }}
  {{- end }}
{{- end -}}
