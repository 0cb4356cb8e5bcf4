{{/*
Replicas of a part that people or an autoscaler may scale beside helm: {annotations, spec}, without
`spec` where the manifest must not have them. Takes root, part, and "declared": a number, or
"autoscaled".

An upgrade leaves alone what `kubectl scale` or an autoscaler has set since: it applies what is there
now, unless the value itself has changed, which the annotation tells. A manifest without replicas
after one that had them sets them to 1, the server's default: helm 3 always, helm 4 where nobody else
has set them. So a release that is switched to an autoscaler goes on applying what is there. With
helm 4 that ends once the autoscaler has set them: they are its field then, and to apply them would
be a conflict. A renderer sees no cluster, and gets the plain value.
*/}}
{{- define "asr.replicas" -}}
{{- $name := printf "%s-%s" (include "asr.fullname" .root) .part -}}
{{- $found := lookup "apps/v1" "Deployment" (include "asr.namespace" .root) $name | default dict -}}
{{- $applied := dig "metadata" "annotations" "asr-platform.dev/replicas" "" $found -}}
{{- $declared := toString .declared -}}
{{- $now := dig "spec" "replicas" 0 $found -}}
{{- if eq $declared "autoscaled" -}}
{{- if or (not $applied) (eq (include "asr.replicas.given" $found) "true") }}{{ $now = "" }}{{ end -}}
{{- else if ne $applied $declared -}}
{{- $now = .declared -}}
{{- end -}}
{{- if eq (toString $now) "" -}}
{{- dict "annotations" dict | toYaml -}}
{{- else -}}
{{- dict "annotations" (dict "asr-platform.dev/replicas" $declared) "spec" (dict "replicas" (int $now)) | toYaml -}}
{{- end -}}
{{- end -}}

{{/* "true" where who applied this Deployment did so on the server, and somebody else has set the replicas. */}}
{{- define "asr.replicas.given" -}}
{{- $serverSide := false -}}
{{- $given := false -}}
{{- range dig "metadata" "managedFields" list . -}}
{{- if hasKey (dig "fieldsV1" "f:metadata" "f:annotations" dict .) "f:asr-platform.dev/replicas" -}}
{{- $serverSide = eq .operation "Apply" -}}
{{- else if hasKey (dig "fieldsV1" "f:spec" dict .) "f:replicas" -}}
{{- $given = true -}}
{{- end -}}
{{- end -}}
{{- and $serverSide $given -}}
{{- end -}}
