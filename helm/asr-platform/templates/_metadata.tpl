{{/* Labels by which a part is selected; they never change. Takes (dict "root" $ "part" "api"). */}}
{{- define "asr.selector" -}}
app.kubernetes.io/name: {{ include "asr.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- with .pool }}
asr-platform.dev/pool: {{ . }}
{{- end }}
{{- end -}}

{{/* "labels" are more labels of one's own; none stands twice, and those of the selector win. */}}
{{- define "asr.labels" -}}
{{- $labels := dict
      "app.kubernetes.io/part-of" "asr-platform"
      "app.kubernetes.io/version" .root.Chart.AppVersion -}}
{{- if not .pod -}}
{{- $_ := set $labels "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_") -}}
{{- end -}}
{{- range list .root.Values.commonLabels .labels -}}
{{- range $name, $value := . }}{{ $_ := set $labels $name $value }}{{ end -}}
{{- end -}}
{{- if not .pod -}}
{{- $_ := set $labels "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- end -}}
{{- range $name, $value := include "asr.selector" . | fromYaml }}{{ $_ := set $labels $name $value }}{{ end -}}
{{- toYaml $labels -}}
{{- end -}}

{{/* Metadata of any object. Takes root, part, and at will: pool; name, else that of the part;
     labels and annotations of one's own; "own", annotations of the chart, which win. */}}
{{- define "asr.metadata" -}}
name: {{ .name | default (printf "%s-%s" (include "asr.fullname" .root) .part) }}
namespace: {{ .namespace | default (include "asr.namespace" .root) }}
labels:
  {{- include "asr.labels" . | nindent 2 }}
{{- include "asr.annotations" . }}
{{- end -}}

{{- define "asr.annotations" -}}
{{- $annotations := dict -}}
{{- range list .root.Values.commonAnnotations .annotations .own -}}
{{- range $name, $value := . }}{{ $_ := set $annotations $name $value }}{{ end -}}
{{- end -}}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* Metadata of a part's pods. Takes root, part, "values" of the part, and at will pool and own. */}}
{{- define "asr.podMetadata" -}}
{{- $who := dict "root" .root "part" .part "pool" .pool "pod" true "labels" .values.podLabels "annotations" .values.podAnnotations "own" .own -}}
labels:
  {{- include "asr.labels" $who | nindent 2 }}
{{- include "asr.annotations" $who }}
{{- end -}}

{{/* Which families of addresses a Service has; without values, what the cluster chooses. */}}
{{- define "asr.service.families" -}}
{{- with .Values.ipFamilyPolicy -}}
ipFamilyPolicy: {{ . }}
{{- end }}
{{- with .Values.ipFamilies }}
ipFamilies:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* How many pods of a part may be away for a drain. Takes root, part, "budget", and at will pool
     and name. */}}
{{- define "asr.disruptionBudget" -}}
{{- if .budget.enabled }}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "asr.metadata" . | nindent 2 }}
spec:
  {{- if kindIs "invalid" .budget.minAvailable }}
  maxUnavailable: {{ .budget.maxUnavailable }}
  {{- else }}
  minAvailable: {{ .budget.minAvailable }}
  {{- end }}
  selector:
    matchLabels:
      {{- include "asr.selector" . | nindent 6 }}
{{- end }}
{{- end -}}
