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

{{/* "true" where the operator makes the WorkerPools, from a ConfigMap. */}}
{{- define "asr.pools.byOperator" -}}
{{- and .Values.operator.enabled (not (empty .Values.pools)) (eq .Values.operator.poolsAs "operator") -}}
{{- end -}}

{{/* The WorkerPools as a JSON list. */}}
{{- define "asr.pools.declared" -}}
{{- $pools := list -}}
{{- range .Values.pools }}
{{- $pool := include "asr.pool.resource" (dict "root" $ "pool" .) | fromYaml -}}
{{- /* So that helm takes it over where the release is switched to poolsAs=objects. */ -}}
{{- $helms := dict "meta.helm.sh/release-name" $.Release.Name "meta.helm.sh/release-namespace" $.Release.Namespace -}}
{{- $_ := set $pool.metadata "annotations" (merge $helms ($pool.metadata.annotations | default dict)) -}}
{{- $pools = append $pools $pool -}}
{{- end -}}
{{- toJson $pools -}}
{{- end -}}

{{/*
"true" where the workers' Deployment is applied paused, for the operator to start: it is not there
yet, or has not been started. A manifest without replicas would get the server's default of 1, and
with replicas the next upgrade, rollback or sync would reset what the operator has set since.
A renderer, which sees no cluster, always says so; the operator then ends a pause of seconds.
Takes (dict "root" $ "pool" .).
*/}}
{{- define "asr.pool.waits" -}}
{{- if .root.Values.operator.enabled -}}
{{- $found := lookup "apps/v1" "Deployment" (include "asr.namespace" .root) (include "asr.pool.deployment" .) -}}
{{- or (not $found) (hasKey (dig "metadata" "annotations" dict ($found | default dict) | default dict) "asr-platform.dev/started-by") -}}
{{- else -}}
false
{{- end -}}
{{- end -}}
