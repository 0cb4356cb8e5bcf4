{{- define "asr.egress.dns" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
{{- end -}}

{{- define "asr.egress.redis" -}}
{{- if .Values.redis.enabled -}}
- to:
    - podSelector:
        matchLabels:
          {{- include "asr.selector" (dict "root" . "part" "redis") | nindent 10 }}
  ports: [{port: redis, protocol: TCP}]
{{- else -}}
- ports: [{port: {{ .Values.redis.external.port }}, protocol: TCP}]
{{- end -}}
{{- end -}}

{{/* A volume is mounted by the node; a bucket is somewhere outside. */}}
{{- define "asr.egress.store" -}}
{{- if ne .Values.store.type "pvc" }}
- ports:
    {{- range .Values.networkPolicies.storePorts }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
{{- end }}
{{- end -}}
