{{/* The values of a part: those of `workloads`, and over them its own. Maps are merged, lists are
     added to each other, other values replaced. Takes (dict "root" $ "values" .Values.api). */}}
{{- define "asr.part" -}}
{{- $all := .root.Values.workloads | default dict -}}
{{- $own := .values | default dict -}}
{{- $part := mergeOverwrite (deepCopy $all) (deepCopy $own) -}}
{{- range list "tolerations" "hostAliases" "envFrom" "extraVolumes" "extraVolumeMounts" "initContainers" "sidecars" -}}
{{- $_ := set $part . (concat (index $all . | default list) (index $own . | default list)) -}}
{{- end -}}
{{- toYaml $part -}}
{{- end -}}

{{/* What every pod of this chart has. Takes root, part, "values" of the part, and at will: pool;
     "account" of another part; "program", "store" and "authorities" as for its containers; "volumes"; "tmp", the size
     of its temporary folder; "init", a container of the chart's own that runs first; "spread" true
     for pods that the chart spreads by itself; "user" {runAsUser, fsGroup} in place of all pods'.
     Only the operator has a token. */}}
{{- define "asr.pod" -}}
{{- $values := .values -}}
{{- $user := .user | default .root.Values.security -}}
serviceAccountName: {{ include "asr.fullname" .root }}-{{ .account | default .part }}
automountServiceAccountToken: {{ eq .part "operator" }}
{{- /* Links would set REDIS_PORT to a URL where a Service is called redis. */}}
enableServiceLinks: false
{{- with include "asr.pullSecrets" .root | fromYamlArray }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  {{- with $user.runAsUser }}
  runAsUser: {{ int64 . }}
  runAsGroup: {{ int64 . }}
  {{- end }}
  {{- with $user.fsGroup }}
  fsGroup: {{ int64 . }}
  fsGroupChangePolicy: OnRootMismatch
  {{- end }}
  seccompProfile:
    type: RuntimeDefault
{{- range $field := list "nodeSelector" "tolerations" "affinity" "priorityClassName" "schedulerName" "runtimeClassName" "dnsPolicy" "dnsConfig" }}
{{- with index $values $field }}
{{ dict $field . | toYaml }}
{{- end }}
{{- end }}
{{- with $values.hostAliases }}
hostAliases:
  {{- include "asr.byKey" (list "ip" .) | nindent 2 }}
{{- end }}
{{- with include "asr.spread" . | fromYamlArray }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with include "asr.initContainers" . | fromYamlArray }}
initContainers:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with include "asr.byKey" (list "name" (include "asr.volumes" . | fromYamlArray) .volumes $values.extraVolumes) | fromYamlArray }}
volumes:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "asr.pullSecrets" -}}
{{- $secrets := list -}}
{{- range concat (dig "imagePullSecrets" list (.Values.global | default dict)) (.Values.imagePullSecrets | default list) -}}
{{- $secrets = append $secrets (kindIs "map" . | ternary . (dict "name" .)) -}}
{{- end -}}
{{- include "asr.byKey" (list "name" $secrets) -}}
{{- end -}}

{{/* Constraints of one's own, for our pods where they name none; else over zones and nodes. */}}
{{- define "asr.spread" -}}
{{- $selector := dict "matchLabels" (include "asr.selector" (dict "root" .root "part" .part "pool" .pool) | fromYaml) -}}
{{- $constraints := list -}}
{{- if not (kindIs "invalid" .values.topologySpreadConstraints) -}}
{{- range .values.topologySpreadConstraints -}}
{{- $constraints = append $constraints (merge (deepCopy .) (hasKey . "labelSelector" | ternary dict (dict "labelSelector" $selector))) -}}
{{- end -}}
{{- else if .spread -}}
{{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" -}}
{{- $constraints = append $constraints (dict "maxSkew" 1 "topologyKey" . "whenUnsatisfiable" "ScheduleAnyway" "labelSelector" $selector) -}}
{{- end -}}
{{- end -}}
{{- toYaml $constraints -}}
{{- end -}}

{{/* Sidecars are init containers that go on: so they are there before everything else, and no Job waits
     for their end. */}}
{{- define "asr.initContainers" -}}
{{- $sidecars := list -}}
{{- range .values.sidecars -}}
{{- $sidecars = append $sidecars (merge (dict "restartPolicy" "Always") .) -}}
{{- end -}}
{{- include "asr.byKey" (list "name" $sidecars .values.initContainers .init) -}}
{{- end -}}

{{/* The volumes of "asr.mounts". */}}
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
{{- with and .program (include "asr.redis.files" .root) }}
- name: redis-tls
  secret:
    secretName: {{ $.root.Values.redis.external.tlsSecret | default $.root.Values.redis.external.existingSecret }}
    items:
      {{- . | nindent 6 }}
{{- end }}
{{- $bundle := .root.Values.caBundle }}
{{- if and (or .program .authorities) (or $bundle.configMap $bundle.secret) }}
- name: authorities
  {{- if $bundle.configMap }}
  configMap:
    name: {{ $bundle.configMap }}
  {{- else }}
  secret:
    secretName: {{ $bundle.secret }}
  {{- end }}
    items:
      - key: {{ $bundle.key }}
        path: ca.crt
{{- end }}
{{- end -}}
